//! What is known of each certificate, and what becomes of it when something was tried. Pure: `now` and chance are
//! arguments, nothing is logged, nothing is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::backoff::Backoff;
use crate::base::rng::Rng;
use crate::base::time::{Timestamp, Validity, Window};
use crate::certs::preflight::recheck::Provable;
use crate::certs::rate_limit::OrderLimit;
use crate::state::history::Ended;
use crate::state::pem_store::Slot;
use crate::state::schema::{Bucket, IssuerMemory, LastError, Pause, Remembered, Renewal};
use crate::state::slug::Slug;

/// Everything that is known, by need and by authority.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// By need.
    pub records: BTreeMap<Slot, Record>,
    /// By authority.
    pub issuers: BTreeMap<Slug, IssuerMemory>,
}

/// What is known of one need.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The part that survives a restart.
    pub memory: Remembered,
    /// The certificate held for it.
    pub held: Option<Held>,
    /// What is being done for it. Never stored, so that a crash plans anew.
    pub doing: Option<Doing>,
    /// The operator wants a new one, whatever is held.
    pub asked: bool,
    /// Looks of our own since the latest failed validation. Never stored: the authority's next try is.
    pub recheck: Option<Recheck>,
}

/// Looks of our own after a failed validation.
#[derive(Clone, Debug, PartialEq)]
pub struct Recheck {
    /// When the next one is due.
    pub at: Timestamp,
    /// How many there were.
    pub looks: u32,
    /// What the first one found, right after the failure.
    pub first: Option<Provable>,
}

/// Facts of a certificate held.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Whose it is.
    pub issuer: Slug,
    /// When it is valid.
    pub validity: Validity,
    /// Its serial number in hexadecimal.
    pub serial: String,
    /// Whether its authority can be asked for a renewal window (RFC 9773).
    pub has_window: bool,
}

/// What is being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing {
    /// A certificate is being obtained from this authority.
    Issuing(Slug),
    /// The order is tried at a staging directory before this authority is asked again.
    Rehearsing {
        /// The staging directory's.
        at: Slug,
        /// The authority.
        of: Slug,
    },
    /// This authority is being asked for its renewal window.
    Asking(Slug),
    /// It is being looked whether what failed at this authority is in order.
    Looking(Slug),
}

impl Doing {
    /// The authority at work.
    pub const fn issuer(&self) -> &Slug {
        match self {
            Self::Issuing(issuer) | Self::Asking(issuer) | Self::Looking(issuer) | Self::Rehearsing { at: issuer, .. } => issuer,
        }
    }
}

/// How something that was tried came out.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A certificate, proved to fit.
    Issued(Held),
    /// One that nobody trusts, from a staging directory: the names can be proved.
    Rehearsed,
    /// None.
    Failed(Failure),
    /// The authority's renewal window, and in how long it wants to be asked again.
    Window(Option<Window>, Duration),
    /// It could not be asked; when to try again, if the authority said so.
    WindowUnknown(Option<Timestamp>),
    /// What a look of our own found after a failed validation, if it could be finished.
    Looked(Option<Provable>),
}

/// Why no certificate came.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The authority that was asked.
    pub issuer: Slug,
    /// Who has to do something before it can succeed.
    pub blame: Blame,
    /// How the authority counts the attempt.
    pub ended: Ended,
    /// All of its words.
    pub words: String,
    /// The same in parts, as far as it has any.
    pub parts: Parts,
}

/// What a failure's words say, apart: for filters of logs, and for a person who wants to know what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// How far the order was.
    pub step: Option<&'static str>,
    /// The authority's type of the problem (RFC 8555 section 6.7), without its common prefix.
    pub problem: Option<String>,
    /// The likely cause.
    pub cause: Option<String>,
    /// What a person can do about it, in a sentence.
    pub remedy: Option<String>,
}

/// Who has to do something before a new attempt can succeed, and when one makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The authority is unreachable, broken or busy: no name can be had from it before then, if it said when.
    Issuer(Option<Timestamp>),
    /// This name could not be proved: others go on.
    Name(Option<Timestamp>),
    /// The authority wants nothing more about this name before then, whoever asks: others go on.
    Limited(Timestamp),
    /// A person has to change something: the configuration, a DNS record, the account.
    Person,
    /// This machine: its disk.
    LocalAddrs,
}

