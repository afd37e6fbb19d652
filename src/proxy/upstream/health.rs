//! Whether a target may be used, from what is known of it (pure): regular checks, failures of requests, the time since it
//! came back. Who counts is [`super::endpoint_state`].

use std::time::Duration;

use crate::config::settings::MaxFails;

/// How far a target may be used; the later, the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Admission {
    /// Not at all.
    Closed,
    /// Only when there is nobody else.
    LastResort,
    /// As any.
    Open,
}

/// What regular checks say of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checked {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It is well.
    Up {
        /// Checks that failed in a row since.
        failed: u32,
    },
    /// It is not.
    Down {
        /// Checks that passed in a row since.
        passed: u32,
    },
}

impl Checked {
    /// After one more check. The first one decides alone: there is nothing that speaks against it.
    pub const fn after(self, passes: bool, rise: u32, fall: u32) -> Self {
        match (self, passes) {
            (Self::Unknown | Self::Up { .. }, true) => Self::Up { failed: 0 },
            (Self::Unknown | Self::Down { .. }, false) => Self::Down { passed: 0 },
            (Self::Up { failed }, false) if failed + 1 < fall => Self::Up { failed: failed + 1 },
            (Self::Up { .. }, false) => Self::Down { passed: 0 },
            (Self::Down { passed }, true) if passed + 1 < rise => Self::Down { passed: passed + 1 },
            (Self::Down { .. }, true) => Self::Up { failed: 0 },
        }
    }

    /// In one number that reads back by [`Self::unpacked`]; counts are far below the bits they have.
    pub(super) const fn packed(self) -> u32 {
        match self {
            Self::Unknown => 0,
            Self::Up { failed } => UP | failed & COUNT,
            Self::Down { passed } => DOWN | passed & COUNT,
        }
    }

    pub(super) const fn unpacked(number: u32) -> Self {
        match number & !COUNT {
            UP => Self::Up { failed: number & COUNT },
            DOWN => Self::Down { passed: number & COUNT },
            _ => Self::Unknown,
        }
    }

    pub(super) const fn is_down(self) -> bool {
        matches!(self, Self::Down { .. })
    }
}

const COUNT: u32 = (1 << 16) - 1;
const UP: u32 = 1 << 16;
const DOWN: u32 = 2 << 16;

/// Failures of requests, within a span that begins with the first of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fails {
    /// When the first was, in milliseconds.
    pub first: u64,
    /// How many there were.
    pub count: u64,
}

impl Fails {
    /// After one more at `now`.
    pub fn after(self, now: u64, rule: &MaxFails) -> Self {
        let within = u64::try_from(rule.within.as_millis()).unwrap_or(u64::MAX);
        if self.count == 0 || now.saturating_sub(self.first) > within {
            Self { first: now, count: 1 }
        } else {
            Self { first: self.first, count: self.count + 1 }
        }
    }

    /// In one number: 40 bits of milliseconds are 34 years, and 24 bits of failures are more than any rule counts.
    pub(super) fn packed(self) -> u64 {
        self.first << 24 | self.count.min(MAX_FAILS)
    }

    pub(super) const fn unpacked(number: u64) -> Self {
        Self { first: number >> 24, count: number & MAX_FAILS }
    }
}

const MAX_FAILS: u64 = (1 << 24) - 1;

/// Whether a request may go to a target that came back `age` milliseconds ago: its share grows evenly over `span`, from a
/// sixteenth on. `chance` is any number, spread over all its bits.
pub fn is_warm(age: u64, span: Duration, chance: u64) -> bool {
    let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    age >= span || u128::from(chance >> 32) * u128::from(span) < u128::from(age.max(span / 16)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_in_a_row_decide() {
        let check = |results: &str, expected| {
            let mut checked = Checked::default();
            for result in results.chars() {
                checked = checked.after(result == '+', 2, 3);
                assert_eq!(Checked::unpacked(checked.packed()), checked);
            }
            assert_eq!(checked, expected, "after {results:?}");
        };
        check("", Checked::Unknown);
        check("+", Checked::Up { failed: 0 });
        check("-", Checked::Down { passed: 0 });
        check("+--", Checked::Up { failed: 2 });
        check("+--+--", Checked::Up { failed: 2 });
        check("+---", Checked::Down { passed: 0 });
        check("-+-+", Checked::Down { passed: 1 });
        check("-++", Checked::Up { failed: 0 });
    }

    #[test]
    fn failures_count_within_their_span() {
        let rule = MaxFails { count: 3, within: Duration::from_millis(100), out: Duration::ZERO };
        let check = |times: &[u64], expected: u64| {
            let fails = times.iter().fold(Fails::default(), |fails, now| fails.after(*now, &rule));
            assert_eq!(fails.count, expected, "{times:?}");
            assert_eq!(Fails::unpacked(fails.packed()), fails);
        };
        check(&[], 0);
        check(&[5, 50, 105], 3);
        check(&[5, 50, 106], 1);
        check(&[5, 106, 150], 2);
    }

    #[test]
    fn a_share_grows_with_the_time() {
        let share = |age| (0..1000_u64).filter(|n| is_warm(age, Duration::from_secs(10), (n << 32) * 4_294_967)).count();
        let check = |age, expected: std::ops::RangeInclusive<usize>| {
            let share = share(age);
            assert!(expected.contains(&share), "{share} of 1000 after {age} ms");
        };
        check(0, 50..=75);
        check(5_000, 490..=510);
        check(9_000, 890..=910);
        check(10_000, 1000..=1000);
    }
}
