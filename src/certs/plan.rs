//! Decides what to do next for every certificate, from facts alone. Pure: no clock, no rng, no logging; every moment
//! it compares with was chosen when the record was settled.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::desired::{Authority, DesiredCert, Source};
use super::inventory::{Doing, Inventory, NOT_YET, Record};
use super::rate_limit::{self, Limit, OrderLimit};
use crate::base::time::Timestamp;
use crate::state::schema::IssuerMemory;
use crate::state::slug::Slug;

/// A clock before this (2026-11-01) is plainly wrong: this program did not exist then.
pub const EARLIEST: Timestamp = Timestamp::from_unix(1_793_491_200);

/// What to do now, and when to look again.
#[derive(Debug)]
pub struct Plan<'a> {
    /// To be begun at once, the most urgent first.
    pub actions: Vec<Action<'a>>,
    /// Nothing changes by itself before this.
    pub wake: Timestamp,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<'a> {
    /// Obtain a certificate from an authority.
    Issue {
        /// For which need.
        need: &'a DesiredCert,
        /// From whom.
        from: &'a Authority,
        /// What made it due.
        why: Why,
    },
    /// Try the order at the staging directory of an authority where it failed.
    Rehearse {
        /// For which need.
        need: &'a DesiredCert,
        /// The authority it is for.
        of: &'a Authority,
        /// Whom to ask.
        at: Authority,
        /// What made it due.
        why: Why,
    },
    /// Let the local authority make one.
    Make {
        /// For which need.
        need: &'a DesiredCert,
        /// What made it due.
        why: Why,
    },
    /// Ask an authority when it wants the certificate renewed (RFC 9773).
    AskWindow {
        /// For which need.
        need: &'a DesiredCert,
        /// Whom.
        from: &'a Authority,
    },
    /// Look by our own means whether what failed at a validation is in order.
    Look {
        /// For which need.
        need: &'a DesiredCert,
        /// Where it failed.
        from: &'a Authority,
    },
}

/// What made a certificate due. Declared by urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The one held has expired.
    Expired,
    /// The one held begins in the future: it was made under a clock that was ahead.
    NotYetValid,
    /// It is time: by the authority's window or by the fraction of life.
    Due,
    /// The operator asked for it.
    Asked,
    /// None is held.
    Missing,
}

/// What is next for one need.
#[derive(Clone, Debug, PartialEq)]
pub enum Next<'a> {
    /// This.
    Act(Action<'a>),
    /// Nothing before this moment, and why.
    Wait(Timestamp, Waiting),
    /// Nothing by itself.
    Nothing,
}

/// Why nothing is done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// All is well until its renewal.
    Renewal,
    /// After a failure.
    Backoff,
    /// The authority wants nothing more about this name for a while.
    Asked,
    /// So that the authority's limits are not reached.
    Limit(Limit),
    /// The authority is down, or asked to be left alone.
    Issuer,
    /// The authority's bucket of new orders is empty.
    Bucket,
    /// The clock is plainly wrong.
    Clock,
}

/// Decides for all needs. At most [`rate_limit::AT_A_TIME`] things are under way at one authority; renewals go first.
pub fn plan<'a>(needs: &'a [DesiredCert], book: &Inventory, now: Timestamp) -> Plan<'a> {
    let mut wanted = Vec::new();
    let mut wake = now + Duration::from_secs(86_400);
    for need in needs {
        match next(need, book, now) {
            Next::Act(action) => wanted.push(action),
            Next::Wait(at, waiting) => {
                let recheck = book.records.get(&need.id).and_then(|record| record.recheck.as_ref());
                let look = recheck.filter(|_| waiting == Waiting::Backoff).map_or(at, |recheck| recheck.at);
                wake = wake.min(at).min(look);
            }
            Next::Nothing => (),
        }
    }
    wanted.sort_by_key(Action::urgency);
    let mut free = Permits::new(book, now);
    let actions = wanted.into_iter().filter(|action| free.take(action)).collect();
    Plan { actions, wake }
}

