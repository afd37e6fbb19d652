//! `compress`: answers that gain by it are compressed, and all others left alone: small ones, event streams, pictures,
//! what is encoded already, parts of files, and what says `no-transform` (RFC 9110 section 7.7).
//!
//! Chosen: zlib and zstd driven here, frame by frame. tower-http's layer does the same over async readers, with a state
//! of up to 3 MiB made anew for every answer; here a worker keeps a few and lends them out.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use http_body::Body as _;

use crate::proxy::body::Body;
use crate::proxy::exchange::Exchange;
pub use coding::{Coding, Encoders};

mod coding;
mod squeezed;

/// Below this an answer fits into one packet anyway.
const LEAST: u64 = 1024;

/// What the client takes best of what we make.
pub(super) fn wanted(headers: &HeaderMap) -> Option<Coding> {
    let mut best: Option<(Coding, u16)> = None;
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        // A list longer than any client's is a stranger's joke.
        for item in value.to_str().unwrap_or_default().split(',').take(32) {
            let Some((coding, weight)) = read(item) else { continue };
            if best.is_none_or(|(before, heaviest)| (weight, coding) > (heaviest, before)) {
                best = Some((coding, weight));
            }
        }
    }
    best.filter(|(_, weight)| *weight > 0).map(|(coding, _)| coding)
}

/// A coding of ours and its weight in thousandths (RFC 9110 section 12.4.2).
fn read(item: &str) -> Option<(Coding, u16)> {
    let (name, parameter) = item.split_once(';').unwrap_or((item, ""));
    let coding = match name.trim() {
        name if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => Coding::Gzip,
        name if name.eq_ignore_ascii_case("zstd") => Coding::Zstd,
        _ => return None,
    };
    let weight = match parameter.trim().strip_prefix("q=").or_else(|| parameter.trim().strip_prefix("Q=")) {
        None => 1000,
        Some(text) => {
            let weight: f32 = text.trim().parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
            (weight * 1000.0) as u16
        }
    };
    Some((coding, weight))
}

/// Compresses an answer, if it gains by it and the client takes it.
pub(super) fn leave(exchange: &Exchange, response: &mut Response<Body>) {
    let length = response.body().size_hint();
    if exchange.course.tunnel.get() || !gains(response.status(), response.headers(), length.exact()) {
        return;
    }
    vary(response.headers_mut());
    let Some(coding) = exchange.course.coding.get() else { return };
    let Some(encoder) = exchange.worker.encoders.take(coding) else { return };
    mark(response.headers_mut(), coding);
    let body = std::mem::take(response.body_mut());
    *response.body_mut() = Body::made(squeezed::Squeezed::new(body, encoder));
}

/// Whether an answer would be smaller, and may be changed.
fn gains(status: StatusCode, headers: &HeaderMap, length: Option<u64>) -> bool {
    let whole = !status.is_informational()
        && !matches!(status, StatusCode::NO_CONTENT | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED);
    let long = length.is_none_or(|length| length >= LEAST);
    let untouched = !headers.contains_key(header::CONTENT_ENCODING) && !headers.contains_key(header::CONTENT_RANGE);
    let free = !headers.get_all(header::CACHE_CONTROL).iter().any(|value| lists(value, "no-transform"));
    whole && long && untouched && free && headers.get(header::CONTENT_TYPE).is_some_and(is_text)
}

/// Types that are text inside. Pictures, films, archives and packed fonts are compressed by themselves; an event stream
/// must not wait; gRPC frames its own messages.
fn is_text(content_type: &HeaderValue) -> bool {
    let Ok(text) = content_type.to_str() else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.split_once('/') {
        Some(("text", kind)) => kind != "event-stream",
        Some(("application", kind)) => {
            matches!(kind, "json" | "javascript" | "x-javascript" | "xml" | "wasm" | "x-ndjson" | "jsonl" | "vnd.ms-fontobject")
                || kind.ends_with("+json")
                || kind.ends_with("+xml")
        }
        Some(("image", kind)) => matches!(kind, "svg+xml" | "bmp" | "x-icon" | "vnd.microsoft.icon"),
        Some(("font", kind)) => matches!(kind, "ttf" | "otf" | "collection"),
        Some(_) | None => false,
    }
}