/// Longest pause anybody may ask of us; an absurd value must not silence a name for ever.
const MAX_PAUSE: Duration = Duration::from_secs(7 * 86_400);
const DAY: Duration = Duration::from_secs(86_400);
/// The disk heals by itself, and asking it costs nothing.
const DISK: Duration = Duration::from_secs(10);
/// Between looks of our own after a failed validation: a repair is seen within a minute.
const RECHECK: Backoff = Backoff { first: Duration::from_secs(10), factor: 2, most: Duration::from_secs(36) };
/// Shortest wait for the next try while a look of our own sees that it would fail.
const SEEN_BROKEN: Duration = Duration::from_secs(3_600);
/// A name that fails for longer is looked at less often.
const LONG_BROKEN: Duration = Duration::from_secs(6 * 3_600);
const RECHECK_LONG_BROKEN: Duration = Duration::from_secs(300);
/// Shortest wait after a certificate that was due for renewal as it came.
const DOUBTFUL: Duration = Duration::from_secs(60);
/// How far in the future an authority's certificate may begin before the clock is doubted, or another one is ordered: shorter
/// steps of the clock are waited for.
pub(super) const NOT_YET: Duration = Duration::from_secs(300);
/// What to do where a certificate is not valid as it arrives.
const SET_THE_CLOCK: &str = "set the clock and keep it right (`timedatectl set-ntp true`)";
/// Wait before a certificate is renewed that the authority called back as soon as it had replaced another one that it had
/// called back; four times as long after each further one, a day at most.
const RECALLED_AGAIN: Backoff = Backoff { first: Duration::from_secs(3_600), factor: 4, most: DAY };
/// Failures in a row after which one try a day is enough.
const STUBBORN: u32 = 4;
/// While the authority itself is in the way: no order is made, so nothing is used up.
const UNREACHABLE: Backoff = Backoff { first: Duration::from_secs(5), factor: 4, most: Duration::from_secs(900) };
/// The same for all names of an authority together; short, so that one odd name cannot hold up the others for long.
const ISSUER_DOWN: Backoff = Backoff { first: Duration::from_secs(5), factor: 2, most: Duration::from_secs(60) };
/// Failures in a row that only happen when an authority is down for everybody.
const DOWN_FOR_ALL: u32 = 3;

impl Inventory {
    /// Notes that something begins, before the authority hears of it. The attempt itself is counted where the order is
    /// made, since one try may take several orders, or resume one.
    pub fn begin(&mut self, id: &Slot, doing: Doing) {
        self.records.entry(id.clone()).or_default().doing = Some(doing);
    }

    /// Takes over what the ledger of a try counted. Tries that ran at once may report in any order: the emptier bucket is
    /// the later one.
    pub fn count(&mut self, issuer: &Slug, limit: OrderLimit, bucket: Bucket, now: Timestamp) {
        let memory = self.issuers.entry(issuer.clone()).or_default();
        if limit.left(Some(bucket), now) < limit.left(memory.bucket, now) {
            memory.bucket = Some(bucket);
        }
    }

    /// Takes the outcome of what was tried for a need into the book.
    pub fn settle(&mut self, id: &Slot, outcome: Outcome, now: Timestamp, rng: &mut Rng) {
        let record = self.records.entry(id.clone()).or_default();
        let doing = record.doing.take();
        let ordered = matches!(doing, Some(Doing::Issuing(_)));
        let rehearsed = match doing {
            Some(Doing::Rehearsing { of, .. }) => Some(of),
            Some(Doing::Issuing(_) | Doing::Asking(_) | Doing::Looking(_)) | None => None,
        };
        match outcome {
            Outcome::Issued(held) => {
                let issuer = self.issuers.entry(held.issuer.clone()).or_default();
                issuer.recover();
                if ordered {
                    record.memory.history.settle(Ended::Issued, now);
                }
                record.issued(held, now, rng);
                if ordered {
                    record.doubt_the_clock(now);
                }
            }
            Outcome::Failed(failure) => {
                if let Blame::Issuer(until) = failure.blame {
                    self.issuers.entry(failure.issuer.clone()).or_default().fail(until, &failure.words, now, rng);
                } else if failure.ended.is_order() {
                    self.issuers.entry(failure.issuer.clone()).or_default().recover();
                }
                record.note_place(rehearsed, &failure);
                record.failed(failure, now, rng);
            }
            Outcome::Rehearsed => record.rehearsed(rehearsed.as_ref()),
            Outcome::Window(window, again_in) => record.hear_window(window, again_in, now, rng),
            Outcome::WindowUnknown(until) => record.miss_window(until, now, rng),
            Outcome::Looked(provable) => record.looked(provable, now, rng),
        }
    }

    /// Names the difference of the clocks where a certificate came that ours doubts.
    pub fn explain_doubt(&mut self, id: &Slot, difference: &str) {
        let record = self.records.get_mut(id).filter(|record| record.doubts_the_clock());
        if let Some(error) = record.and_then(|record| record.memory.last_error.as_mut()) {
            error.words = format!("{difference}; {}", error.words);
        }
    }

