//! A client that expects `100-continue` wants to hear from the backend before it sends its body (RFC 9110 section 10.1.1).
//! So the body is not asked for, and hyper tells the client nothing, until the backend has said 100 or has been silent
//! for a while. A backend that refuses spares the client the upload.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::Request;
use tokio::time::Sleep;

/// How long a backend may be silent before it is taken for one that never says 100; many do not.
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

/// Holds a body back.
pub(super) struct ExpectContinue {
    door: ContinueSender,
    timer: Option<Pin<Box<Sleep>>>,
}

/// The part that the connection to the backend opens. It is `Sync` because a request's extensions
/// are; one thread uses it.
#[derive(Clone, Default)]
pub(in crate::proxy) struct ContinueSender(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    open: bool,
    waiting: Option<Waker>,
}

impl ExpectContinue {
    /// A gate that the backend's 100 to `request` will open.
    pub(super) fn opened_by_answer_to<B>(request: &mut Request<B>) -> Self {
        let door = ContinueSender::default();
        request.extensions_mut().insert(door.clone());
        Self { door, timer: None }
    }

    /// Ready once the body may flow.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.door.is_open_or_wakes(cx) {
            return Poll::Ready(());
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(CONTINUE_TIMEOUT)));
        timer.as_mut().poll(cx)
    }
}

impl ContinueSender {
    pub(in crate::proxy) fn open(&self) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.open = true;
        if let Some(waiting) = held.waiting.take() {
            waiting.wake();
        }
    }

    #[cfg(test)]
    pub(in crate::proxy) fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).open
    }

    fn is_open_or_wakes(&self, cx: &Context<'_>) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.open {
            held.waiting = Some(cx.waker().clone());
        }
        held.open
    }
}
