//! Dear work that may be done so many times at once, while so many wait for it and the others are turned away.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// See the module.
#[derive(Debug)]
pub struct BoundedSemaphore {
    free: Semaphore,
    waiting: AtomicUsize,
    most_waiting: usize,
}

impl BoundedSemaphore {
    /// `at_once` at a time, and `most_waiting` who wait.
    pub const fn new(at_once: usize, most_waiting: usize) -> Self {
        Self { free: Semaphore::const_new(at_once), waiting: AtomicUsize::new(0), most_waiting }
    }

    /// A turn, when it comes; `None` at once when too many wait for theirs.
    pub async fn take(&self) -> Option<SemaphorePermit<'_>> {
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.most_waiting {
            return None;
        }
        let turn = self.free.acquire().await.expect("the semaphore is never closed");
        drop(waiting);
        Some(turn)
    }
}

/// One of those who wait, for as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_pending<F: Future>(future: &mut Pin<Box<F>>) -> bool {
        future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    #[tokio::test]
    async fn so_many_work_so_many_wait_and_the_others_are_turned_away() {
        let turns = BoundedSemaphore::new(2, 3);
        let first = turns.take().await.unwrap();
        let _second = turns.take().await.unwrap();
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(turns.take())).collect();
        for one in &mut waiting {
            assert!(is_pending(one));
        }
        assert!(turns.take().await.is_none());
        drop(waiting.pop());
        let mut late = Box::pin(turns.take());
        assert!(is_pending(&mut late), "who gave up waiting makes room");
        drop(first);
        assert!(!is_pending(&mut waiting[0]));
    }
}
