//! Lengths of time on the command line.

use std::time::Duration;

use crate::base::duration;

/// Reads a length of time.
pub(super) fn any(text: &str) -> Result<Duration, String> {
    duration::parse(text).ok_or_else(|| "a time is written 14d, 36h, 90min or 10s".to_owned())
}

/// Reads a length of time that is not nothing.
pub(super) fn some(text: &str) -> Result<Duration, String> {
    any(text).and_then(|span| if span.is_zero() { Err("the time must be longer than nothing".to_owned()) } else { Ok(span) })
}
