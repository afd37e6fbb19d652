//! How sending a request to a backend fails, and what that means for trying again.

use std::time::Duration;

use crate::base::span;
use crate::proxy::cluster::connect::ConnectError;

/// A request that got no answer.
#[derive(Debug)]
pub struct SendFailure {
    /// What went wrong.
    pub error: SendError,
    /// Whether it was sent over a connection that had rested: then a close before the answer is nobody's fault.
    pub reused: bool,
}

/// What went wrong between a request and its answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// There is no connection; nothing was sent.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The backend closed or reset the connection, and nothing of an answer came.
    #[error("the backend closed the connection before it answered")]
    ClosedBeforeAnswer(#[source] Option<hyper::Error>),
    /// The backend closed or reset the connection in the middle of the answer's header.
    #[error("the backend closed the connection in the middle of its answer's header")]
    CutOff(#[source] hyper::Error),
    /// What came is not HTTP/1.1, or its header is too large.
    #[error("the backend's answer is not proper HTTP/1.1")]
    BadAnswer(#[source] hyper::Error),
    /// The request was sent and no answer began in time.
    #[error("the backend did not begin to answer within {}", span::print(*.0))]
    FirstByteTimeout(Duration),
    /// The client's body failed on the way to the backend.
    #[error("the request's body ended before its end")]
    ClientBody(#[source] hyper::Error),
}

impl SendError {
    /// A stable code for the access log.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Connect(error) => error.code(),
            Self::ClosedBeforeAnswer(_) => "backend-closed",
            Self::CutOff(_) => "backend-cut-off",
            Self::BadAnswer(_) => "backend-malformed",
            Self::FirstByteTimeout(_) => "backend-timeout",
            Self::ClientBody(_) => "client-body",
        }
    }

    /// Whether the connection ended before the backend said anything, so that it may not have seen the request.
    pub const fn nothing_was_answered(&self) -> bool {
        match self {
            Self::Connect(_) | Self::ClosedBeforeAnswer(_) => true,
            Self::CutOff(_) | Self::BadAnswer(_) | Self::FirstByteTimeout(_) | Self::ClientBody(_) => false,
        }
    }
}
