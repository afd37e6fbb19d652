//! Tasks with a name and an owner. A panic in one is reported with the task's name and ends nothing else.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Semaphore;
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

/// Work that blocks for as long as something outside of us does, such as a file system: one at a time, and waited for within a
/// bound. What does not come back in time keeps its thread and this slot until it does.
#[derive(Clone, Debug)]
pub struct BlockingSlot(Arc<Semaphore>);

/// The work of a [`BlockingSlot`] gave no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoResult {
    /// Not within the bound, or the one before has not come back yet.
    TimedOut,
    /// It panicked; that was reported.
    Panicked,
}

impl Default for BlockingSlot {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl BlockingSlot {
    /// Whether work that timed out has not come back yet.
    pub fn is_busy(&self) -> bool {
        self.0.available_permits() == 0
    }

    /// Runs `work` on a thread that may block, and waits for it for at most `limit`.
    pub async fn run<T, W>(&self, name: &'static str, limit: Duration, work: W) -> Result<T, NoResult>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        let slot = Arc::clone(&self.0);
        let begun = async {
            let held = slot.acquire_owned().await.ok();
            blocking(name, move || {
                let result = work();
                drop(held);
                result
            })
            .await
        };
        let ended = tokio::time::timeout(limit, begun).await.map_err(|_elapsed| NoResult::TimedOut)?;
        ended.ok_or(NoResult::Panicked)
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

    #[tokio::test]
    async fn work_that_does_not_come_back_holds_up_nobody_and_takes_one_thread() {
        let slot = BlockingSlot::default();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let hangs = move || ended.recv().is_err();
        let short = Duration::from_millis(20);
        assert_eq!(slot.run("test", short, hangs).await, Err(NoResult::TimedOut));
        assert_eq!(slot.run("test", short, || panic!("a second thread")).await, Err::<(), _>(NoResult::TimedOut));
        drop(end);
        assert_eq!(slot.run("test", Duration::from_secs(10), || 7).await, Ok(7));
        assert_eq!(slot.run("test", Duration::from_secs(10), || panic!("on purpose")).await, Err::<(), _>(NoResult::Panicked));
    }
}
