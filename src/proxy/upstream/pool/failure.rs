//! How sending a request to a backend fails, and what that means for trying again.

use std::time::Duration;

use crate::base::duration;
use crate::proxy::upstream::connect::ConnectError;

/// What the transport said.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

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
    ClosedBeforeAnswer(#[source] Option<Cause>),
    /// The backend closed or reset the connection in the middle of the answer's header.
    #[error("the backend closed the connection in the middle of its answer's header")]
    CutOff(#[source] Cause),
    /// What came is not proper HTTP.
    #[error("the backend's answer is not proper HTTP")]
    BadAnswer(#[source] Cause),
    /// The header of the answer is over a limit that no setting changes.
    #[error("the header of the backend's answer is too large")]
    HeaderTooLarge(#[source] Cause),
    /// The backend says that it has not looked at the request, and will not (RFC 9113 sections 6.8 and 8.7).
    #[error("the backend refused the stream before it looked at the request")]
    Refused(#[source] Cause),
    /// The backend gave this one request up.
    #[error("the backend reset the stream before it answered")]
    StreamReset(#[source] Cause),
    /// A WebSocket was asked for, and the backend speaks HTTP/2 without it (RFC 8441).
    #[error("the backend takes no WebSocket over HTTP/2")]
    NoWebSocket,
    /// The request was sent and no answer began in time.
    #[error("the backend did not begin to answer within {}", duration::print(*.0))]
    FirstByteTimeout(Duration),
    /// The client's body failed on the way to the backend.
    #[error("the request's body ended before its end")]
    ClientBody(#[source] Cause),
}

impl SendError {
    /// A stable code for the access log.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Connect(error) => error.code(),
            Self::ClosedBeforeAnswer(_) => "backend-closed",
            Self::CutOff(_) => "backend-cut-off",
            Self::BadAnswer(_) => "backend-malformed",
            Self::HeaderTooLarge(_) => "backend-header-too-large",
            Self::Refused(_) => "backend-refused-stream",
            Self::StreamReset(_) => "backend-reset-stream",
            Self::NoWebSocket => "backend-no-websocket",
            Self::FirstByteTimeout(_) => "backend-timeout",
            Self::ClientBody(_) => "client-body",
        }
    }

    /// Whether the connection ended before the backend said anything, so that it may not have seen the request.
    pub const fn nothing_was_answered(&self) -> bool {
        match self {
            Self::Connect(_) | Self::ClosedBeforeAnswer(_) | Self::Refused(_) => true,
            Self::CutOff(_)
            | Self::BadAnswer(_)
            | Self::HeaderTooLarge(_)
            | Self::StreamReset(_)
            | Self::NoWebSocket
            | Self::FirstByteTimeout(_)
            | Self::ClientBody(_) => false,
        }
    }
}

/// How an exchange was lost.
pub(super) enum SendOutcome {
    /// Nothing of it was written.
    Unsent,
    /// It was, at least in part.
    Failed(SendError),
}
