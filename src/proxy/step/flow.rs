//! How the way in goes on behind a step.

use std::future::Future;
use std::pin::Pin;

use http::Response;

use crate::proxy::body::Body;
use crate::proxy::refusal::Refusal;

/// What somebody else decides: `None` lets pass, an answer is the client's.
pub type Decision<'a> = Pin<Box<dyn Future<Output = Result<Option<Response<Body>>, Refusal>> + 'a>>;

/// How the way in goes on.
pub enum Flow<'a> {
    /// To the next step, or to the end.
    Onward,
    /// Back, with this answer.
    Answer(Box<Response<Body>>),
    /// Somebody else has to be asked first.
    Later(Decision<'a>),
}
