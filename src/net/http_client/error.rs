//! How a request over a verified connection can fail before its whole answer is there.

use std::io;
use std::time::Duration;

use crate::base::duration;
use crate::net::tls_roots::RootsError;

/// No whole answer came.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Not a URL an authority may have.
    #[error("{url:?} is not an https URL")]
    Url {
        /// As it was given by the configuration or the authority.
        url: String,
    },
    /// The configured roots cannot be used.
    #[error("cannot verify the authority")]
    Roots(#[source] RootsError),
    /// The authority's name does not resolve.
    #[error("cannot resolve {host}")]
    Resolve {
        /// The authority's host.
        host: String,
        /// What the resolver said.
        #[source]
        cause: io::Error,
    },
    /// No address of the authority takes a connection.
    #[error("cannot connect to {host}")]
    Connect {
        /// The authority's host.
        host: String,
        /// What each address said.
        #[source]
        cause: io::Error,
    },
    /// TLS failed, so nothing was asked.
    #[error("cannot verify that {host} is the authority")]
    Untrusted {
        /// The authority's host.
        host: String,
        /// What TLS said.
        #[source]
        cause: io::Error,
    },
    /// Time ran out.
    #[error("{host} did not {} within {}", stage.verb(), duration::rough(*after))]
    Slow {
        /// The authority's host.
        host: String,
        /// What was waited for.
        stage: Stage,
        /// How long.
        after: Duration,
    },
    /// The connection ended before the answer did.
    #[error("the connection to {host} broke before the answer was complete")]
    Lost {
        /// The authority's host.
        host: String,
        /// Whether the request was sent, so that the authority may have acted on it.
        sent: bool,
        /// What the connection said.
        #[source]
        cause: Option<hyper::Error>,
    },
    /// More answer than any authority needs.
    #[error("the answer of {host} is longer than {limit} bytes")]
    TooLong {
        /// The authority's host.
        host: String,
        /// The limit.
        limit: usize,
    },
}

/// What was waited for when time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A connection with TLS.
    Connect,
    /// The answer's last byte.
    Answer,
}

impl Stage {
    fn verb(self) -> &'static str {
        match self {
            Self::Connect => "accept a connection",
            Self::Answer => "answer",
        }
    }
}

impl HttpError {
    /// Whether the same request may succeed a moment later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Resolve { .. } | Self::Connect { .. } | Self::Slow { .. } | Self::Lost { .. } | Self::TooLong { .. } => true,
            Self::Url { .. } | Self::Roots(_) | Self::Untrusted { .. } => false,
        }
    }

    /// Whether the peer cannot have acted on the request.
    pub fn was_not_sent(&self) -> bool {
        match self {
            Self::Url { .. } | Self::Roots(_) | Self::Resolve { .. } | Self::Connect { .. } | Self::Untrusted { .. } => true,
            Self::Slow { stage, .. } => *stage == Stage::Connect,
            Self::Lost { sent, .. } => !sent,
            Self::TooLong { .. } => false,
        }
    }
}
