//! How talking to an authority can fail, with what the order needs to know: may it have acted, and when to ask again.

use std::io;
use std::time::Duration;

use http::StatusCode;
use instant_acme::Problem;

use super::{Kind, RootsError, problem};
use crate::base::span;
use crate::base::time::Timestamp;

/// A request to an authority did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum HttpFailure {
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
    #[error("{host} did not {} within {}", stage.verb(), span::rough(*after))]
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
    /// A success that is not what ACME answers.
    #[error("the authority answered {status} with something that is not ACME: {excerpt}")]
    Garbage {
        /// The answer's status.
        status: StatusCode,
        /// The beginning of its body, escaped.
        excerpt: String,
    },
    /// The authority sent us elsewhere. That is not followed: what is signed for one URL is not for another (RFC 8555 section
    /// 6.4), and a directory decides whom all else is told to.
    #[error("the authority answered {status}: {} has moved to {to}", if *kind == Kind::Directory { "its directory" } else { "this" })]
    Moved {
        /// What was asked.
        kind: Kind,
        /// The answer's status.
        status: StatusCode,
        /// Where it is now, escaped.
        to: String,
    },
    /// The authority said no.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The authority asked us to wait, and the time is not over: nothing was sent.
    #[error("the authority asked for no {kind} request before {until}")]
    Paused {
        /// What must wait.
        kind: Kind,
        /// Until when.
        until: Timestamp,
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

/// An authority's no.
#[derive(Debug, thiserror::Error)]
#[error("the authority answered {status}: {}", self.words())]
pub struct Refusal {
    /// What was asked.
    pub kind: Kind,
    /// The answer's status.
    pub status: StatusCode,
    /// Its problem document, if it had one.
    pub problem: Option<Problem>,
    /// When to ask again, if it said so; within bounds.
    pub retry_after: Option<Timestamp>,
    /// The beginning of its body, escaped, where there was no problem document.
    pub excerpt: String,
}

impl Refusal {
    /// Whether a limit is about the names of one order, so that other orders need not wait. Let's Encrypt quotes the
    /// name, or speaks of the exact set; a limit of the account or the address does neither.
    pub fn is_about_names(&self) -> bool {
        let detail = self.problem.as_ref().and_then(|problem| problem.detail.as_deref()).unwrap_or_default();
        detail.contains("for \"") || detail.contains("exact set of")
    }

    fn words(&self) -> String {
        self.problem.as_ref().map_or_else(|| self.excerpt.clone(), problem::spoken)
    }
}

impl HttpFailure {
    /// Whether the same request may succeed a moment later: nothing was said against it.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Resolve { .. } | Self::Connect { .. } | Self::Slow { .. } | Self::Lost { .. } => true,
            Self::Garbage { .. } | Self::TooLong { .. } => true,
            Self::Refused(refusal) => refusal.status.is_server_error() && refusal.retry_after.is_none(),
            Self::Url { .. } | Self::Roots(_) | Self::Untrusted { .. } | Self::Paused { .. } | Self::Moved { .. } => false,
        }
    }

    /// Whether the authority cannot have acted on the request.
    pub fn was_not_sent(&self) -> bool {
        match self {
            Self::Url { .. } | Self::Roots(_) | Self::Resolve { .. } | Self::Connect { .. } | Self::Untrusted { .. } => true,
            Self::Slow { stage, .. } => *stage == Stage::Connect,
            Self::Lost { sent, .. } => !sent,
            Self::Paused { .. } => true,
            Self::TooLong { .. } | Self::Garbage { .. } | Self::Refused(_) | Self::Moved { .. } => false,
        }
    }

    /// When the authority wants to be asked again.
    pub fn retry_after(&self) -> Option<Timestamp> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Paused { until, .. } => Some(*until),
            _ => None,
        }
    }
}