/// Where each of these that waits for nothing but its turn stands, counted from 1, in the order of [`plan`].
pub(crate) fn turns(nexts: &[Next<'_>]) -> Vec<Option<usize>> {
    let mut turns = vec![None; nexts.len()];
    let ready = nexts.iter().enumerate().filter_map(|(at, next)| match next {
        Next::Act(action) => Some((action.urgency(), at)),
        Next::Wait(..) | Next::Nothing => None,
    });
    for (turn, (_, at)) in ready.collect::<BTreeSet<_>>().into_iter().enumerate() {
        turns[at] = Some(turn + 1);
    }
    turns
}

/// Decides for one need, as if it were alone.
pub fn next<'a>(need: &'a DesiredCert, book: &Inventory, now: Timestamp) -> Next<'a> {
    let fresh = Record::default();
    let record = book.records.get(&need.id).unwrap_or(&fresh);
    if record.doing.is_some() {
        return Next::Nothing;
    }
    match (&need.source, due(&need.source, record, now)) {
        (Source::Files { .. }, _) => Next::Nothing,
        (Source::Local, Some(why)) => match record.memory.pause.and_then(|pause| pause.holds(now)) {
            Some(until) => Next::Wait(until, Waiting::Backoff),
            None => Next::Act(Action::Make { need, why }),
        },
        (Source::Acme(_), _) if now < EARLIEST => Next::Wait(EARLIEST, Waiting::Clock),
        (Source::Acme(authorities), Some(why)) => match obstacle(authorities, record, book, why, now) {
            Some((_, Waiting::Backoff)) if record.recheck.as_ref().is_some_and(|recheck| recheck.at <= now) => {
                Next::Act(Action::Look { need, from: choose(authorities, record, book, now) })
            }
            Some((until, waiting)) => Next::Wait(until, waiting),
            None => Next::Act(order(need, choose(authorities, record, book, now), record, why)),
        },
        (Source::Local | Source::Acme(_), None) => quiet(need, record, book, now),
    }
}

fn order<'a>(need: &'a DesiredCert, from: &'a Authority, record: &Record, why: Why) -> Action<'a> {
    match rehearsal(from, record) {
        Some(at) => Action::Rehearse { need, of: from, at, why },
        None => Action::Issue { need, from, why },
    }
}

/// Where the next order at this authority is tried first, after one that failed. A person who asks gets the real one.
fn rehearsal(from: &Authority, record: &Record) -> Option<Authority> {
    let wanted = record.memory.rehearse.contains(&from.issuer) && !record.asked;
    if wanted { from.rehearsal() } else { None }
}

fn due(source: &Source, record: &Record, now: Timestamp) -> Option<Why> {
    let ahead = if matches!(source, Source::Local) { Duration::ZERO } else { NOT_YET };
    match (&record.held, &record.memory.renewal) {
        (None, _) => Some(Why::Missing),
        (Some(held), _) if held.validity.not_after < now => Some(Why::Expired),
        // One that comes while the clock is behind is not valid yet either: its successor waits, as its record says.
        (Some(held), _) if now + ahead < held.validity.not_before => Some(Why::NotYetValid),
        (Some(_), Some(renewal)) if renewal.renew_at <= now => Some(Why::Due),
        (Some(_), _) if record.asked => Some(Why::Asked),
        (Some(_), _) => None,
    }
}

/// A certificate is held and not due: perhaps its authority is to be asked for its window.
fn quiet<'a>(need: &'a DesiredCert, record: &Record, book: &Inventory, now: Timestamp) -> Next<'a> {
    let (Some(held), Some(renewal)) = (&record.held, &record.memory.renewal) else { return Next::Nothing };
    let Source::Acme(authorities) = &need.source else { return Next::Wait(renewal.renew_at, Waiting::Renewal) };
    let authority = authorities.iter().find(|authority| authority.issuer == held.issuer);
    let (Some(recheck_at), Some(from)) = (renewal.recheck_at, authority) else {
        return Next::Wait(renewal.renew_at, Waiting::Renewal);
    };
    // A moment more than a day ahead was chosen while the clock was wrong.
    let recheck_at = if now + Duration::from_secs(2 * 86_400) < recheck_at { now } else { recheck_at };
    match paused(&held.issuer, book, now) {
        _ if now < recheck_at => Next::Wait(recheck_at.min(renewal.renew_at), Waiting::Renewal),
        Some(until) => Next::Wait(until.min(renewal.renew_at), Waiting::Renewal),
        None => Next::Act(Action::AskWindow { need, from }),
    }
}

