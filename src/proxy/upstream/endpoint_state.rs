//! What is true of a target for all workers, over reloads: relaxed atomics, by which [`super::health`] decides. Its address
//! in memory is its identity.
//!
//! What is behind a setting is looked at only where the setting is, and the clock only when something runs out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::circuit_breaker::{Breaker, Change as Turned, Circuit, Pass};
use super::health::{self, Admission, Checked, Fails};
use crate::config::settings::{CircuitBreaker, Health, MaxFails, Upstream};

/// Between two tries whether a target speaks TLS.
const TLS_TRIES_INTERVAL: Duration = Duration::from_secs(600);

/// See the module.
#[derive(Debug)]
pub struct EndpointState {
    born: Instant,
    in_flight: AtomicU32,
    /// [`Checked`], packed. Written by the one probe of the target.
    checked: AtomicU32,
    /// [`Fails`], packed.
    fails: AtomicU64,
    /// Until when requests that failed keep it out, and from when on it is on trial; 0 when it is neither.
    out_until: AtomicU64,
    breaker: Breaker,
    /// When it came back; 0 when that is long ago.
    back_since: AtomicU64,
    /// Taken out by the operator.
    drained: AtomicBool,
    /// Its name has its address no longer.
    gone: AtomicBool,
    /// When it was last tried whether it speaks TLS; 0 before that.
    tls_tried: AtomicU64,
    last: ArcSwapOption<Change>,
}

/// What happened to a target last.
#[derive(Debug)]
pub struct Change {
    /// In words.
    pub why: String,
    /// When.
    pub at: Instant,
}

/// A target came back or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// It may be used again.
    Up,
    /// It is to be used no longer.
    Down,
}

impl Default for EndpointState {
    fn default() -> Self {
        Self {
            born: Instant::now(),
            in_flight: AtomicU32::new(0),
            checked: AtomicU32::new(Checked::Unknown.packed()),
            fails: AtomicU64::new(0),
            out_until: AtomicU64::new(0),
            breaker: Breaker::default(),
            back_since: AtomicU64::new(0),
            drained: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            tls_tried: AtomicU64::new(0),
            last: ArcSwapOption::empty(),
        }
    }
}

impl EndpointState {
    /// Tells it from every other one that exists at the same time: its address in memory.
    pub(super) fn key(self: &Arc<Self>) -> usize {
        Arc::as_ptr(self).addr()
    }

