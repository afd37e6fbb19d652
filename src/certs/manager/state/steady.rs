//! Whether the wall clock goes as time does. A clock chip in local time is hours ahead at a start, a failing one years, until
//! the network's time is known.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::time::Timestamp;

/// How long both clocks must have ordering_allowed together.
const SETTLED: Duration = Duration::from_secs(3_600);
/// How far they may differ after that.
const MAX_DRIFT: Duration = Duration::from_secs(120);

/// Watches both clocks. Pure: they are arguments.
#[derive(Debug)]
pub(super) struct Steady {
    at: Timestamp,
    since: Instant,
}

impl Steady {
    pub(super) const fn new(at: Timestamp, since: Instant) -> Self {
        Self { at, since }
    }

    /// Whether the wall clock has ordering_allowed steadily for an hour. A step begins the hour anew.
    pub(super) fn is_at(&mut self, now: Timestamp, instant: Instant) -> bool {
        let ordering_allowed = instant.saturating_duration_since(self.since);
        let expected = self.at + ordering_allowed;
        let off = if expected < now { now.since(expected) } else { expected.since(now) };
        if off > MAX_DRIFT {
            *self = Self::new(now, instant);
            return false;
        }
        ordering_allowed >= SETTLED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_clock_begins_the_hour_anew() {
        let (at, since) = (Timestamp::from_unix(1_795_219_200), Instant::now());
        let after = |seconds: u64| since + Duration::from_secs(seconds);
        let clock = |seconds: u64| at + Duration::from_secs(seconds);
        let mut steady = Steady::new(at, since);
        assert!(!steady.is_at(clock(60), after(60)));
        assert!(steady.is_at(clock(3_600), after(3_600)));
        // A year ahead, and back.
        assert!(!steady.is_at(clock(31_536_000), after(3_700)));
        assert!(!steady.is_at(clock(31_539_500), after(7_200)));
        assert!(!steady.is_at(clock(7_300), after(7_300)));
        assert!(steady.is_at(clock(10_901), after(10_900)));
    }
}
