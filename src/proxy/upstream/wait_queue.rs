//! Where requests wait while no target of their cluster can take them: counted, and woken at once when one can. Shared by all
//! workers; nobody comes here whose request a target takes.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct WaitQueue {
    waiting: AtomicU32,
    /// PrebuiltHeaders when a target may be tried again.
    bell: Notify,
    /// PrebuiltHeaders when somebody comes in.
    arrival: Notify,
    /// Whether somebody looks out for those who wait.
    watched: AtomicBool,
}

/// A place to wait in, until dropped.
#[derive(Debug)]
pub(super) struct QueueSlot<'a>(&'a WaitQueue);

impl WaitQueue {
    /// A place, unless so many are taken.
    pub(super) fn enter(&self, most: u32) -> Option<QueueSlot<'_>> {
        let one_more = |waiting: u32| (waiting < most).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        self.arrival.notify_waiters();
        Some(QueueSlot(self))
    }

    /// Whether anybody waits.
    pub(super) fn is_occupied(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) != 0
    }

    /// Wakes everybody.
    pub(super) fn ring(&self) {
        self.bell.notify_waiters();
    }

    /// Wakes who waits longest.
    pub(super) fn ring_one(&self) {
        if self.is_occupied() {
            self.bell.notify_one();
        }
    }

    /// Resolves at the next ring.
    pub(super) fn bell(&self) -> Notified<'_> {
        self.bell.notified()
    }

    /// Resolves when somebody comes in.
    pub(super) fn arrival(&self) -> Notified<'_> {
        self.arrival.notified()
    }

    /// Whether the one who asks is to look out; then it is its duty until [`Self::end_watch`].
    pub(super) fn begin_watch(&self) -> bool {
        !self.watched.swap(true, Ordering::SeqCst)
    }

    /// Ends the look-out.
    pub(super) fn end_watch(&self) {
        self.watched.store(false, Ordering::SeqCst);
    }
}

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
