//! How talking to an authority can fail, with what the order needs to know: may it have acted, and when to ask again.

use http::StatusCode;
use instant_acme::Problem;

use super::pauses::Kind;
use super::problem;
use crate::base::time::Timestamp;
use crate::net::http_client::HttpError;

/// A request to an authority did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum HttpFailure {
    /// No whole answer came.
    #[error(transparent)]
    Transport(#[from] HttpError),
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
            Self::Transport(error) => error.is_passing(),
            Self::Garbage { .. } => true,
            Self::Refused(refusal) => refusal.status.is_server_error() && refusal.retry_after.is_none(),
            Self::Paused { .. } | Self::Moved { .. } => false,
        }
    }

    /// Whether the authority cannot have acted on the request.
    pub fn was_not_sent(&self) -> bool {
        match self {
            Self::Transport(error) => error.was_not_sent(),
            Self::Paused { .. } => true,
            Self::Garbage { .. } | Self::Refused(_) | Self::Moved { .. } => false,
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
