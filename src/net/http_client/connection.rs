//! One HTTP/1.1 connection to an authority, and the few that are kept for the next request.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::error::HttpError;
use crate::base::{loopback, task};
use crate::net::dial::{self, Attempt, Outcome};
use crate::net::system_resolver::SystemResolver;

/// A connection on which no request is under way.
pub struct Idle {
    host: String,
    port: u16,
    sender: SendRequest<Full<Bytes>>,
    since: Instant,
}

/// Connections kept, over all hosts of an authority.
const MAX_IDLE: usize = 4;

/// How long one is kept: shorter than the 60 s and more of the authorities' load balancers.
const IDLE_LIFE: Duration = Duration::from_secs(30);

/// For each address of a host, so that one dead address leaves time for the next.
const EACH_ADDRESS: Duration = Duration::from_secs(4);

/// Takes a live idle connection to this place, if there is one.
pub fn take(idle: &mut Vec<Idle>, host: &str, port: u16) -> Option<Idle> {
    idle.retain(|one| one.since.elapsed() < IDLE_LIFE && !one.sender.is_closed());
    let at = idle.iter().position(|one| one.host == host && one.port == port)?;
    Some(idle.swap_remove(at))
}

/// Keeps a connection for the next request.
pub fn put(idle: &mut Vec<Idle>, mut connection: Idle) {
    if idle.len() < MAX_IDLE && !connection.sender.is_closed() {
        connection.since = Instant::now();
        idle.push(connection);
    }
}

/// Resolves, connects, and verifies. Only then is there something to send a request over.
pub async fn dial(resolver: &SystemResolver, tls: &TlsConnector, host: &str, port: u16) -> Result<Idle, HttpError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| HttpError::Url { url: host.to_owned() })?;
    let socket = connect(resolver, host, port).await?;
    let stream = tls.connect(name, socket).await.map_err(|cause| broken_or_untrusted(host, cause))?;
    begin(stream, host, port).await
}

/// As [`dial`], without TLS: for services on this machine.
pub(super) async fn dial_plain(resolver: &SystemResolver, host: &str, port: u16) -> Result<Idle, HttpError> {
    begin(connect(resolver, host, port).await?, host, port).await
}

async fn begin<S>(stream: S, host: &str, port: u16) -> Result<Idle, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|cause| HttpError::Lost {
        host: host.to_owned(),
        sent: false,
        cause: Some(cause),
    })?;
    // Ends when its sender is dropped or the authority hangs up; what went wrong reaches the request that was under way.
    task::spawn("acme connection", async move {
        let _ = connection.await;
    });
    Ok(Idle { host: host.to_owned(), port, sender, since: Instant::now() })
}

/// A connection that breaks while TLS is set up says nothing about trust.
fn broken_or_untrusted(host: &str, cause: io::Error) -> HttpError {
    let host = host.to_owned();
    match cause.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
        true => HttpError::Untrusted { host, cause },
        false => HttpError::Connect { host, cause },
    }
}

async fn connect(resolver: &SystemResolver, host: &str, port: u16) -> Result<TcpStream, HttpError> {
    let addresses = match loopback::is_meant_by(host) {
        true => loopback::addresses(port).to_vec(),
        false => {
            let found = resolver.lookup(host, port).await;
            found.map_err(|cause| HttpError::Resolve { host: host.to_owned(), cause })?
        }
    };
    let (stream, attempts) = dial::first_of(&addresses, EACH_ADDRESS).await;
    let socket = stream.ok_or_else(|| HttpError::Connect { host: host.to_owned(), cause: by_all(attempts) })?;
    // Only a delay is lost if the kernel refuses.
    let _ = socket.set_nodelay(true);
    Ok(socket)
}

/// Every address that was tried with its answer, in one error of the last one's kind.
fn by_all(attempts: Vec<Attempt>) -> io::Error {
    let tried = attempts.into_iter().filter_map(|attempt| match attempt.outcome {
        Outcome::Connected => None,
        Outcome::Failed(cause) => Some((attempt.address, cause)),
        Outcome::TimedOut => Some((attempt.address, io::ErrorKind::TimedOut.into())),
    });
    let tried: Vec<(SocketAddr, io::Error)> = tried.collect();
    let Some((_, last)) = tried.last() else { return io::Error::new(io::ErrorKind::NotFound, "the name has no address") };
    let said: Vec<String> = tried.iter().map(|(address, cause)| format!("{address}: {cause}")).collect();
    io::Error::new(last.kind(), said.join("; "))
}

impl Idle {
    /// Where it leads.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Sends a request and reads the whole answer, at most `limit` bytes of it. `Ok(Err(request))` gives back a request
    /// of which nothing was sent, because the connection had ended meanwhile.
    pub async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<Result<Response<Bytes>, Request<Full<Bytes>>>, HttpError> {
        if self.sender.ready().await.is_err() {
            return Ok(Err(request));
        }
        let lost = |cause| HttpError::Lost { host: self.host.clone(), sent: true, cause };
        let response = match self.sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut error) => match error.take_message() {
                Some(request) => return Ok(Err(request)),
                None => return Err(lost(Some(error.into_error()))),
            },
        };
        let (parts, body) = response.into_parts();
        match Limited::new(body, limit).collect().await {
            Ok(body) => Ok(Ok(Response::from_parts(parts, body.to_bytes()))),
            Err(error) if error.is::<LengthLimitError>() => Err(HttpError::TooLong { host: self.host.clone(), limit }),
            Err(error) => Err(lost(error.downcast().ok().map(|cause| *cause))),
        }
    }
}
