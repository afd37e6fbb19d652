//! Wall-clock moments for certificates and journals. Waiting uses tokio's monotonic clock, never this one.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A second of UTC, as seconds since 1970. Arithmetic saturates, so that absurd input cannot overflow.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From seconds since 1970-01-01T00:00:00Z.
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01T00:00:00Z.
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339 text, as `Display` prints it.
    pub fn parse(text: &str) -> Option<Self> {
        OffsetDateTime::parse(text, &Rfc3339).ok().map(|at| Self(at.unix_timestamp()))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_secs()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_secs()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match OffsetDateTime::from_unix_timestamp(self.0).ok().and_then(|at| at.format(&Rfc3339).ok()) {
            Some(text) => f.write_str(&text),
            None => write!(f, "second {} of 1970", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// When a certificate is valid: from the first second of `not_before` to the last of `not_after` (RFC 5280 section 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First valid second.
    pub not_before: Timestamp,
    /// Last valid second.
    pub not_after: Timestamp,
}

impl Validity {
    /// The whole life; zero for an inverted one.
    pub fn lifetime(&self) -> Duration {
        self.not_after.since(self.not_before)
    }

    /// Whether `now` lies inside.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

/// A span with a start and a later end, such as the renewal window a CA suggests (RFC 9773 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Window {
    start: Timestamp,
    end: Timestamp,
}

impl Window {
    /// `None` when the end does not come after the start.
    pub fn new(start: Timestamp, end: Timestamp) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// First second of the window.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// Last second of the window.
    pub fn end(&self) -> Timestamp {
        self.end
    }
}

/// This machine's clock and another one, read at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// What this machine's clock said.
    pub ours: Timestamp,
    /// What the other one said.
    pub theirs: Timestamp,
}

impl ClockReading {
    /// What the other clock says when ours says `now`.
    pub fn theirs_at(&self, now: Timestamp) -> Timestamp {
        Timestamp(now.0.saturating_add(self.theirs.0.saturating_sub(self.ours.0)))
    }
}

/// Where `now` comes from. Pure code takes a [`Timestamp`]; only owners of loops hold a clock.
pub trait Clock: Send + Sync {
    /// The present second.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// Milliseconds of UTC since 1970, for log lines; everything else counts in seconds.
    #[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
    pub fn millis(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.millis().div_euclid(1_000))
    }
}

/// A clock that stands still until told otherwise, for tests and scripted worlds.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Stands at `start`.
    pub fn at(start: Timestamp) -> Self {
        Self(AtomicI64::new(start.unix()))
    }

    /// Jumps to `moment`, forwards or back.
    pub fn set(&self, moment: Timestamp) {
        self.0.store(moment.unix(), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_clock_is_read_by_its_difference_to_ours() {
        let at = Timestamp::from_unix;
        let reading = ClockReading { ours: at(1_000), theirs: at(87_400) };
        assert_eq!(reading.theirs_at(at(1_010)), at(87_410));
        assert_eq!(ClockReading { ours: at(87_400), theirs: at(1_000) }.theirs_at(at(87_400)), at(1_000));
        assert_eq!(ClockReading { ours: at(i64::MIN), theirs: at(i64::MAX) }.theirs_at(at(0)), at(i64::MAX));
    }

    #[test]
    fn arithmetic_saturates_instead_of_overflowing() {
        assert_eq!(Timestamp(i64::MAX) + Duration::MAX, Timestamp(i64::MAX));
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
        assert_eq!(Timestamp(9).since(Timestamp(5)), Duration::from_secs(4));
    }

    #[test]
    fn text_form_reads_back() {
        let at = Timestamp::from_unix(1_795_219_200);
        assert_eq!(at.to_string(), "2026-11-21T00:00:00Z");
        assert_eq!(Timestamp::parse(&at.to_string()), Some(at));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn a_window_must_end_after_it_starts() {
        let at = Timestamp::from_unix;
        assert!(Window::new(at(10), at(10)).is_none());
        assert!(Window::new(at(11), at(10)).is_none());
        assert!(Window::new(at(10), at(11)).is_some());
    }
}