/// What stands in the way of an order now, and until when.
fn obstacle(
    authorities: &[Authority],
    record: &Record,
    book: &Inventory,
    why: Why,
    now: Timestamp,
) -> Option<(Timestamp, Waiting)> {
    let from = choose(authorities, record, book, now);
    let memory = &record.memory;
    // A failure elsewhere is no reason to wait here, until each has had its turn.
    let fresh = place(authorities, record).is_some_and(|failed| position(authorities, &from.issuer) > Some(failed));
    let pause = memory.pause.and_then(|pause| pause.holds(now)).filter(|_| !fresh && (!record.asked || memory.limited));
    let pause = pause.map(|until| fallback_at(authorities, record, now).map_or(until, |other| until.min(other)));
    let life = record.held.as_ref().filter(|held| held.validity.holds_at(now)).map(|held| held.validity.lifetime());
    let budget = rate_limit::held_back(&memory.history, life, now);
    let staging = rehearsal(from, record);
    let down = paused(staging.as_ref().map_or(&from.issuer, |at| &at.issuer), book, now);
    let bucket = empty_bucket(&from.acme.directory, book.issuers.get(&from.issuer), why, now);
    [
        pause.map(|until| (until, if memory.limited { Waiting::Asked } else { Waiting::Backoff })),
        budget.map(|(until, limit)| (until, Waiting::Limit(limit))),
        down.map(|until| (until, Waiting::Issuer)),
        bucket.map(|until| (until, Waiting::Bucket)),
    ]
    .into_iter()
    .flatten()
    .max_by_key(|(until, _)| *until)
}

fn paused(issuer: &Slug, book: &Inventory, now: Timestamp) -> Option<Timestamp> {
    book.issuers.get(issuer)?.pause?.holds(now)
}

fn empty_bucket(directory: &str, memory: Option<&IssuerMemory>, why: Why, now: Timestamp) -> Option<Timestamp> {
    let limit = rate_limit::order_limit(directory)?;
    (limit.left(memory?.bucket, now) <= kept(limit, why)).then(|| now + limit.refill)
}

/// Orders that must stay in the bucket after one for this reason: first-time names leave some to renewals.
const fn kept(limit: OrderLimit, why: Why) -> u32 {
    if matches!(why, Why::Missing) { limit.reserve } else { 0 }
}

/// Whether the bucket has an order for this action besides those for all that is under way, which may not be counted yet.
fn has_tokens(action: &Action<'_>, under_way: usize, book: &Inventory, now: Timestamp) -> bool {
    let Action::Issue { from, why, .. } = action else { return true };
    let Some(limit) = rate_limit::order_limit(&from.acme.directory) else { return true };
    let left = limit.left(book.issuers.get(&from.issuer).and_then(|memory| memory.bucket), now) as usize;
    left > kept(limit, *why) as usize + under_way
}

/// The first authority, until it has failed for a day or half of the time that was left at the renewal has gone; from
/// then on the one behind that which failed last, and again the first. One that is down, or asked to be left alone, is
/// passed over for one that is not.
fn choose<'a>(authorities: &'a [Authority], record: &Record, book: &Inventory, now: Timestamp) -> &'a Authority {
    let Some(failed) = place(authorities, record).filter(|_| has_failed_long(record, now)) else { return &authorities[0] };
    let in_turn = || (1..=authorities.len()).map(|step| &authorities[(failed + step) % authorities.len()]);
    let free = in_turn().find(|authority| paused(&authority.issuer, book, now).is_none());
    free.or_else(|| in_turn().min_by_key(|authority| paused(&authority.issuer, book, now))).unwrap_or(&authorities[0])
}

