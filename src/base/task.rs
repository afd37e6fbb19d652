//! Tasks with a name and an owner. A panic in one is reported with the task's name and ends nothing else.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

/// Runs `future` on the present thread's runtime. A panic becomes an error line, and the handle's owner gets `None`.
#[expect(clippy::disallowed_methods, reason = "the one place where tasks are spawned")]
pub fn spawn_local<F>(name: &'static str, future: F) -> JoinHandle<Option<F::Output>>
where
    F: Future + 'static,
    F::Output: 'static,
{
    tokio::task::spawn_local(Named { name, future: Box::pin(future) })
}

/// As [`spawn_local`], for futures that may move between threads.
#[expect(clippy::disallowed_methods, reason = "the one place where tasks are spawned")]
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<Option<F::Output>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(Named { name, future: Box::pin(future) })
}

/// Runs `work` on a thread that may block; a panic is reported and gives `None`.
#[expect(clippy::disallowed_methods, reason = "the one place where blocking work is spawned")]
pub async fn blocking<T, W>(name: &'static str, work: W) -> Option<T>
where
    T: Send + 'static,
    W: FnOnce() -> T + Send + 'static,
{
    let result = tokio::task::spawn_blocking(move || catch_unwind(AssertUnwindSafe(work))).await;
    match result {
        Ok(Ok(value)) => Some(value),
        Ok(Err(_)) | Err(_) => {
            report(name);
            None
        }
    }
}

/// The future is boxed: a task's own memory stays small, and no `unsafe` projection is needed.
struct Named<F> {
    name: &'static str,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Named<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = &mut self.future;
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Some),
            Err(_) => {
                report(self.name);
                Poll::Ready(None)
            }
        }
    }
}

/// The panic's own words and place were printed by the panic hook; this adds whose it was.
fn report(name: &'static str) {
    tracing::error!(event = "task_panicked", task = name, "a task of doorward panicked and was ended; please report it");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_only_its_own_task() {
        assert_eq!(spawn("test", async { panic!("on purpose") }).await.unwrap(), None::<()>);
        assert_eq!(spawn("test", async { 7 }).await.unwrap(), Some(7));
        assert_eq!(blocking("test", || panic!("on purpose")).await, None::<()>);
    }
}
