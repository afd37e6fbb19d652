//! The token bucket as one number: the moment at which it will be full again (the generic cell rate algorithm, ITU-T
//! I.371). Pure.

use std::time::Duration;

/// How fast tokens come back, and how many the bucket holds. Moments are nanoseconds since any fixed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Time in which one token comes back; at least 1.
    each: u64,
    /// Time in which an empty bucket fills.
    whole: u64,
}

impl Rate {
    /// `count` tokens come back in `per`; `burst` more than the one that is due may be taken at once.
    pub fn new(count: u32, per: Duration, burst: u32) -> Self {
        let each = nanos(per).checked_div(u64::from(count)).unwrap_or(u64::MAX).max(1);
        Self { each, whole: each.saturating_mul(u64::from(burst) + 1) }
    }

    /// Takes one token at `now` from a bucket that is full at `full_at`; a bucket never seen is full at 0. Gives the
    /// moment at which it is full after that, or how long to wait for a token.
    pub fn take(self, full_at: u64, now: u64) -> Result<u64, Duration> {
        let next = full_at.max(now).saturating_add(self.each);
        match next.saturating_sub(now).checked_sub(self.whole) {
            None | Some(0) => Ok(next),
            Some(early) => Err(Duration::from_nanos(early)),
        }
    }
}

/// Whole nanoseconds; 584 years are the most.
pub fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// What `Retry-After` says of a wait: whole seconds, rounded up, never 0 (RFC 9110 section 10.2.3).
pub fn retry_after(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// A bucket of one owner, who needs no table.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    rate: Rate,
    full_at: u64,
}

impl Bucket {
    /// A full one.
    pub const fn full(rate: Rate) -> Self {
        Self { rate, full_at: 0 }
    }

    /// Takes one token, or says how long to wait for it.
    pub fn take(&mut self, now: u64) -> Result<(), Duration> {
        self.full_at = self.rate.take(self.full_at, now)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Each case is (seconds, whether a token was there), in turn.
    fn check(rate: Rate, cases: &[(u64, bool)]) {
        let mut bucket = Bucket::full(rate);
        for (index, (at, expected)) in cases.iter().enumerate() {
            assert_eq!(bucket.take(1000 * SECOND + at * SECOND).is_ok(), *expected, "case {index} of {cases:?}");
        }
    }

    #[test]
    fn ten_a_minute_with_a_burst_of_five_lets_six_through_at_once_and_then_one_in_six_seconds() {
        let rate = Rate::new(10, Duration::from_secs(60), 5);
        check(rate, &[(0, true), (0, true), (0, true), (0, true), (0, true), (0, true), (0, false), (5, false)]);
        check(rate, &[(0, true), (0, true), (0, true), (0, true), (0, true), (0, true), (6, true), (6, false), (12, true)]);
    }

    #[test]
    fn a_refusal_costs_nothing_and_says_how_long() {
        let mut bucket = Bucket::full(Rate::new(1, Duration::from_secs(3600), 0));
        bucket.take(SECOND).unwrap();
        assert_eq!(bucket.take(SECOND), Err(Duration::from_secs(3600)));
        assert_eq!(bucket.take(1801 * SECOND), Err(Duration::from_secs(1800)));
        assert_eq!(bucket.take(3601 * SECOND), Ok(()));
    }

    #[test]
    fn a_long_rest_fills_the_bucket_and_no_more() {
        let rate = Rate::new(2, Duration::from_secs(1), 1);
        check(rate, &[(0, true), (0, true), (0, false), (900, true), (900, true), (900, false)]);
    }

    #[test]
    fn absurd_numbers_do_not_overflow() {
        let rate = Rate::new(1, Duration::MAX, u32::MAX);
        assert!(rate.take(u64::MAX, 0).is_ok());
        assert!(Rate::new(u32::MAX, Duration::from_nanos(1), 0).take(0, 5).is_ok());
        assert!(Rate::new(0, Duration::from_secs(1), 0).take(0, 0).is_ok());
    }

    #[test]
    fn retry_after_is_never_too_early() {
        let check = |millis, seconds| assert_eq!(retry_after(Duration::from_millis(millis)), seconds, "for {millis} ms");
        check(0, 1);
        check(1, 1);
        check(1000, 1);
        check(1001, 2);
        check(5999, 6);
    }
}
