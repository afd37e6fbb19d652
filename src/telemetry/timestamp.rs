//! The moment at the head of a log line, the same in access records and events: RFC 3339, UTC, milliseconds.

use std::fmt;

use time::OffsetDateTime;

use super::digits;

/// Milliseconds since 1970, printed as `2026-11-21T09:30:00.250Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(pub i64);

impl Stamp {
    /// Appends it to a line.
    pub fn push(self, out: &mut Vec<u8>) {
        let Ok(at) = OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1_000)) else {
            return out.extend_from_slice(format!("millisecond {} of 1970", self.0).as_bytes());
        };
        let ((year, month, day), (hour, minute, second)) = (at.to_calendar_date(), at.to_hms());
        // The years of `OffsetDateTime` before Christ are long before any clock of ours.
        digits::push_wide(out, u64::from(year.unsigned_abs()), 4);
        for (mark, number) in [(b'-', u8::from(month)), (b'-', day), (b'T', hour), (b':', minute), (b':', second)] {
            out.push(mark);
            digits::push_wide(out, u64::from(number), 2);
        }
        out.push(b'.');
        digits::push_wide(out, self.0.rem_euclid(1_000).unsigned_abs(), 3);
        out.push(b'Z');
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(24);
        self.push(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_rfc_3339_to_the_millisecond() {
        assert_eq!(Stamp(1_795_219_200_250).to_string(), "2026-11-21T00:00:00.250Z");
        assert_eq!(Stamp(-1).to_string(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Stamp(i64::MAX).to_string(), "millisecond 9223372036854775807 of 1970");
    }
}
