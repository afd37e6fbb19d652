//! What is counted about certificates.

use std::time::Duration;

use super::{Counter, Level};
use crate::base::time::Timestamp;

/// Counters of the certificate keeper.
#[derive(Debug, Default)]
pub struct CertMetrics {
    /// Certificates that authorities issued.
    pub issued: Counter,
    /// Those among them that took the place of another.
    pub renewed: Counter,
    /// Tries that brought no certificate.
    pub failed: Counter,
    /// Leaves of the local authority.
    pub made: Counter,
    /// Certificate files taken over.
    pub files_taken: Counter,
    /// Certificate files refused.
    pub files_refused: Counter,
    /// AlertState raised, whether or not anybody is told by `alert`.
    pub alarms: Counter,
    /// Turns of the keeper's loop.
    pub ticks: Counter,
    /// When the loop turned last, in seconds since 1970; 0 before its first turn.
    pub last_tick: Level,
    /// When the first of the certificates in service ends, in seconds since 1970; 0 when there is none.
    pub next_expiry: Level,
    /// Certificates in service.
    pub held: Level,
    /// Certificates that are wanted and not there.
    pub missing: Level,
    /// Certificates with less than a sixth of their life left.
    pub in_danger: Level,
    /// 1 while the state folder cannot be written.
    pub state_unwritable: Level,
}

impl CertMetrics {
    /// Longest time between two turns of the keeper's loop when all is well.
    pub const INTERVAL: Duration = Duration::from_secs(30);

    /// Whether the keeper's loop has missed three turns: something holds it, and nothing is renewed.
    pub fn is_stalled(&self, now: Timestamp) -> bool {
        let last = self.last_tick.read();
        last != 0 && now.since(Timestamp::from_unix(last)) > Self::INTERVAL * 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_stands_still_is_noticed_after_three_intervals() {
        let (metrics, start) = (CertMetrics::default(), Timestamp::from_unix(1_000_000));
        assert!(!metrics.is_stalled(start), "it has not begun");
        metrics.last_tick.set(start.unix());
        assert!(!metrics.is_stalled(start + CertMetrics::INTERVAL * 3));
        assert!(metrics.is_stalled(start + CertMetrics::INTERVAL * 3 + Duration::from_secs(1)));
    }
}
