//! Lets a target be for a while when too large a share of what it was sent lately failed, and then has one request decide.
//!
//! Unlike `max-fails`, which leaves a target out only as long as there is another one, an open circuit lets nothing through: a
//! backend that is drowning gets no byte more. A failure is whatever says that the target cannot serve, no matter what was
//! asked: no connection, one that ends before an answer, none within `first-byte`, no HTTP, and the statuses 502, 503 and 504, by
//! which a server says so of itself or of what is behind it; beside them what `fail-status` names.
//!
//! Rejected: every 5xx. A 500 tells of one page's fault, and a page that is broken would take the whole site with it. A client
//! that leaves says nothing about the target, and an answer to what was sent before the circuit opened says nothing about now.
//!
//! [`Samples`] and [`Circuit`] are pure. [`Breaker`] keeps them in relaxed atomics: while a circuit is closed, an exchange costs
//! a look at one and an addition to the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::config::settings::CircuitBreaker;

/// Whether an answer with this status speaks against the target.
pub const fn is_failure(status: u16) -> bool {
    matches!(status, 502..=504)
}

/// What a target was sent, and how much of it failed, in one half of the rule's span and in the half before it.
///
/// Chosen: two halves. They look back over at least half of the span and at most all of it, and fit into one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// Number of the present half, modulo 2^16: two that are so far apart are taken for one, once in many hours.
    half: u16,
    here: Count,
    before: Count,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    seen: u16,
    failed: u16,
}

/// What a count has room for; beyond it the older samples count for half, and the share stays what it was.
const MAX_TRIALS: u16 = (1 << 12) - 1;

impl Count {
    fn after(self, failed: bool) -> Self {
        let old = if self.seen == MAX_TRIALS { Self { seen: self.seen / 2, failed: self.failed / 2 } } else { self };
        Self { seen: old.seen + 1, failed: old.failed + u16::from(failed) }
    }
}

impl Samples {
    /// With one more at `now`, in milliseconds.
    pub fn after(self, now: u64, failed: bool, rule: &CircuitBreaker) -> Self {
        let span = millis(rule.within).div_ceil(2).max(1);
        #[expect(clippy::cast_possible_truncation, reason = "halves are numbered modulo 2^16")]
        let moved = self.at((now / span) as u16);
        Self { here: moved.here.after(failed), ..moved }
    }

    fn at(self, half: u16) -> Self {
        match half.wrapping_sub(self.half) {
            // Another worker's clock may have been read a little later than ours.
            0 | u16::MAX => self,
            1 => Self { half, here: Count::default(), before: self.here },
            _ => Self { half, ..Self::default() },
        }
    }

    /// How many there are.
    pub fn seen(self) -> u32 {
        u32::from(self.here.seen) + u32::from(self.before.seen)
    }

    /// How many of them failed.
    pub fn failed(self) -> u32 {
        u32::from(self.here.failed) + u32::from(self.before.failed)
    }

    /// Whether they are enough to judge by, and too many failed.
    pub fn are_bad(self, rule: &CircuitBreaker) -> bool {
        self.seen() >= rule.least && self.failed() * 100 >= self.seen() * rule.percent
    }

    fn packed(self) -> u64 {
        let count = |count: Count| u64::from(count.seen) << 12 | u64::from(count.failed);
        u64::from(self.half) << 48 | count(self.here) << 24 | count(self.before)
    }

    #[expect(clippy::cast_possible_truncation, reason = "each part is cut out")]
    const fn unpacked(number: u64) -> Self {
        const fn count(number: u64) -> Count {
            Count { seen: (number >> 12) as u16 & MAX_TRIALS, failed: number as u16 & MAX_TRIALS }
        }
        Self { half: (number >> 48) as u16, here: count(number >> 24), before: count(number) }
    }
}

/// Where a target's circuit stands; times are milliseconds, and never 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Circuit {
    /// Requests pass.
    #[default]
    Closed,
    /// None passes before `until`, and then one.
    Open {
        /// See the variant.
        until: u64,
    },
    /// That one is under way; when it has said nothing by `until`, another may pass.
    HalfOpen {
        /// See the variant.
        until: u64,
    },
}