    /// Forgets what was said of a wrong clock where it was set right since; whether anything was.
    pub fn trust_the_clock(&mut self, now: Timestamp) -> bool {
        let trusted = self.records.values_mut().filter_map(|record| record.trust_the_clock(now).then_some(()));
        trusted.count() > 0
    }

    /// A person has acted: what we decided to wait for by ourselves is tried at once. What an authority asked for stays, and so
    /// does the wait for a clock that is still wrong.
    pub fn take_heart(&mut self, ids: impl Iterator<Item = Slot>) {
        for id in ids {
            if let Some(record) = self.records.get_mut(&id).filter(|record| !record.memory.limited && !record.doubts_the_clock())
            {
                record.memory.pause = None;
            }
        }
        for issuer in self.issuers.values_mut().filter(|issuer| !issuer.asked) {
            issuer.recover();
        }
    }

    /// The certificate with this serial number was revoked: its successor is due now, whatever was waited for.
    pub fn revoked(&mut self, id: &Slot, serial: &str, now: Timestamp) {
        let Some(record) = self.records.get_mut(id) else { return };
        if let Some(renewal) = record.memory.renewal.as_mut().filter(|renewal| renewal.serial == serial) {
            (renewal.backstop, renewal.renew_at, renewal.recheck_at) = (now, now, None);
            record.memory.pause = None;
        }
    }

    /// A person insists: even a pause that this authority asked for is over.
    pub fn lift(&mut self, issuer: &Slug) {
        if let Some(memory) = self.issuers.get_mut(issuer) {
            memory.recover();
            memory.quiet.clear();
        }
    }
}

impl Record {
    /// A certificate found in the vault, with what the journal remembers of it.
    pub fn restore(held: Option<Held>, mut memory: Remembered, now: Timestamp, rng: &mut Rng) -> Self {
        memory.renewal = match (&held, memory.renewal.take()) {
            (Some(held), Some(renewal)) if renewal.serial == held.serial => Some(renewal),
            (Some(held), _) => Some(schedule(held, now, rng)),
            (None, _) => None,
        };
        Self { memory, held, doing: None, asked: false, recheck: None }
    }

    fn issued(&mut self, held: Held, now: Timestamp, rng: &mut Rng) {
        let memory = &mut self.memory;
        (memory.fails, memory.unreachable, memory.failing_since, memory.pause, memory.last_error) = (0, 0, None, None, None);
        (memory.failed_at, memory.rehearse) = (None, BTreeSet::new());
        memory.limited = false;
        memory.renewal = Some(schedule(&held, now, rng));
        self.held = Some(held);
        (self.asked, self.recheck) = (false, None);
    }

    /// What failed is in order as soon as a name can be proved in a way in which it could not right after the failure: then
    /// our own wait is over. What the authority forgives holds as ever.
    fn looked(&mut self, provable: Option<Provable>, now: Timestamp, rng: &mut Rng) {
        let Some(recheck) = &mut self.recheck else { return };
        // While the cause is seen from here, another try would be another failed validation and bring nothing: the ladder's
        // first steps are left out. It goes on afterwards, because a look of our own may be wrong.
        if let (Some(pause), Some(true)) = (&mut self.memory.pause, provable.as_ref().map(Provable::is_lacking)) {
            pause.until = pause.until.max(pause.since + SEEN_BROKEN);
        }
        match (&recheck.first, provable) {
            (Some(first), Some(provable)) if provable.has_grown_since(first) => {
                (self.recheck, self.memory.pause) = (None, None);
                return;
            }
            (None, Some(provable)) => recheck.first = Some(provable),
            (Some(_) | None, _) => (),
        }
        recheck.looks = recheck.looks.saturating_add(1);
        let long = self.memory.failing_since.is_some_and(|since| now.since(since) > LONG_BROKEN);
        recheck.at = now + if long { RECHECK_LONG_BROKEN } else { RECHECK.delay(recheck.looks, rng) };
    }

