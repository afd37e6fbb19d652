//! How a target is not reached.

use std::io;
use std::time::Duration;

use crate::base::duration;
use crate::config::settings::At;

/// Why a target was not reached. The text names the target and what it did, for the operator's eyes.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address, or could not be asked for.
    #[error("the name {name} could not be resolved")]
    NameNotFound {
        /// The name.
        name: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
    /// Nothing listens.
    #[error("{address} refused the connection")]
    Refused {
        /// The address tried last.
        address: String,
    },
    /// Nothing listens on a port of this machine, at either loopback address.
    #[error("nothing listens on port {port} of this machine, neither on 127.0.0.1 nor on ::1 ({at})")]
    NothingListens {
        /// The port.
        port: u16,
        /// Where the target is written.
        at: At,
    },
    /// Not done within the limit.
    #[error("{address} did not let us connect within {}, stuck at {stage}", duration::print(*limit))]
    TimedOut {
        /// The target.
        address: String,
        /// What was being done: `the name`, `TCP`, `the PROXY header`, `TLS` or `HTTP/2`.
        stage: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// No way there, no such socket, or no permission.
    #[error("{address} cannot be reached")]
    Unreachable {
        /// The address tried last.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It shows a certificate we do not believe.
    #[error("{address} shows a certificate that is not accepted for {name}")]
    Certificate {
        /// The target.
        address: String,
        /// The name it was to prove.
        name: String,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// The handshake failed otherwise; often the target does not speak TLS at all.
    #[error("no TLS with {address}")]
    Tls {
        /// The target.
        address: String,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// It was to speak HTTP/2 and does not.
    #[error("{address} does not speak HTTP/2")]
    NoHttp2 {
        /// The target.
        address: String,
        /// What it did instead, where it was not just that it offered none.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl ConnectError {
    /// A stable code for the access log.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NameNotFound { .. } => "connect-name",
            Self::Refused { .. } | Self::NothingListens { .. } => "connect-refused",
            Self::TimedOut { .. } => "connect-timeout",
            Self::Unreachable { .. } => "connect-unreachable",
            Self::Certificate { .. } => "connect-certificate",
            Self::Tls { .. } => "connect-tls",
            Self::NoHttp2 { .. } => "connect-http2",
        }
    }

    /// The one thing to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::NameNotFound { .. } => "check the backend's name and this machine's resolver",
            Self::Refused { .. } => "start the backend, or correct its port",
            Self::NothingListens { .. } => "start the program, or correct the port",
            Self::TimedOut { .. } => "check that the backend is up and that no firewall drops packets to it",
            Self::Unreachable { .. } => "check the backend's address, and for a socket its path and permissions",
            Self::Certificate { .. } => "give the backend's authority as `ca-file`, or its name as `server-name`, under `tls`",
            Self::Tls { .. } => "use http:// if the backend does not speak TLS on this port",
            Self::NoHttp2 { .. } => "write http:// instead of h2c://, or for https:// take `protocols h2` out of its upstream",
        }
    }
}
