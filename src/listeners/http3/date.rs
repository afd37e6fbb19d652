//! The `Date` of answers that have none (RFC 9110 section 6.6.1), written once a second.

use std::cell::RefCell;

use http::HeaderValue;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::base::time::Timestamp;

/// Remembers the line of the present second.
#[derive(Default)]
pub struct Dates(RefCell<Option<(Timestamp, HeaderValue)>>);

impl Dates {
    /// The line for `now`.
    pub fn line(&self, now: Timestamp) -> HeaderValue {
        let mut kept = self.0.borrow_mut();
        match &*kept {
            Some((second, line)) if *second == now => line.clone(),
            _ => {
                let line = write(now);
                *kept = Some((now, line.clone()));
                line
            }
        }
    }
}

fn write(now: Timestamp) -> HeaderValue {
    let form = format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let at = OffsetDateTime::from_unix_timestamp(now.unix()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(form)
        .ok()
        .and_then(|text| text.try_into().ok())
        .unwrap_or(HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_http_wants_it() {
        let dates = Dates::default();
        for (second, expected) in [(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT")] {
            for _ in 0..2 {
                assert_eq!(dates.line(Timestamp::from_unix(second)), expected);
            }
        }
    }
}
