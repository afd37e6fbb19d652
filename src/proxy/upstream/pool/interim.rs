//! Answers of a backend that another one follows (RFC 9110 section 15.2). `100 Continue` lets the request's body begin, and early
//! hints are passed on where somebody wants them; the others have no reader here: 102 is deprecated (RFC 4918 had it), 104 is
//! not in use, and an intermediary need not pass on what a client did not ask for.

use http::header::HeaderValue;
use http::{Request, StatusCode};

use crate::proxy::body::expect_continue::ContinueSender;
use crate::proxy::early_hints::Hints;

/// Such answers before the one to a request.
const MAX_INTERIM: u32 = 32;

/// A backend that never comes to its answer.
#[derive(Debug, thiserror::Error)]
#[error("it said more than {MAX_INTERIM} times that its answer is to come")]
pub(super) struct TooManyInterim;

/// Takes them for one request.
pub(super) struct Interim {
    opener: Option<ContinueSender>,
    hints: Option<Hints>,
    count: u32,
}

impl Interim {
    /// For `request`, by what its extensions hold.
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let extensions = request.extensions();
        Self { opener: extensions.get::<ContinueSender>().cloned(), hints: extensions.get::<Hints>().cloned(), count: 0 }
    }

    /// Takes one. `links` gives its `Link` fields.
    ///
    /// # Errors
    /// There are more than a backend sends on purpose.
    pub(super) fn take<L>(&mut self, status: StatusCode, links: impl FnOnce() -> L) -> Result<(), TooManyInterim>
    where
        L: IntoIterator<Item = HeaderValue>,
    {
        self.count += 1;
        if self.count > MAX_INTERIM {
            return Err(TooManyInterim);
        }
        if let Some(opener) = self.opener.as_ref().filter(|_| status == StatusCode::CONTINUE) {
            opener.open();
        }
        if let Some(hints) = &self.hints {
            hints.push(status, links());
        }
        Ok(())
    }
}
