//! What was tried for one certificate and how it ended, for budgets that count over restarts and for the operator.
//! It counts; what the counts allow is for the planner to say.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::time::Timestamp;

/// Attempts remembered for one certificate: enough for a week of daily tries and an hour of hasty ones.
const REMEMBERED: usize = 40;

/// Of these, attempts that brought no certificate: an outage of a week must not make us forget what was issued before it.
const MAX_FRUITLESS: usize = 30;

/// An attempt later than now by more than this was made while the clock was wrong.
const SKEW: Duration = Duration::from_secs(86_400);

/// One order, from before the authority heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it was begun.
    pub at: Timestamp,
    /// How it ended.
    pub ended: Ended,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// Not yet, or the process died.
    Open,
    /// A certificate was issued.
    Issued,
    /// The authority could not validate a name.
    Unproved,
    /// An order was made and came to nothing for another reason.
    Failed,
    /// The authority never made an order: unreachable, busy or refusing at the door.
    NoOrder,
    /// A certificate was issued that can never be used: for other names, for another key, of impossible dates.
    Unusable,
}

impl Ended {
    /// Whether the authority counted it as a new order. One that is still open is counted, to be on the safe side.
    pub const fn is_order(self) -> bool {
        !matches!(self, Self::NoOrder)
    }

    /// Whether the authority may have counted a failed authorization.
    pub const fn is_unproved(self) -> bool {
        matches!(self, Self::Open | Self::Unproved)
    }

    /// Whether the authority counted a certificate, whatever it was worth.
    pub const fn is_issued(self) -> bool {
        matches!(self, Self::Issued | Self::Unusable)
    }
}

/// The latest attempts for one certificate, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(Vec<Attempt>);

impl History {
    /// Notes an attempt before it is made.
    pub fn begin(&mut self, now: Timestamp) {
        self.0.push(Attempt { at: now, ended: Ended::Open });
        while self.0.len() > REMEMBERED {
            self.forget_one();
        }
    }

    /// What no limit counts goes first.
    fn forget_one(&mut self) {
        let fruitless = self.0.iter().filter(|attempt| !attempt.ended.is_issued()).count();
        let in_the_way = |attempt: &Attempt| attempt.ended.is_issued() == (fruitless <= MAX_FRUITLESS);
        let never_made = self.0.iter().position(|attempt| attempt.ended == Ended::NoOrder);
        let oldest = never_made.or_else(|| self.0.iter().position(in_the_way));
        self.0.remove(oldest.unwrap_or(0));
    }

    /// Notes how the attempt that is open ended; nothing when none is.
    pub fn end(&mut self, ended: Ended) {
        if let Some(last) = self.0.last_mut().filter(|last| last.ended == Ended::Open) {
            last.ended = ended;
        }
    }

    /// As [`History::end`], but what was issued counts also when its order was thought to be lost.
    pub fn settle(&mut self, ended: Ended, now: Timestamp) {
        if ended.is_issued() && !self.is_open() {
            self.begin(now);
        }
        self.end(ended);
    }

    /// Whether the latest attempt has not ended.
    pub fn is_open(&self) -> bool {
        self.0.last().is_some_and(|last| last.ended == Ended::Open)
    }

    /// The attempts, oldest first.
    pub fn attempts(&self) -> &[Attempt] {
        &self.0
    }

    /// How many attempts that `count` began within the last `span`.
    pub fn count(&self, span: Duration, now: Timestamp, counts: impl Fn(Ended) -> bool) -> usize {
        let recent = |attempt: &&Attempt| attempt.at <= now + SKEW && now < attempt.at.min(now) + span;
        self.0.iter().filter(recent).filter(|attempt| counts(attempt.ended)).count()
    }

    /// When at most `most` attempts that `count` begin within any `span`: `None` when one more may begin at once,
    /// else the moment from which it may.
    pub fn full_until(&self, most: usize, span: Duration, now: Timestamp, counts: impl Fn(Ended) -> bool) -> Option<Timestamp> {
        let oldest_that_matters =
            self.0.iter().rev().filter(|attempt| counts(attempt.ended) && attempt.at <= now + SKEW).nth(most.checked_sub(1)?)?;
        let free_again = oldest_that_matters.at.min(now) + span;
        (free_again > now).then_some(free_again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

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

    #[test]
    fn a_full_hour_frees_with_its_oldest_attempt() {
        let tried = history(&[(0, Ended::Unproved), (60, Ended::NoOrder), (100, Ended::Unproved), (200, Ended::Open)]);
        let check = |most, now, expected: Option<i64>| {
            assert_eq!(tried.full_until(most, HOUR, at(now), Ended::is_unproved), expected.map(at), "{most} at {now}");
        };
        check(4, 300, None);
        check(3, 300, Some(3_600));
        check(3, 3_599, Some(3_600));
        check(3, 3_600, None);
        check(2, 3_600, Some(3_700));
        assert_eq!(tried.count(HOUR, at(3_599), Ended::is_unproved), 3);
        assert_eq!(tried.count(HOUR, at(3_650), Ended::is_unproved), 2);
        assert_eq!(tried.count(HOUR, at(300), |_| true), 4);
    }

    #[test]
    fn attempts_made_under_a_wrong_clock_do_not_block_for_years() {
        let tried = history(&[(315_360_000, Ended::Unproved)]);
        assert_eq!(tried.full_until(1, HOUR, at(0), Ended::is_unproved), None);
    }

    #[test]
    fn the_past_is_bounded() {
        let mut history = History::default();
        for n in 0..500 {
            history.begin(at(n));
        }
        assert_eq!(history.attempts().len(), REMEMBERED);
        assert_eq!(history.attempts().last().unwrap().at, at(499));
    }

    #[test]
    fn an_outage_of_a_week_does_not_make_it_forget_what_was_issued() {
        let mut history = history(&[(0, Ended::Issued), (1, Ended::Issued), (2, Ended::Unproved)]);
        for n in 0..700 {
            history.begin(at(900 * n));
            history.end(Ended::NoOrder);
        }
        let count = |counts: fn(Ended) -> bool| history.attempts().iter().filter(|attempt| counts(attempt.ended)).count();
        assert_eq!((count(Ended::is_issued), count(Ended::is_unproved), history.attempts().len()), (2, 1, REMEMBERED));
    }

    #[test]
    fn neither_successes_nor_failures_push_all_of_the_others_out() {
        let mut history = History::default();
        let mut add = |count: i64, ended| {
            for n in 0..count {
                history.begin(at(n));
                history.end(ended);
            }
            history.attempts().iter().filter(|attempt| attempt.ended.is_issued()).count()
        };
        assert_eq!(add(100, Ended::Issued), REMEMBERED);
        assert_eq!(add(100, Ended::Failed), REMEMBERED - MAX_FRUITLESS);
        assert_eq!(add(20, Ended::Unusable), REMEMBERED - MAX_FRUITLESS + 1);
    }
}
