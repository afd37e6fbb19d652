//! One message to one server and its answer: by UDP, and by TCP where UDP is too small (RFC 7766). Bounded in time; no
//! message is larger than 64 KiB.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::error::DnsError;
use super::kind::Kind;

/// For one server's answer.
pub(super) const ANSWER: Duration = Duration::from_secs(3);
/// How often every server is asked before a question is given up.
pub(super) const ROUNDS: usize = 2;
/// What UDP may carry without being cut on its way (DNS flag day 2020).
pub(super) const PAYLOAD: u16 = 1232;

/// Why no answer came.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was said for so long.
    Silent(Duration),
    /// There is no way.
    Unreachable(io::Error),
    /// What was said is no DNS message, or one about something else.
    Garbled,
}

impl Failure {
    pub(super) fn about(self, name: String, kind: Kind, server: SocketAddr) -> DnsError {
        match self {
            Self::Silent(after) => DnsError::TimedOut { name, kind, server: Some(server), after },
            Self::Unreachable(source) => DnsError::Unreachable { server, source },
            Self::Garbled => DnsError::Garbled { server },
        }
    }
}

/// Sends `request`, which is `question` in bytes, and gives the answer in bytes and read. `limit` is for each of the two ways.
pub(super) async fn exchange(
    server: SocketAddr,
    question: &Message,
    request: &[u8],
    limit: Duration,
) -> Result<(Vec<u8>, Message), Failure> {
    if request.len() <= usize::from(PAYLOAD) {
        let (bytes, message) = within(limit, by_udp(server, question, request)).await?;
        if !message.metadata.truncation {
            return Ok((bytes, message));
        }
    }
    within(limit, by_tcp(server, question, request)).await
}

type Received = Result<(Vec<u8>, Message), Failure>;

async fn within(limit: Duration, work: impl Future<Output = Received>) -> Received {
    tokio::time::timeout(limit, work).await.unwrap_or(Err(Failure::Silent(limit)))
}

/// The system picks the port, and the socket hears nobody but the server.
async fn by_udp(server: SocketAddr, question: &Message, request: &[u8]) -> Received {
    let own = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(own).await.map_err(Failure::Unreachable)?;
    socket.connect(server).await.map_err(Failure::Unreachable)?;
    socket.send(request).await.map_err(Failure::Unreachable)?;
    let mut buffer = vec![0; 65_535];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(Failure::Unreachable)?;
        // What does not belong to the question may be forged or late; the answer may still come.
        if let Ok(message) = Message::from_vec(&buffer[..length])
            && belongs(question, &message)
        {
            buffer.truncate(length);
            return Ok((buffer, message));
        }
    }
}

async fn by_tcp(server: SocketAddr, question: &Message, request: &[u8]) -> Received {
    let mut stream = TcpStream::connect(server).await.map_err(Failure::Unreachable)?;
    let length = u16::try_from(request.len()).map_err(|_| Failure::Garbled)?;
    let framed = [&length.to_be_bytes(), request].concat();
    stream.write_all(&framed).await.map_err(Failure::Unreachable)?;
    let length = stream.read_u16().await.map_err(Failure::Unreachable)?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await.map_err(Failure::Unreachable)?;
    match Message::from_vec(&buffer) {
        Ok(message) if belongs(question, &message) => Ok((buffer, message)),
        _ => Err(Failure::Garbled),
    }
}

/// Servers that cannot read a question do not repeat it.
fn belongs(question: &Message, answer: &Message) -> bool {
    let same = answer.queries.is_empty() || answer.queries == question.queries;
    same && answer.metadata.id == question.metadata.id && answer.metadata.message_type == MessageType::Response
}
