//! How much of what an authority forgives is used up, for people. Pure; what it allows is decided beside it.

use std::time::Duration;

use serde::Serialize;

use super::{DAY, HOUR, MAX_DUPLICATES, MAX_FAILED_VALIDATIONS, MAX_PER_DAY, MAX_PER_HOUR, WEEK, order_limit};
use crate::base::time::Timestamp;
use crate::state::history::{Ended, History};
use crate::state::schema::Bucket;

/// So many of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Used up.
    pub used: u32,
    /// What there is.
    pub most: u32,
}

/// What one certificate, and the account it is ordered by, have used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Failed validations in the last hour.
    pub failed_proofs: Share,
    /// Orders that came to nothing in the last hour.
    pub orders_in_hour: Share,
    /// The same in the last day.
    pub orders_in_day: Share,
    /// Certificates for these names in the last week, or in one of their lives if that is shorter.
    pub issued_in_week: Share,
    /// Orders of the whole account, where its authority's limit is known; they come back one by one.
    pub account_orders: Option<Share>,
}

impl Budget {
    /// For a certificate with this past, ordered at `directory`. `life` is the lifetime of the one held, `None` when
    /// nothing valid is held.
    pub fn of(history: &History, life: Option<Duration>, directory: &str, bucket: Option<Bucket>, now: Timestamp) -> Self {
        let share = |span, most: usize, counts: fn(Ended) -> bool| Share {
            used: small(history.count(span, now, counts)),
            most: small(most),
        };
        let unlucky = |ended: Ended| ended.is_order() && ended != Ended::Issued;
        let week = life.map_or(WEEK, |life| life.min(WEEK));
        let limit = order_limit(directory);
        Self {
            failed_proofs: share(HOUR, MAX_FAILED_VALIDATIONS, Ended::is_unproved),
            orders_in_hour: share(HOUR, MAX_PER_HOUR, unlucky),
            orders_in_day: share(DAY, MAX_PER_DAY, unlucky),
            issued_in_week: share(week, MAX_DUPLICATES + usize::from(life.is_none()), |ended| ended == Ended::Issued),
            account_orders: limit.map(|limit| Share { used: limit.burst - limit.left(bucket, now), most: limit.burst }),
        }
    }
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_up_is_told_beside_what_there_is() {
        let at = |seconds: i64| Timestamp::from_unix(1_800_000_000 + seconds);
        let mut history = History::default();
        for (seconds, ended) in [(0, Ended::Issued), (80_000, Ended::Failed), (99_000, Ended::Unproved), (99_500, Ended::NoOrder)]
        {
            history.begin(at(seconds));
            history.end(ended);
        }
        let lets_encrypt = "https://acme-v02.api.letsencrypt.org/directory";
        let bucket = Some(Bucket { left: 280, at: at(99_964) });
        let budget = Budget::of(&history, None, lets_encrypt, bucket, at(100_000));
        assert_eq!(budget.failed_proofs, Share { used: 1, most: 5 });
        assert_eq!(budget.orders_in_hour, Share { used: 1, most: 6 });
        assert_eq!(budget.orders_in_day, Share { used: 2, most: 10 });
        assert_eq!(budget.issued_in_week, Share { used: 1, most: 5 });
        assert_eq!(budget.account_orders, Some(Share { used: 19, most: 300 }));
        assert_eq!(Budget::of(&history, Some(DAY), "https://ca.example/dir", None, at(100_000)).account_orders, None);
    }
}
