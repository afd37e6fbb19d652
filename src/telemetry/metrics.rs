//! Counters and gauges: one struct for each concern, handed to whoever counts, no global registry. A counter is a
//! relaxed atomic; reading several of them is not a consistent cut, and need not be.

use std::sync::atomic::{AtomicU64, Ordering};

use super::remarks::Remarks;

pub mod certs;
pub mod handshakes;
pub mod proxy;
pub mod tunnels;
pub mod upgrades;

/// Only ever goes up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add_one(&self) {
        self.add(1);
    }

    /// `n` more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The count so far.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// One more until the guard falls.
    pub fn hold(self: &std::sync::Arc<Self>) -> Held {
        self.0.fetch_add(1, Ordering::Relaxed);
        Held(std::sync::Arc::clone(self))
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
pub struct Held(std::sync::Arc<Gauge>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All counters of one running gateway.
#[derive(Debug, Default)]
pub struct Metrics {
    /// The request path's.
    pub proxy: proxy::ProxyMetrics,
    /// TLS with clients.
    pub handshakes: handshakes::HandshakeMetrics,
    /// The certificates'.
    pub certs: certs::CertMetrics,
    /// What was seen and deserves one line.
    pub remarks: Remarks,
}
