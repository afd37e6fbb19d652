//! Who a client is, when a balancer that passes bytes on says so in front of them: the PROXY protocol, believed only from
//! the networks of `proxy-protocol from`, and demanded of them.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::base::proxy_header::{BadHeader, Ends, MAX_HEADER, Progress, read};

/// Why a balancer's connection is not served.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// What came is no header.
    #[error(transparent)]
    Bad(#[from] BadHeader),
    /// Longer than `timeouts { handshake }`.
    #[error("its PROXY protocol header did not come in time")]
    TooSlow,
    /// The connection ended first.
    #[error("it ended before its PROXY protocol header")]
    Left(#[source] io::Error),
}

impl HeaderError {
    /// The one thing to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Bad(BadHeader::Missing) | Self::TooSlow => {
                "switch the PROXY protocol on at this peer, or take it out of `proxy-protocol from`"
            }
            Self::Bad(BadHeader::Line | BadHeader::Binary | BadHeader::TooLong) => {
                "look at this peer's settings: versions 1 and 2 are understood"
            }
            Self::Left(_) => "let this peer's health check send the header too",
        }
    }
}

/// Takes the header off the front of `stream`, and not a byte more, by `deadline`. `None` means the connection as it is.
pub async fn receive(stream: &mut TcpStream, deadline: Instant) -> Result<Option<Ends>, HeaderError> {
    timeout_at(deadline, header(stream)).await.unwrap_or(Err(HeaderError::TooSlow))
}

async fn header(stream: &mut TcpStream) -> Result<Option<Ends>, HeaderError> {
    let mut bytes = Vec::new();
    loop {
        match read(&bytes)? {
            Progress::Whole(ends) => return Ok(ends),
            Progress::More(more) => {
                debug_assert!(bytes.len() + more <= MAX_HEADER, "a header has an end");
                let from = bytes.len();
                bytes.resize(from + more, 0);
                stream.read_exact(&mut bytes[from..]).await.map_err(HeaderError::Left)?;
            }
        }
    }
}