    /// A certificate that is due for renewal as it arrives, or not valid, was not made at what our clock calls now. Ordering
    /// another would bring the same. One that is not valid has its whole life before it by the authority's clock, and the next
    /// one waits until that is over but for what is left at a renewal; any other waits for half of the life that is left. Either
    /// waits for the clock as well: a pause from the future does not hold, and what is valid and not due is not ordered.
    fn doubt_the_clock(&mut self, now: Timestamp) {
        let (Some(held), Some(renewal)) = (&self.held, &self.memory.renewal) else { return };
        let Validity { not_before, not_after } = held.validity;
        let whole = renewal.backstop.since(not_before);
        let (seen, wait) = if now + NOT_YET < not_before {
            ("not valid yet", whole)
        } else if not_after < now {
            ("expired already", whole)
        } else if renewal.backstop <= now {
            ("due for renewal already", not_after.since(now) / 2)
        } else {
            return;
        };
        self.memory.pause = Some(Pause::starting(now, wait.max(DOUBTFUL)));
        let words = format!(
            "the certificate that was just issued is valid from {not_before} to {not_after} and by this machine's clock, which \
             says {now}, {seen}; it is kept and served, and no other is ordered meanwhile"
        );
        self.memory.last_error = Some(LastError { at: now, words, remedy: Some(SET_THE_CLOCK.to_owned()) });
    }

    fn doubts_the_clock(&self) -> bool {
        self.memory.last_error.as_ref().is_some_and(|error| error.remedy.as_deref() == Some(SET_THE_CLOCK))
    }

    /// The clock was set since a certificate came that it doubted: what was said of it is over.
    fn trust_the_clock(&mut self, now: Timestamp) -> bool {
        let doubted = self.doubts_the_clock();
        let right = match (&self.held, &self.memory.renewal) {
            (Some(held), Some(renewal)) => held.validity.not_before <= now && now < renewal.backstop,
            _ => false,
        };
        if doubted && right {
            // A clock that is behind and was not set, but has come as far as the certificate's begin, would renew too late.
            let due = self.memory.pause.and_then(|pause| pause.holds(now));
            if let (Some(due), Some(renewal)) = (due, &mut self.memory.renewal) {
                renewal.renew_at = renewal.renew_at.min(due);
            }
            (self.memory.pause, self.memory.last_error) = (None, None);
        }
        doubted && right
    }

    /// The order works: the authority itself is asked at once. What failed there before still counts as failed.
    fn rehearsed(&mut self, of: Option<&Slug>) {
        self.memory.history.end(Ended::NoOrder);
        (self.memory.pause, self.memory.limited) = (None, false);
        self.memory.rehearse.retain(|issuer| Some(issuer) != of);
    }

    /// Remembers where it failed, and whether the next try there is to be rehearsed: when an order was used up by what a
    /// staging directory would refuse as well. One that is down itself is passed by.
    fn note_place(&mut self, rehearsed: Option<Slug>, failure: &Failure) {
        let used_up = matches!(failure.ended, Ended::Unproved | Ended::Failed | Ended::Unusable);
        let of_the_name = matches!(failure.blame, Blame::Name(_) | Blame::Limited(_) | Blame::Person);
        match &rehearsed {
            Some(of) if !of_the_name => _ = self.memory.rehearse.remove(of),
            None if of_the_name && used_up => _ = self.memory.rehearse.insert(failure.issuer.clone()),
            Some(_) | None => (),
        }
        self.memory.failed_at = Some(rehearsed.unwrap_or_else(|| failure.issuer.clone()));
    }

    fn failed(&mut self, failure: Failure, now: Timestamp, rng: &mut Rng) {
        let memory = &mut self.memory;
        memory.history.settle(failure.ended, now);
        // One from the future was noted while the clock was ahead.
        memory.failing_since = Some(memory.failing_since.map_or(now, |since| since.min(now)));
        memory.last_error = Some(LastError { at: now, words: failure.words, remedy: failure.parts.remedy });
        self.asked = false;
        let of_the_name = matches!(failure.blame, Blame::Name(_) | Blame::Person);
        let may_be_seen = failure.ended == Ended::Unproved || failure.parts.problem.as_deref() == Some("caa");
        self.recheck = (of_the_name && may_be_seen).then_some(Recheck { at: now, looks: 0, first: None });
        let wait = match failure.blame {
            Blame::LocalAddrs => DISK,
            Blame::Issuer(until) => {
                memory.unreachable = memory.unreachable.saturating_add(1);
                let own = UNREACHABLE.delay(memory.unreachable, rng);
                until.map_or(own, |until| asked_wait(until, now))
            }
            Blame::Name(until) => {
                memory.fails = memory.fails.saturating_add(1);
                let own = ladder(memory.fails, rng);
                until.map_or(own, |until| asked_wait(until, now).max(own))
            }
            Blame::Limited(until) => {
                memory.fails = memory.fails.saturating_add(1);
                asked_wait(until, now).max(ladder(memory.fails, rng))
            }
            Blame::Person => {
                memory.fails = memory.fails.saturating_add(1).max(STUBBORN);
                ladder(memory.fails, rng)
            }
        };
        if !matches!(failure.blame, Blame::Issuer(_)) {
            memory.unreachable = 0;
        }
        memory.limited = matches!(failure.blame, Blame::Limited(_));
        memory.pause = Some(Pause::starting(now, wait));
    }