/// Caches must keep the forms apart, also the one that was not compressed for this client.
fn vary(headers: &mut HeaderMap) {
    let named = |value: &HeaderValue| lists(value, "accept-encoding") || lists(value, "*");
    if !headers.get_all(header::VARY).iter().any(named) {
        headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

/// Says what was done, and takes back what is no longer so: the length, ranges, digests of the bytes, and that a tag
/// stands for exactly these bytes (RFC 9110 section 8.8.1).
fn mark(headers: &mut HeaderMap, coding: Coding) {
    headers.insert(header::CONTENT_ENCODING, coding.name());
    for name in ["content-length", "accept-ranges", "content-md5", "content-digest"] {
        headers.remove(name);
    }
    let tag = headers.get(header::ETAG).map(|tag| tag.as_bytes().to_vec());
    if let Some(weak) =
        tag.filter(|tag| tag.starts_with(b"\"")).and_then(|tag| HeaderValue::try_from([b"W/", &tag[..]].concat()).ok())
    {
        headers.insert(header::ETAG, weak);
    }
}

fn lists(value: &HeaderValue, name: &str) -> bool {
    value.to_str().is_ok_and(|list| list.split(',').any(|item| item.trim().eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_gets_what_it_weighs_most_and_zstd_of_equals() {
        let check = |accept: &'static str, expected: Option<Coding>| {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accept))]);
            assert_eq!(wanted(&headers), expected, "for {accept:?}");
        };
        check("gzip, deflate, br, zstd", Some(Coding::Zstd));
        check("gzip, deflate, br", Some(Coding::Gzip));
        check("gzip;q=1.0, zstd; q=0.5", Some(Coding::Gzip));
        check("zstd;q=0, GZIP;Q=0.1", Some(Coding::Gzip));
        check("gzip;q=0", None);
        check("gzip;q=2, zstd;q=x", None);
        check("br, identity, *", None);
        check("", None);
        assert_eq!(wanted(&HeaderMap::new()), None);
    }

    #[test]
    fn what_gains_nothing_or_must_not_change_is_left_alone() {
        let check = |status: u16, fields: &[(&'static str, &'static str)], length, expected| {
            let headers: HeaderMap = fields
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            assert_eq!(gains(StatusCode::from_u16(status).unwrap(), &headers, length), expected, "for {status} {fields:?}");
        };
        let html = ("content-type", "text/html; charset=utf-8");
        check(200, &[html], Some(1024), true);
        check(200, &[html], None, true);
        check(404, &[html], Some(5000), true);
        check(200, &[html], Some(1023), false);
        check(206, &[html], None, false);
        check(304, &[html], None, false);
        check(101, &[html], None, false);
        check(200, &[html, ("content-encoding", "br")], None, false);
        check(200, &[html, ("content-range", "bytes 0-9/10")], None, false);
        check(200, &[html, ("cache-control", "public, No-Transform")], None, false);
        check(200, &[], None, false);
        for (kind, expected) in [
            ("text/event-stream", false),
            ("image/png", false),
            ("image/svg+xml", true),
            ("application/json", true),
            ("application/problem+json", true),
            ("application/grpc", false),
            ("application/octet-stream", false),
            ("font/woff2", false),
            ("Text/CSS", true),
            ("nonsense", false),
        ] {
            check(200, &[("content-type", kind)], None, expected);
        }
    }

    #[test]
    fn a_compressed_answer_says_no_more_than_is_so() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("etag", "\"a\""), ("content-length", "5"), ("accept-ranges", "bytes"), ("vary", "Origin")] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        vary(&mut headers);
        vary(&mut headers);
        mark(&mut headers, Coding::Gzip);
        assert_eq!(headers[header::ETAG], "W/\"a\"");
        assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
        assert_eq!(headers.get_all(header::VARY).iter().collect::<Vec<_>>(), ["Origin", "Accept-Encoding"]);
        assert_eq!(headers.len(), 4);
    }
}
