//! How fast an authority is asked: never more failed authorizations, orders or duplicates than it forgives. Pure.
//!
//! The numbers are Let's Encrypt's published limits with a margin for what a person may have to do by hand
//! (letsencrypt.org/docs/rate-limits). An authority whose limits are not known is paced by concurrency and by its own
//! `Retry-After` alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;
use crate::state::history::{Ended, History};
use crate::state::schema::Bucket;

mod quota;

pub use quota::{Budget, Share};

/// A moment later than now by more than this was noted while the clock was ahead.
const SKEW: Duration = Duration::from_secs(3_600);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// Failed authorizations of a name in an hour; Let's Encrypt refuses the sixth.
const MAX_FAILED_VALIDATIONS: usize = 5;
/// Orders for one certificate in an hour and a day, unless they succeed.
const MAX_PER_HOUR: usize = 6;
const MAX_PER_DAY: usize = 10;
/// Certificates issued for one exact set of names in a week (or in one of its lives, if that is shorter). Let's Encrypt
/// refuses the sixth; the fifth is kept for when nothing valid is held.
const MAX_DUPLICATES: usize = 4;

/// Orders at a time at one authority.
pub const AT_A_TIME: usize = 10;

/// Until when one more order for this certificate has to wait; `None` when it may begin now. `life` is the lifetime
/// of the certificate held, `None` when nothing valid is held.
pub fn held_back(history: &History, life: Option<Duration>, now: Timestamp) -> Option<(Timestamp, Limit)> {
    let unlucky = |ended: Ended| ended.is_order() && ended != Ended::Issued;
    let most_issued = MAX_DUPLICATES + usize::from(life.is_none());
    [
        (history.full_until(MAX_FAILED_VALIDATIONS, HOUR, now, Ended::is_unproved), Limit::Unproved),
        (history.full_until(MAX_PER_HOUR, HOUR, now, unlucky), Limit::Orders),
        (history.full_until(MAX_PER_DAY, DAY, now, unlucky), Limit::Orders),
        (history.full_until(most_issued, life.map_or(WEEK, |life| life.min(WEEK)), now, Ended::is_issued), Limit::Duplicates),
    ]
    .into_iter()
    .filter_map(|(until, limit)| until.map(|until| (until, limit)))
    .max_by_key(|(until, _)| *until)
}

/// How many failed proofs one more try may cost; at least 1, because [`held_back`] lets no try begin at 0.
pub fn proofs_left(history: &History, now: Timestamp) -> usize {
    // An attempt of the try's own that is open counts among those that may fail.
    let most = MAX_FAILED_VALIDATIONS + usize::from(history.is_open()) + 1;
    (1..=MAX_FAILED_VALIDATIONS)
        .rev()
        .find(|left| history.full_until(most - left, HOUR, now, Ended::is_unproved).is_none())
        .unwrap_or(1)
}

/// Which of the limits holds an order back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// Too many failed validations.
    Unproved,
    /// Too many orders that came to nothing.
    Orders,
    /// Too many certificates for the same names.
    Duplicates,
}

impl Limit {
    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Unproved => "5 validations failed within an hour, which is what authorities forgive",
            Self::Orders => "several orders came to nothing in short time",
            Self::Duplicates => "the same certificate was issued 4 times within a week, and authorities refuse the sixth",
        }
    }
}

/// How an authority limits new orders of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderLimit {
    /// Orders that may come at once.
    pub burst: u32,
    /// One order comes back in this time.
    pub refill: Duration,
    /// Kept for renewals; first-time names stop before it.
    pub reserve: u32,
}

/// The published limit of the authority at this directory URL, if it has one.
pub fn order_limit(directory: &str) -> Option<OrderLimit> {
    let host = directory.split("://").nth(1)?.split('/').next()?;
    (host.ends_with(".api.letsencrypt.org") && !host.contains("staging")).then_some(OrderLimit {
        burst: 300,
        refill: Duration::from_secs(36),
        reserve: 50,
    })
}

impl OrderLimit {
    /// Orders left in the bucket at `now`. A bucket from the future was counted while the clock was ahead: when it was is not
    /// known, and it would never be filled again before that moment, so it counts as full; the authority's own count and its
    /// `Retry-After` hold in any case.
    pub fn left(&self, bucket: Option<Bucket>, now: Timestamp) -> u32 {
        let Some(bucket) = bucket.filter(|bucket| bucket.at <= now + SKEW) else { return self.burst };
        let back = now.since(bucket.at).as_secs() / self.refill.as_secs().max(1);
        bucket.left.saturating_add(u32::try_from(back).unwrap_or(u32::MAX)).min(self.burst)
    }

