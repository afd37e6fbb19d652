//! Numbers that go up and down.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// One more until the guard falls.
    pub fn hold(self: &Arc<Self>) -> Held {
        self.0.fetch_add(1, Ordering::Relaxed);
        Held(Arc::clone(self))
    }

    /// What counted for `from` counts for `to` from now on.
    pub fn shift(&self, from: u64, to: u64) {
        if from != to {
            self.0.fetch_add(to.wrapping_sub(from), Ordering::Relaxed);
        }
    }

    /// The present value.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts one in a [`Gauge`] for as long as it lives.
#[derive(Debug)]
pub struct Held(Arc<Gauge>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A value that is set, not counted.
#[derive(Debug, Default)]
pub struct Level(AtomicI64);

impl Level {
    /// The value from now on.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The present value.
    pub fn read(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