impl Circuit {
    /// Milliseconds until a request may pass; 0 where it may now.
    pub const fn opens_in(self, now: u64) -> u64 {
        match self {
            Self::Closed => 0,
            Self::Open { until } | Self::HalfOpen { until } => until.saturating_sub(now),
        }
    }

    /// After a request was let through to decide; `None` when none may.
    pub fn tried(self, now: u64, rule: &CircuitBreaker) -> Option<Self> {
        let passes = self != Self::Closed && self.opens_in(now) == 0;
        passes.then(|| Self::HalfOpen { until: later(now, rule) })
    }

    /// Once failures are too many, or the request that was to decide has failed.
    pub fn opened(now: u64, rule: &CircuitBreaker) -> Self {
        Self::Open { until: later(now, rule) }
    }

    const fn packed(self) -> u64 {
        match self {
            Self::Closed => 0,
            Self::Open { until } => until << 1,
            Self::HalfOpen { until } => until << 1 | 1,
        }
    }

    const fn unpacked(number: u64) -> Self {
        let until = number >> 1;
        match (until, number & 1) {
            (0, _) => Self::Closed,
            (_, 0) => Self::Open { until },
            (_, _) => Self::HalfOpen { until },
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Breaker {
    /// [`Samples`], packed.
    samples: AtomicU64,
    /// [`Circuit`], packed.
    circuit: AtomicU64,
}

/// By what right an exchange passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The circuit is closed, or there is no breaker.
    Free,
    /// It is the one that decides; with the packed circuit that it made, which no other one has.
    Trial(u64),
}

/// What an exchange did to the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It opened, because of these.
    Opened(Samples),
    /// It closed.
    Closed,
}

impl Breaker {
    /// Where the circuit stands.
    pub fn circuit(&self) -> Circuit {
        Circuit::unpacked(self.circuit.load(Ordering::Relaxed))
    }

    /// Lets one exchange through, if the circuit does. The clock is looked at only when it is not closed.
    pub fn enter(&self, now: impl FnOnce() -> u64, rule: &CircuitBreaker) -> Option<Pass> {
        let circuit = self.circuit();
        if circuit == Circuit::Closed {
            return Some(Pass::Free);
        }
        let tried = circuit.tried(now(), rule)?;
        // Of those who come at once one is first.
        self.turn(circuit, tried).then(|| Pass::Trial(tried.packed()))
    }

    /// What became of an exchange.
    pub fn note(&self, pass: Pass, failed: bool, now: u64, rule: &CircuitBreaker) -> Option<Change> {
        match pass {
            Pass::Trial(own) if failed => {
                self.turn(Circuit::unpacked(own), Circuit::opened(now, rule));
                None
            }
            Pass::Trial(own) => self.turn(Circuit::unpacked(own), Circuit::Closed).then_some(Change::Closed),
            Pass::Free if self.circuit() != Circuit::Closed => None,
            Pass::Free => {
                let samples = self.add(now, failed, rule);
                let opens = failed && samples.are_bad(rule) && self.turn(Circuit::Closed, Circuit::opened(now, rule));
                if opens {
                    // The next one to be judged by these would be the first after the circuit has closed.
                    self.samples.store(0, Ordering::Relaxed);
                }
                opens.then_some(Change::Opened(samples))
            }
        }
    }

    /// An exchange is over. When it was to decide and has not, another one may.
    pub fn leave(&self, pass: Pass, now: impl FnOnce() -> u64) {
        if let Pass::Trial(own) = pass
            && self.circuit.load(Ordering::Relaxed) == own
        {
            self.turn(Circuit::unpacked(own), Circuit::Open { until: now() });
        }
    }

    fn turn(&self, from: Circuit, to: Circuit) -> bool {
        self.circuit.compare_exchange(from.packed(), to.packed(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn add(&self, now: u64, failed: bool, rule: &CircuitBreaker) -> Samples {
        let after = |packed| Samples::unpacked(packed).after(now, failed, rule);
        let add = |packed| Some(after(packed).packed());
        let before = self.samples.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        after(before.unwrap_or_else(|packed| packed))
    }
}

fn later(now: u64, rule: &CircuitBreaker) -> u64 {
    now.saturating_add(millis(rule.out)).clamp(1, u64::MAX >> 1)
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