    /// Milliseconds since it is known; never 0, which means `not`.
    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts one more exchange, unless that would be more than `most`.
    pub(super) fn enter(&self, most: Option<u32>) -> bool {
        let Some(most) = most else {
            self.in_flight.fetch_add(1, Ordering::Relaxed);
            return true;
        };
        let one_more = |open: u32| (open < most).then_some(open + 1);
        self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// Counts one less.
    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// How far it may be used now. `chance` is any number, spread over its bits.
    pub(super) fn admission(&self, settings: &Upstream, chance: impl FnOnce() -> u64) -> Admission {
        if self.is_out(settings) || self.opens_in(settings).is_some() {
            return Admission::Closed;
        }
        if settings.max_connections.is_some_and(|most| self.in_flight() >= most) {
            return Admission::Closed;
        }
        let out_until = self.out_until.load(Ordering::Relaxed);
        if out_until != 0 && settings.max_fails.is_some() && self.now() < out_until {
            return Admission::LastResort;
        }
        if self.is_warm(settings, chance) { Admission::Open } else { Admission::LastResort }
    }

    /// Whether the operator or its checks have taken it out.
    pub(super) fn is_out(&self, settings: &Upstream) -> bool {
        self.drained.load(Ordering::Relaxed) || (settings.health.is_some() && self.checked().is_down())
    }

    /// How long its circuit lets nothing through; `None` when it does now.
    pub(super) fn opens_in(&self, settings: &Upstream) -> Option<Duration> {
        let circuit = settings.circuit_breaker.map(|_| self.breaker.circuit()).filter(|circuit| *circuit != Circuit::Closed)?;
        let left = Duration::from_millis(circuit.opens_in(self.now()));
        // The one that decides will most likely have done so by then.
        let likely = if matches!(circuit, Circuit::HalfOpen { .. }) { left.min(Duration::from_secs(1)) } else { left };
        (!left.is_zero()).then_some(likely)
    }

    /// Lets one exchange through its circuit; `None` when it does not.
    pub(super) fn pass(&self, settings: &Upstream) -> Option<Pass> {
        let Some(rule) = &settings.circuit_breaker else { return Some(Pass::Free) };
        self.breaker.enter(|| self.now(), rule)
    }

    /// What became of an exchange that its circuit let through.
    pub(super) fn judged(&self, pass: Pass, failed: bool, rule: &CircuitBreaker) -> Option<Turned> {
        let now = self.now();
        let turned = self.breaker.note(pass, failed, now, rule);
        if turned == Some(Turned::Closed) {
            self.back_since.store(now, Ordering::Relaxed);
        }
        turned
    }

    /// An exchange that its circuit let through is over.
    pub(super) fn left(&self, pass: Pass) {
        self.breaker.leave(pass, || self.now());
    }

    /// Whether it is out or on trial, so that what becomes of an exchange that begins now decides about it.
    pub(super) fn is_on_trial(&self) -> bool {
        self.out_until.load(Ordering::Relaxed) != 0
    }

    /// A request failed there.
    pub(super) fn failed(&self, rule: &MaxFails) -> Option<Transition> {
        let now = self.now();
        let until = now.saturating_add(u64::try_from(rule.out.as_millis()).unwrap_or(u64::MAX));
        if let out @ 1.. = self.out_until.load(Ordering::Relaxed) {
            if now >= out {
                // The trial failed. Whoever else writes now writes the same.
                self.out_until.store(until, Ordering::Relaxed);
            }
            return None;
        }
        let add = |packed| Some(Fails::unpacked(packed).after(now, rule).packed());
        let before = self.fails.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).unwrap_or_else(|packed| packed);
        let over = Fails::unpacked(before).after(now, rule).count >= u64::from(rule.count);
        let first = over && self.out_until.compare_exchange(0, until, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        first.then_some(Transition::Down)
    }

    /// A request that began on trial went well.
    pub(super) fn succeeded(&self) -> Option<Transition> {
        if self.out_until.swap(0, Ordering::Relaxed) == 0 {
            return None;
        }
        self.fails.store(0, Ordering::Relaxed);
        self.back_since.store(self.now(), Ordering::Relaxed);
        Some(Transition::Up)
    }

    /// A check ended. The first one is no turn when it passes: everybody took the target for well.
    pub(super) fn checked_again(&self, passes: bool, rule: &Health) -> Option<Transition> {
        let before = self.checked();
        let after = before.after(passes, rule.rise, rule.fall);
        self.checked.store(after.packed(), Ordering::Relaxed);
        match (before.is_down(), after.is_down()) {
            (false, true) => Some(Transition::Down),
            (true, false) => {
                self.back_since.store(self.now(), Ordering::Relaxed);
                Some(Transition::Up)
            }
            (false, false) | (true, true) => None,
        }
    }

    pub(super) fn checked(&self) -> Checked {
        Checked::unpacked(self.checked.load(Ordering::Relaxed))
    }

    /// The operator takes it out, or back in.
    pub(super) fn set_drained(&self, drained: bool) -> Option<Transition> {
        match (self.drained.swap(drained, Ordering::Relaxed), drained) {
            (false, true) => Some(Transition::Down),
            (true, false) => {
                self.back_since.store(self.now(), Ordering::Relaxed);
                Some(Transition::Up)
            }
            (false, false) | (true, true) => None,
        }
    }

    /// It is new among others, and begins slowly.
    pub(super) fn comes(&self) {
        self.back_since.store(self.now(), Ordering::Relaxed);
    }

    /// It is none of its group's any more.
    pub(super) fn goes(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// It is one of its group's.
    pub(super) fn stays(&self) {
        self.gone.store(false, Ordering::Relaxed);
    }

    /// Whether no connection to it is worth keeping.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Notes why the last turn was.
    pub(super) fn note(&self, why: String) {
        self.last.store(Some(Arc::new(Change { why, at: Instant::now() })));
    }

    /// Whether it may be tried now whether it speaks TLS: at most once in [`TLS_TRIES_INTERVAL`].
    pub(super) fn may_try_tls(&self) -> bool {
        let (now, last) = (self.now().max(1), self.tls_tried.load(Ordering::Relaxed));
        let due = last == 0 || now.saturating_sub(last) >= TLS_TRIES_INTERVAL.as_millis() as u64;
        due && self.tls_tried.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The last turn.
    pub(super) fn last_change(&self) -> Option<Arc<Change>> {
        self.last.load_full()
    }

    /// How it stands, by the rules of its cluster.
    pub(super) fn in_a_word(&self, settings: &Upstream) -> &'static str {
        let (now, out_until) = (self.now(), self.out_until.load(Ordering::Relaxed));
        let checked = settings.health.is_some().then(|| self.checked());
        if self.drained.load(Ordering::Relaxed) {
            if self.in_flight() == 0 { "drained" } else { "draining" }
        } else if checked.is_some_and(Checked::is_down) {
            "down"
        } else if let Some(word) = self.circuit_in_words(settings, now) {
            word
        } else if settings.max_connections.is_some_and(|most| self.in_flight() >= most) {
            "full"
        } else if out_until > now {
            "failing"
        } else if out_until != 0 {
            "on trial"
        } else if !self.is_warm(settings, || u64::MAX) {
            "warming up"
        } else if checked == Some(Checked::Unknown) {
            "not yet checked"
        } else {
            "up"
        }
    }

    fn circuit_in_words(&self, settings: &Upstream, now: u64) -> Option<&'static str> {
        settings.circuit_breaker.and_then(|_| match self.breaker.circuit() {
            Circuit::Closed => None,
            Circuit::Open { until } if until > now => Some("circuit open"),
            Circuit::Open { .. } | Circuit::HalfOpen { .. } => Some("circuit half-open"),
        })
    }

    /// Whether it has its whole share again, or this chance is within the share it has.
    fn is_warm(&self, settings: &Upstream, chance: impl FnOnce() -> u64) -> bool {
        let back_since = self.back_since.load(Ordering::Relaxed);
        if back_since == 0 || settings.slow_start.is_zero() {
            return true;
        }
        let age = self.now().saturating_sub(back_since);
        if health::is_warm(age, settings.slow_start, u64::MAX) {
            // Nobody need look at the clock for it any more.
            self.back_since.store(0, Ordering::Relaxed);
            return true;
        }
        health::is_warm(age, settings.slow_start, chance())
    }
}
