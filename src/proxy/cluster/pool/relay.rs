//! The waker a connection is polled with: it passes wake-ups on to whichever task uses the connection now.
//!
//! A connection and the handles on it wake each other through hyper's channels. Where both ends are polled in one task,
//! in an order that misses nothing, such a wake-up only makes the whole task run again for nothing. So the handles are
//! used while the relay is muted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// Passes wake-ups on, unless muted. Everything that wakes through it lives on the same thread, so nothing can be missed
/// while it is muted but what that very thread does in the meantime.
#[derive(Debug)]
pub(super) struct Relay {
    muted: AtomicBool,
    /// The task that uses the connection now.
    task: Mutex<Waker>,
}

/// Keeps a relay muted until dropped.
pub(super) struct Muted<'a>(&'a Relay);

impl Relay {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { muted: AtomicBool::new(false), task: Mutex::new(Waker::noop().clone()) })
    }

    /// From now on `task` is woken.
    pub(super) fn aim(&self, task: &Waker) {
        let mut aimed = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !aimed.will_wake(task) {
            aimed.clone_from(task);
        }
    }

    pub(super) fn mute(&self) -> Muted<'_> {
        self.muted.store(true, Ordering::Relaxed);
        Muted(self)
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.muted.load(Ordering::Relaxed) {
            self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
        }
    }
}

impl Drop for Muted<'_> {
    fn drop(&mut self) {
        self.0.muted.store(false, Ordering::Relaxed);
    }
}
