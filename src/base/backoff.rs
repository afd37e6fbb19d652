//! How long to wait after the n-th failure in a row. The only ladder in the program.

use std::time::Duration;

use super::rng::Rng;

/// Waits that grow by `factor` from `first` to `most`, each stretched by up to a quarter so that many failures
/// of one moment do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// Multiplies each next wait.
    pub factor: u32,
    /// No wait is longer than this, before its stretch.
    pub most: Duration,
}

impl Backoff {
    /// What Let's Encrypt asks of clients: 1 min, 10 min, 100 min, then once a day for each certificate.
    pub const ORDERS: Self = Self { first: Duration::from_secs(60), factor: 10, most: Duration::from_secs(86_400) };

    /// For things on this machine or next to it: half a second up to half a minute.
    pub const NEARBY: Self = Self { first: Duration::from_millis(500), factor: 2, most: Duration::from_secs(30) };

    /// The wait after `fails` failures in a row; zero after none.
    pub fn delay(&self, fails: u32, rng: &mut Rng) -> Duration {
        if fails == 0 {
            return Duration::ZERO;
        }
        let mut wait = self.first;
        for _ in 1..fails {
            wait = wait.saturating_mul(self.factor);
            if wait >= self.most {
                break;
            }
        }
        wait.min(self.most).mul_f64(1.0 + rng.fraction() / 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_day_and_are_never_shorter_than_asked() {
        let mut rng = Rng::seeded(3);
        for (fails, least) in [(0, 0), (1, 60), (2, 600), (3, 6_000), (4, 60_000), (5, 86_400), (4_000_000, 86_400)] {
            let wait = Backoff::ORDERS.delay(fails, &mut rng).as_secs();
            assert!(wait >= least && wait <= least * 5 / 4, "{fails} fails wait {wait} s");
        }
    }
}