    /// The bucket after one more order.
    pub fn take(&self, bucket: Option<Bucket>, now: Timestamp) -> Bucket {
        let left = self.left(bucket, now);
        // Time already waited towards the next token is kept.
        let at = match bucket {
            Some(bucket) if left < self.burst && bucket.at <= now => bucket.at + self.refill * (left.saturating_sub(bucket.left)),
            _ => now,
        };
        Bucket { left: left.saturating_sub(1), at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + seconds)
    }

    fn history(attempts: &[(i64, Ended)]) -> History {
        let mut history = History::default();
        for (seconds, ended) in attempts {
            history.begin(at(*seconds));
            history.end(*ended);
        }
        history
    }

    fn check(attempts: &[(i64, Ended)], life: Option<Duration>, now: i64, expected: Option<(i64, Limit)>) {
        let expected = expected.map(|(until, limit)| (at(until), limit));
        assert_eq!(held_back(&history(attempts), life, at(now)), expected);
    }

    #[test]
    fn the_sixth_failed_validation_waits_for_the_hour_to_pass() {
        let five = [(0, Ended::Unproved), (1, Ended::Unproved), (60, Ended::Open), (70, Ended::Unproved), (80, Ended::Unproved)];
        check(&five, None, 90, Some((3_600, Limit::Unproved)));
        check(&five, None, 3_600, None);
        check(&five[1..], None, 90, None);
    }

    #[test]
    fn a_try_may_cost_what_the_hour_still_forgives() {
        let check = |before: i64, expected| {
            let mut tried: Vec<_> = (0..before).map(|n| (n, Ended::Unproved)).collect();
            tried.push((50, Ended::Open));
            assert_eq!(proofs_left(&history(&tried), at(60)), expected, "after {before}");
            tried.pop();
            assert_eq!(proofs_left(&history(&tried), at(60)), expected, "after {before}, before the next");
        };
        check(0, 5);
        check(1, 4);
        check(4, 1);
    }

    #[test]
    fn orders_that_come_to_nothing_are_few_in_an_hour_and_a_day() {
        let six: Vec<_> = (0..6).map(|n| (n * 10, Ended::Failed)).collect();
        check(&six, None, 100, Some((3_600, Limit::Orders)));
        let ten: Vec<_> = (0..10).map(|n| (n * 4_000, Ended::Failed)).collect();
        check(&ten, None, 40_000, Some((86_400, Limit::Orders)));
        let refused: Vec<_> = (0..40).map(|n| (n, Ended::NoOrder)).collect();
        check(&refused, None, 100, None);
    }

    #[test]
    fn the_fifth_duplicate_is_kept_for_when_nothing_valid_is_held() {
        let four: Vec<_> = (0..4).map(|n| (n, Ended::Issued)).collect();
        check(&four, Some(90 * DAY), 10, Some((7 * 86_400, Limit::Duplicates)));
        check(&four, None, 10, None);
        check(&four, Some(Duration::from_secs(60)), 61, None);
    }

    #[test]
    fn certificates_that_cannot_be_used_count_as_issued() {
        let five: Vec<_> = (0..5).map(|n| (n * 7_200, Ended::Unusable)).collect();
        check(&five[..4], None, 40_000, None);
        check(&five, None, 40_000, Some((7 * 86_400, Limit::Duplicates)));
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_order_every_36_seconds() {
        let limit = order_limit("https://acme-v02.api.letsencrypt.org/directory").unwrap();
        assert_eq!(order_limit("https://localhost:14000/dir"), None);
        let mut bucket = None;
        for _ in 0..300 {
            bucket = Some(limit.take(bucket, at(0)));
        }
        assert_eq!(limit.left(bucket, at(35)), 0);
        assert_eq!(limit.left(bucket, at(37)), 1);
        bucket = Some(limit.take(bucket, at(71)));
        assert_eq!(limit.left(bucket, at(71)), 0);
        assert_eq!(limit.left(bucket, at(72)), 1, "the wait so far is not lost");
        assert_eq!(limit.left(bucket, at(10_000_000)), 300);
        assert_eq!(limit.left(bucket, at(-1_000)), 0);
        assert_eq!(limit.left(bucket, at(-10_000_000)), 300, "counted while the clock was ahead");
        assert_eq!(limit.take(bucket, at(-10_000_000)), Bucket { left: 299, at: at(-10_000_000) });
    }
}
