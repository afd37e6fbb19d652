//! The waker a connection is polled with: it passes wake-ups on to whichever task uses the connection now, and remembers
//! one that comes while nobody does.
//!
//! A connection and the handles on it wake each other through hyper's channels. Where both ends are polled in one task,
//! in an order that misses nothing, such a wake-up only makes the whole task run again for nothing. So the handles are
//! used while the relay is muted.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};

/// Passes wake-ups on, unless muted. Everything that wakes through it lives on the same thread, so nothing can be missed
/// while it is muted but what that very thread does in the meantime.
#[derive(Debug)]
pub(super) struct Relay {
    mode: AtomicU8,
    stirred: AtomicBool,
    /// The task that uses the connection now.
    task: Mutex<Waker>,
}

const PASS: u8 = 0;
const MUTED: u8 = 1;
const RESTING: u8 = 2;

/// Keeps a relay muted until dropped.
pub(super) struct Muted<'a>(&'a Relay);

impl Relay {
    pub(super) fn new() -> Arc<Self> {
        let task = Mutex::new(Waker::noop().clone());
        Arc::new(Self { mode: AtomicU8::new(PASS), stirred: AtomicBool::new(false), task })
    }

    /// From now on `task` is woken.
    pub(super) fn aim(&self, task: &Waker) {
        self.mode.store(PASS, Ordering::Relaxed);
        let mut aimed = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !aimed.will_wake(task) {
            aimed.clone_from(task);
        }
    }

    pub(super) fn mute(&self) -> Muted<'_> {
        self.mode.store(MUTED, Ordering::Relaxed);
        Muted(self)
    }

    /// From now on nobody is woken, until [`aim`](Self::aim).
    pub(super) fn rest(&self) {
        self.stirred.store(false, Ordering::Relaxed);
        self.mode.store(RESTING, Ordering::Relaxed);
    }

    /// Whether somebody was to be woken since [`rest`](Self::rest).
    pub(super) fn was_stirred(&self) -> bool {
        self.stirred.load(Ordering::Relaxed)
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match self.mode.load(Ordering::Relaxed) {
            MUTED => {}
            RESTING => self.stirred.store(true, Ordering::Relaxed),
            _ => self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref(),
        }
    }
}

impl Drop for Muted<'_> {
    fn drop(&mut self) {
        self.0.mode.store(PASS, Ordering::Relaxed);
    }
}
