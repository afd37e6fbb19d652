//! What of a request's conditions tower-http's `ServeDir` does not read as RFC 9110 says: `If-Range`, a range in another unit or
//! with another method than GET, conditions written on several lines, and tags that differ for each coding of a file. Pure. The
//! precedence of the other conditions (section 13.2.2) and their comparison are `ServeDir`'s, which does it right.
//!
//! `ServeDir` makes a tag of size and time of the file that it sends. A file and its compressed siblings may have both in common,
//! for builds set the times to the same second; a strong tag must be another one for other bytes (section 8.8.3.3). So the name
//! of the coding is added to the tag of a sibling, and taken off in the request's conditions. nginx and h2o send one tag for all.

use std::time::Duration;

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use time::PrimitiveDateTime;
use time::macros::format_description;

use super::range;
use crate::proxy::accept_encoding::Accepted;
use crate::proxy::entity_tag::{listed, match_strongly, match_weakly};
use crate::proxy::h1::length;

/// How much older than the answer a date has to be to be a strong validator (RFC 9110 section 8.8.2.2): within the same second
/// a file may change twice.
const STRONG_DATE_AGE: Duration = Duration::from_secs(1);

/// The conditions of a request that are about the file that is there.
const CONDITIONS: [HeaderName; 5] =
    [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::RANGE, header::IF_MATCH, header::IF_UNMODIFIED_SINCE];

/// A tag that no file has.
const NO_FILE: HeaderValue = HeaderValue::from_static("\"-\"");

/// Whether a request depends on the file that is there, so that this has to be known first.
pub(super) fn are_there(headers: &HeaderMap) -> bool {
    CONDITIONS.iter().any(|name| headers.contains_key(name))
}

/// Spells `Accept-Encoding: *` out, which `ServeDir` does not know.
pub(super) fn spell_out_codings(headers: &mut HeaderMap) {
    let accepted = Accepted::of(headers);
    if accepted.has_wildcard() {
        headers.insert(header::ACCEPT_ENCODING, accepted.without_wildcard());
    }
}

/// Makes a request's header one that `ServeDir` reads as it is meant. `file` is the header of a response with the whole file, in
/// the coding that the client gets, and `now` the time in seconds since 1970.
pub(super) fn prepare(method: &Method, headers: &mut HeaderMap, file: &HeaderMap, now: i64) {
    translate(headers, &header::IF_MATCH, file, match_strongly);
    translate(headers, &header::IF_NONE_MATCH, file, match_weakly);
    let if_range = headers.get(header::IF_RANGE);
    let holds = *method == Method::GET && if_range.is_none_or(|if_range| range_holds(if_range, file, now));
    let size = file.get(header::CONTENT_LENGTH).and_then(|size| length::read(size.as_bytes()));
    let mut ranges = headers.get_all(header::RANGE).iter();
    let range = match (ranges.next(), ranges.next(), size) {
        (Some(range), None, Some(size)) if holds => range::of(range, size),
        _ => None,
    };
    match range {
        Some(range) => _ = headers.insert(header::RANGE, range),
        None => _ = headers.remove(header::RANGE),
    }
}

/// The tag of a file in the coding that a response has or would have; `None` where it has none.
pub(super) fn tag(file: &HeaderMap) -> Option<HeaderValue> {
    let tag = file.get(header::ETAG)?;
    let (Some(coding), Some(open)) = (file.get(header::CONTENT_ENCODING), tag.as_bytes().strip_suffix(b"\"")) else {
        return Some(tag.clone());
    };
    HeaderValue::from_bytes(&[open, b"-", coding.as_bytes(), b"\""].concat()).ok()
}

/// Replaces the tags of a condition by the one that `ServeDir` gives the file, where they name it, else by one that no file has.
/// A list may stand on several lines (section 5.3).
fn translate(headers: &mut HeaderMap, name: &HeaderName, file: &HeaderMap, is_same: fn(&[u8], &[u8]) -> bool) {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    let list = lines.join(&b", "[..]);
    let (Some(known), Some(own)) = (file.get(header::ETAG), tag(file)) else { return };
    if list.trim_ascii().is_empty() || list.trim_ascii() == b"*" {
        return;
    }
    let names_file = listed(&list).any(|one| is_same(one, own.as_bytes()));
    headers.insert(name, if names_file { known.clone() } else { NO_FILE });
}

/// Whether the range is asked of the file that is there (section 13.1.5): its validator has to be strong and the same.
fn range_holds(if_range: &HeaderValue, file: &HeaderMap, now: i64) -> bool {
    let is_tag = if_range.as_bytes().starts_with(b"\"") || if_range.as_bytes().starts_with(b"W/");
    if is_tag {
        return tag(file).is_some_and(|tag| match_strongly(tag.as_bytes(), if_range.as_bytes()));
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

    #[test]
    fn tags_of_a_coding_are_translated_for_the_file_that_is_there() {
        let check = |coding: Option<&'static str>, name: HeaderName, sent: &'static str, expected: &str| {
            let mut file = HeaderMap::from_iter([
                (header::ETAG, HeaderValue::from_static("\"5.0-3\"")),
                (header::CONTENT_LENGTH, HeaderValue::from_static("3")),
            ]);
            coding.map(|coding| file.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding)));
            let mut headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(sent))]);
            prepare(&Method::GET, &mut headers, &file, 0);
            assert_eq!(headers[&name], expected, "{sent} of {coding:?}");
        };
        let (all, none) = (header::IF_MATCH, header::IF_NONE_MATCH);
        check(None, none.clone(), "\"5.0-3\"", "\"5.0-3\"");
        check(None, none.clone(), "\"5.0-3-gzip\"", "\"-\"");
        check(Some("gzip"), none.clone(), "\"5.0-3\"", "\"-\"");
        check(Some("gzip"), none.clone(), "\"x\", W/\"5.0-3-gzip\"", "\"5.0-3\"");
        check(Some("gzip"), none.clone(), "\"5.0-3-br\"", "\"-\"");
        check(Some("br"), none, "*", "*");
        check(Some("br"), all.clone(), "W/\"5.0-3-br\"", "\"-\"");
        check(Some("br"), all.clone(), "\"5.0-3-br\"", "\"5.0-3\"");
        check(Some("br"), all, "\"5.0-3\"", "\"-\"");
    }
}