    fn hear_window(&mut self, window: Option<Window>, again_in: Duration, now: Timestamp, rng: &mut Rng) {
        let memory = &mut self.memory;
        let Some(renewal) = &mut memory.renewal else { return };
        renewal.recheck_at = Some(now + again_in.clamp(Duration::from_secs(60), DAY));
        let Some(window) = window else {
            memory.recalls = 0;
            return;
        };
        // The moment is chosen once for a window, or asking often would draw towards its start.
        if renewal.window == Some(window) {
            return;
        }
        renewal.window = Some(window);
        let length = window.end().since(window.start()).as_secs();
        let chosen = window.start() + Duration::from_secs(rng.below(length.saturating_add(1)));
        if window.end() <= now && now < renewal.backstop {
            // Some authorities move such a window along with every answer: the moment stays.
            if !std::mem::replace(&mut renewal.recalled, true) {
                // One order replaces it. An authority that says so of each certificate must not be asked for them for ever.
                let moment = if memory.recalls == 0 { chosen } else { now + RECALLED_AGAIN.delay(memory.recalls, rng) };
                memory.recalls = memory.recalls.saturating_add(1);
                renewal.renew_at = moment.min(renewal.backstop);
            }
            return;
        }
        (memory.recalls, renewal.recalled) = (0, false);
        renewal.renew_at = chosen.min(renewal.backstop);
    }

    fn miss_window(&mut self, until: Option<Timestamp>, now: Timestamp, rng: &mut Rng) {
        let life = self.held.as_ref().map_or(DAY, |held| held.validity.lifetime());
        if let Some(renewal) = &mut self.memory.renewal {
            let wait = (life / 40).clamp(Duration::from_secs(60), DAY / 4).mul_f64(1.0 + rng.fraction() / 4.0);
            renewal.recheck_at = Some(now + until.map_or(wait, |until| asked_wait(until, now).max(wait)));
        }
    }
}

/// When a new certificate is to be renewed: with a third of its life left, or half if it lives less than ten days,
/// and up to 8 % of its life earlier, so that certificates of one day do not come back on one day.
fn schedule(held: &Held, now: Timestamp, rng: &mut Rng) -> Renewal {
    let life = held.validity.lifetime();
    let left = if life < DAY * 10 { life / 2 } else { life / 3 };
    let backstop = held.validity.not_after - left - life.mul_f64(0.08 * rng.fraction());
    let soon = Duration::from_secs(1 + rng.below((life / 20).as_secs().min(60)));
    let recheck_at = held.has_window.then(|| now + soon);
    Renewal { serial: held.serial.clone(), backstop, renew_at: backstop, recheck_at, window: None, recalled: false }
}

fn ladder(fails: u32, rng: &mut Rng) -> Duration {
    match fails {
        STUBBORN.. => DAY.mul_f64(1.0 + rng.fraction() / 4.0),
        fails => Backoff::ORDERS.delay(fails, rng),
    }
}

fn asked_wait(until: Timestamp, now: Timestamp) -> Duration {
    until.since(now).clamp(Duration::from_secs(1), MAX_PAUSE)
}

/// Effects of an authority's own failures on all of its names.
trait Moods {
    fn fail(&mut self, until: Option<Timestamp>, words: &str, now: Timestamp, rng: &mut Rng);
    fn recover(&mut self);
}

impl Moods for IssuerMemory {
    fn fail(&mut self, until: Option<Timestamp>, words: &str, now: Timestamp, rng: &mut Rng) {
        self.fails = self.fails.saturating_add(1);
        let wait = match until {
            Some(until) => Some(asked_wait(until, now)),
            None if self.fails >= DOWN_FOR_ALL => Some(ISSUER_DOWN.delay(self.fails + 1 - DOWN_FOR_ALL, rng)),
            None => None,
        };
        if let Some(wait) = wait {
            let asked_before = self.pause.filter(|_| self.asked).and_then(|pause| pause.holds(now));
            let longer = asked_before.is_none_or(|held| held < now + wait);
            if longer {
                self.pause = Some(Pause::starting(now, wait));
                self.asked = until.is_some();
                words.clone_into(&mut self.why);
            }
        }
    }

    fn recover(&mut self) {
        (self.fails, self.pause, self.asked) = (0, None, false);
        self.why.clear();
    }
}

#[cfg(test)]
mod tests;
