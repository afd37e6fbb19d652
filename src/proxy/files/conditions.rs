//! What of a request's conditions tower-http's `ServeDir` does not read as RFC 9110 says: `If-Range`, a range in another unit or
//! with another method than GET, and conditions written on several lines. Pure. The precedence of the other conditions
//! (section 13.2.2) and their comparison are `ServeDir`'s, which does it right.

use std::time::Duration;

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use time::PrimitiveDateTime;
use time::macros::format_description;

/// How much older than the answer a date has to be to be a strong validator (RFC 9110 section 8.8.2.2): within the same second
/// a file may change twice.
const STRONG_DATE_AGE: Duration = Duration::from_secs(1);

/// Makes a request's header one that `ServeDir` reads as it is meant. `If-Range` stays to be judged by [`range_holds`].
pub(super) fn prepare(method: &Method, headers: &mut HeaderMap) {
    join(headers, header::IF_MATCH);
    join(headers, header::IF_NONE_MATCH);
    let range = if method == Method::GET { range_of_bytes(headers) } else { None };
    match range {
        Some(range) => _ = headers.insert(header::RANGE, range),
        None => _ = headers.remove(header::RANGE),
    }
}

/// One range set in bytes, its unit in lower case (section 14.1): a unit that is not known is ignored, and so is a field that is
/// there twice.
fn range_of_bytes(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut ranges = headers.get_all(header::RANGE).iter();
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return None };
    let (unit, set) = range.to_str().ok()?.split_once('=')?;
    unit.eq_ignore_ascii_case("bytes").then(|| HeaderValue::from_str(&format!("bytes={set}")).ok())?
}

/// Whether `ServeDir`'s answer to a range has to be the whole file. It calls bytes a part of an empty file, which has none, and
/// does not find the last bytes of a file that has fewer, which are all it has (section 14.1.2).
pub(super) fn means_whole(range: &HeaderValue, answer: &HeaderMap) -> bool {
    let sizes = |text: &HeaderValue| text.to_str().ok()?.rsplit_once('/').map(|(part, size)| (part.ends_with('*'), size == "0"));
    let Some((is_unsatisfied, is_empty)) = answer.get(header::CONTENT_RANGE).and_then(sizes) else { return false };
    let suffix = range.to_str().ok().and_then(|range| range.strip_prefix("bytes=-")).unwrap_or_default();
    let is_suffix = suffix.bytes().all(|byte| byte.is_ascii_digit()) && suffix.bytes().any(|byte| byte != b'0');
    is_empty || (is_unsatisfied && is_suffix)
}

/// Lists may stand on several lines (section 5.3).
fn join(headers: &mut HeaderMap, name: HeaderName) {
    let lines: Vec<&[u8]> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() > 1 {
        let joined = HeaderValue::from_bytes(&lines.join(&b", "[..])).expect("header values joined by text are one");
        headers.insert(name, joined);
    }
}

/// Whether the range is asked of the file that is there (section 13.1.5): its validator has to be strong and the same. `file` is
/// the header of an answer with the whole file; `now` is the time of the answer in seconds since 1970.
pub(super) fn range_holds(if_range: &HeaderValue, file: &HeaderMap, now: i64) -> bool {
    let is_tag = if_range.as_bytes().starts_with(b"\"") || if_range.as_bytes().starts_with(b"W/");
    if is_tag {
        let tag = file.get(header::ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
        return tag == Some(if_range);
    }
    let Some(modified) = file.get(header::LAST_MODIFIED).filter(|modified| *modified == if_range) else { return false };
    seconds_of(modified).is_some_and(|modified| now - modified >= STRONG_DATE_AGE.as_secs() as i64)
}

/// A date of HTTP (section 5.6.7) in the form that is sent.
fn seconds_of(date: &HeaderValue) -> Option<i64> {
    let form = format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    Some(PrimitiveDateTime::parse(date.to_str().ok()?, form).ok()?.assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_for_the_same_strong_validator_only() {
        const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        let check = |if_range: &'static str, etag: &'static str, age: i64, expected: bool| {
            let file = HeaderMap::from_iter([
                (header::ETAG, HeaderValue::from_static(etag)),
                (header::LAST_MODIFIED, HeaderValue::from_static(DATE)),
            ]);
            let seen = range_holds(&HeaderValue::from_static(if_range), &file, 784_111_777 + age);
            assert_eq!(seen, expected, "for {if_range} of {etag} after {age} s");
        };
        check("\"a\"", "\"a\"", 0, true);
        check("\"b\"", "\"a\"", 9, false);
        check("W/\"a\"", "\"a\"", 9, false);
        check("W/\"a\"", "W/\"a\"", 9, false);
        check("\"a\"", "W/\"a\"", 9, false);
        check("\"a\", \"b\"", "\"a\"", 9, false);
        check("*", "\"a\"", 9, false);
        check("", "\"a\"", 9, false);
        check(DATE, "\"a\"", 1, true);
        check(DATE, "\"a\"", 0, false);
        check("Sun, 06 Nov 1994 08:49:38 GMT", "\"a\"", 9, false);
        check("Sunday, 06-Nov-94 08:49:37 GMT", "\"a\"", 9, false);
        check("nonsense", "\"a\"", 9, false);
    }
}
