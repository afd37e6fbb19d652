//! The moment at the head of a log line, the same in access records and events: RFC 3339, UTC, milliseconds.

use std::fmt;

use time::OffsetDateTime;

/// Milliseconds since 1970, printed as `2026-11-21T09:30:00.250Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(pub i64);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(at) = OffsetDateTime::from_unix_timestamp(self.0.div_euclid(1_000)) else {
            return write!(f, "millisecond {} of 1970", self.0);
        };
        let ((year, month, day), (hour, minute, second)) = (at.to_calendar_date(), at.to_hms());
        let millis = self.0.rem_euclid(1_000);
        write!(f, "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z", u8::from(month))
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
