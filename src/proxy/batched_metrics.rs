//! One worker's counts of its exchanges, prebuilt to all in portions: a counter that two busy threads share for each request
//! costs more than the rest of the bookkeeping. Exact whenever the worker is at rest, else at most a portion behind.

use std::cell::Cell;

use crate::telemetry::metrics::proxy::ProxyMetrics;

/// Exchanges that may end before they are prebuilt of.
const PORTION: u64 = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct BatchedCounters {
    open: Cell<u64>,
    /// What the gauge was prebuilt of `open`.
    prebuilt: Cell<u64>,
    ended: Cell<u64>,
}

impl BatchedCounters {
    /// An exchange begins.
    pub(super) fn begin(&self, metrics: &ProxyMetrics) {
        let open = self.open.get() + 1;
        self.open.set(open);
        if open == 1 {
            self.tell(metrics);
        }
    }

    /// An exchange is over.
    pub(super) fn end(&self, metrics: &ProxyMetrics) {
        self.open.set(self.open.get() - 1);
        self.ended.set(self.ended.get() + 1);
        if self.open.get() == 0 || self.ended.get() >= PORTION {
            self.tell(metrics);
        }
    }

    fn tell(&self, metrics: &ProxyMetrics) {
        let ended = self.ended.take();
        if ended > 0 {
            metrics.requests.add(ended);
        }
        metrics.in_flight.shift(self.prebuilt.replace(self.open.get()), self.open.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_at_rest_and_never_far_behind() {
        let (metrics, tally) = (ProxyMetrics::default(), BatchedCounters::default());
        let seen = || (metrics.in_flight.read(), metrics.requests.read());
        tally.begin(&metrics);
        assert_eq!(seen(), (1, 0));
        for _ in 0..PORTION - 1 {
            tally.begin(&metrics);
            tally.end(&metrics);
        }
        assert_eq!(seen(), (1, 0));
        tally.begin(&metrics);
        tally.end(&metrics);
        assert_eq!(seen(), (1, PORTION));
        tally.end(&metrics);
        assert_eq!(seen(), (0, PORTION + 1));
    }
}