/// Where the last try failed.
fn place(authorities: &[Authority], record: &Record) -> Option<usize> {
    position(authorities, record.memory.failed_at.as_ref()?)
}

fn position(authorities: &[Authority], issuer: &Slug) -> Option<usize> {
    authorities.iter().position(|authority| authority.issuer == *issuer)
}

fn has_failed_long(record: &Record, now: Timestamp) -> bool {
    others_from(record).is_some_and(|from| from <= now)
}

/// When the other authorities are asked, if there are any and that is ahead.
fn fallback_at(authorities: &[Authority], record: &Record, now: Timestamp) -> Option<Timestamp> {
    others_from(record).filter(|from| authorities.len() > 1 && now < *from)
}

/// From when on others are asked, while one fails: a day later, or at half of the time that was left at the renewal.
fn others_from(record: &Record) -> Option<Timestamp> {
    let since = record.memory.failing_since?;
    let a_day = since + Duration::from_secs(86_400);
    let half = match (&record.held, &record.memory.renewal) {
        (Some(held), Some(renewal)) => Some(renewal.renew_at + held.validity.not_after.since(renewal.renew_at) / 2),
        _ => None,
    };
    Some(half.map_or(a_day, |half| half.max(since).min(a_day)))
}

impl Action<'_> {
    /// Smaller goes first: what is nearest to harm, and first-time names after renewals.
    fn urgency(&self) -> u8 {
        match self {
            Self::Make { .. } => 0,
            Self::Issue { why, .. } | Self::Rehearse { why, .. } => 1 + *why as u8,
            Self::AskWindow { .. } => 9,
            Self::Look { .. } => 10,
        }
    }
}

/// Looks of our own at a time.
const MAX_LOOKS: usize = 4;

/// What may still be begun at each authority.
struct Permits<'a> {
    book: &'a Inventory,
    now: Timestamp,
    /// Things under way.
    taken: BTreeMap<Slug, usize>,
    /// Looks under way.
    looks: usize,
}

impl<'a> Permits<'a> {
    fn new(book: &'a Inventory, now: Timestamp) -> Self {
        let (mut taken, mut looks) = (BTreeMap::new(), 0);
        for doing in book.records.values().filter_map(|record| record.doing.as_ref()) {
            match doing {
                Doing::Looking(_) => looks += 1,
                doing => *taken.entry(doing.issuer().clone()).or_default() += 1,
            }
        }
        Self { book, now, taken, looks }
    }

    fn take(&mut self, action: &Action<'_>) -> bool {
        let issuer = match action {
            Action::Make { .. } => return true,
            Action::Look { .. } => {
                let free = self.looks < MAX_LOOKS;
                self.looks += usize::from(free);
                return free;
            }
            Action::Rehearse { at, .. } => &at.issuer,
            Action::Issue { from, .. } | Action::AskWindow { from, .. } => &from.issuer,
        };
        let taken = self.taken.entry(issuer.clone()).or_default();
        if *taken == rate_limit::AT_A_TIME || !has_tokens(action, *taken, self.book, self.now) {
            return false;
        }
        *taken += 1;
        true
    }
}

impl<'a> Action<'a> {
    /// For which need.
    pub const fn need(&self) -> &'a DesiredCert {
        match self {
            Self::Issue { need, .. }
            | Self::Rehearse { need, .. }
            | Self::Make { need, .. }
            | Self::AskWindow { need, .. }
            | Self::Look { need, .. } => need,
        }
    }

    /// How the book notes it.
    pub fn doing(&self) -> Doing {
        match self {
            Self::Issue { from, .. } => Doing::Issuing(from.issuer.clone()),
            Self::Rehearse { of, at, .. } => Doing::Rehearsing { at: at.issuer.clone(), of: of.issuer.clone() },
            Self::Make { need, .. } => Doing::Issuing(need.id.issuer.clone()),
            Self::AskWindow { from, .. } => Doing::Asking(from.issuer.clone()),
            Self::Look { from, .. } => Doing::Looking(from.issuer.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
