//! Our clock against an authority's. Pure.

use std::time::Duration;

use super::finding::{Finding, Severity};
use crate::base::duration;
use crate::base::time::{ClockReading, Timestamp};

/// Certificates begin an hour before they are issued; a clock that is further off takes them for not valid yet, and calls
/// others expired that are not.
const MAX_DIFFERENCE: Duration = Duration::from_secs(3_600);
/// A clock that is kept is off by less; one that is not will drift on.
const USUAL: Duration = Duration::from_secs(120);

/// Judges our clock by the moment an answer was sent, which is exact to a second and the way here.
pub fn judge(theirs: Timestamp, ours: Timestamp) -> Finding {
    let (off, way) = if ours > theirs { (ours.since(theirs), "ahead of") } else { (theirs.since(ours), "behind") };
    if off <= USUAL {
        return Finding::fine("clock", "", "the clock is right, by the authority's");
    }
    let seen = format!("this machine's clock is {} {way} the authority's", duration::rough(off));
    let found = Finding::trouble(
        "clock",
        "",
        seen,
        "less than two minutes",
        "set the clock, and keep it with systemd-timesyncd or chrony",
    );
    if off > MAX_DIFFERENCE { found } else { found.noted() }
}

/// That our clock is wrong, in a sentence with both moments; `None` for one that prevents nothing.
pub fn wrong(reading: ClockReading) -> Option<String> {
    let ClockReading { ours, theirs } = reading;
    let found = judge(theirs, ours);
    (found.weight == Severity::Prevents).then(|| format!("{} ({ours} here, {theirs} there)", found.seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_named_with_the_difference_and_both_moments() {
        let (theirs, day) = (Timestamp::from_unix(1_795_219_200), Duration::from_secs(86_400));
        let check = |ours, expected: Option<&str>| {
            assert_eq!(wrong(ClockReading { ours, theirs }).as_deref(), expected);
        };
        check(theirs, None);
        check(theirs + Duration::from_secs(600), None);
        check(
            theirs - day,
            Some("this machine's clock is 1d behind the authority's (2026-11-20T00:00:00Z here, 2026-11-21T00:00:00Z there)"),
        );
        check(
            theirs + day * 100,
            Some("this machine's clock is 100d ahead of the authority's (2027-03-01T00:00:00Z here, 2026-11-21T00:00:00Z there)"),
        );
    }

    #[test]
    fn an_hour_prevents_and_minutes_are_noted() {
        let check = |ours: i64, expected| {
            let found = judge(Timestamp::from_unix(1_000_000), Timestamp::from_unix(1_000_000 + ours));
            assert_eq!(found.weight, expected, "{found:?}");
        };
        check(0, Severity::Fine);
        check(-60, Severity::Fine);
        check(600, Severity::Note);
        check(-7_200, Severity::Prevents);
        check(7_200, Severity::Prevents);
    }
}
