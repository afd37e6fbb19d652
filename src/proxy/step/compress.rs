//! `compress`: answers that gain by it are compressed, and all others left alone: small ones, event streams, pictures,
//! what is encoded already, parts of files, and what says `no-transform` (RFC 9110 section 7.7).
//!
//! HEAD, 304 and 206 have no content to compress, and carry the fields that the 200 to a GET would carry (sections 9.3.2,
//! 15.4.5 and 15.3.7): `Vary`, and the tag of the representation that they are about.
//!
//! Chosen: zlib and zstd driven here, frame by frame. tower-http's layer does the same over async readers, with a state
//! of up to 3 MiB made anew for every answer; here a worker keeps a few and lends them out.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;

use crate::proxy::accept_encoding::Accepted;
use crate::proxy::body::Body;
use crate::proxy::exchange::Exchange;
use crate::proxy::h1::length;
pub use coding::{Coding, Encoders};

mod coding;
mod digests;
mod squeezed;
mod tags;

/// Below this an answer fits into one packet anyway.
const MIN_SIZE: u64 = 1024;

/// Takes note of what the client accepts, and gives the conditions of its request the tags that the backend knows.
pub(super) fn enter(exchange: &Exchange, request: &mut Request<Body>) {
    let state = &exchange.state;
    state.coding.set(wanted(request.headers()));
    if let Some(sent) = tags::restore(request.headers_mut()) {
        state.sent_tags.replace(Some(Box::new(sent)));
    }
}

/// What the client takes best of what we make. Of two that it takes equally, one that it lists comes before one that only `*`
/// stands for, and of those gzip before zstd, since every client that decodes anything decodes it.
fn wanted(headers: &HeaderMap) -> Option<Coding> {
    let accepted = Accepted::of(headers);
    let ranked = |coding, listed: Option<u16>, (if_listed, otherwise): (u8, u8)| {
        (accepted.weight(listed), if listed.is_some() { if_listed } else { otherwise }, coding)
    };
    let best = ranked(Coding::Gzip, accepted.gzip, (2, 1)).max(ranked(Coding::Zstd, accepted.zstd, (3, 0)));
    let (weight, _, coding) = best;
    (weight > 0 && weight >= accepted.identity()).then_some(coding)
}

/// Compresses an answer, if it gains by it and the client takes it.
pub(super) fn leave(exchange: &Exchange, response: &mut Response<Body>) {
    let is_head = exchange.asked.method == Method::HEAD;
    let length = whole_length(is_head, response);
    let state = &exchange.state;
    if state.tunnel.get() || !gains(response.status(), response.headers(), length) {
        return;
    }
    vary(response.headers_mut());
    let coding = state.coding.get();
    match (response.status(), coding) {
        (StatusCode::NOT_MODIFIED, _) => {
            let sent = state.sent_tags.borrow();
            let tag = response.headers().get(header::ETAG).zip(sent.as_deref());
            if let Some(tag) = tag.and_then(|(tag, sent)| tags::of_not_modified(tag, sent, coding.is_some())) {
                response.headers_mut().insert(header::ETAG, tag);
            }
        }
        (StatusCode::PARTIAL_CONTENT, _) | (_, None) => (),
        (_, Some(coding)) if is_head => mark(response.headers_mut(), coding),
        (_, Some(coding)) => {
            let Some(encoder) = exchange.worker.encoders.take(coding) else { return };
            mark(response.headers_mut(), coding);
            let body = std::mem::take(response.body_mut());
            *response.body_mut() = Body::made(squeezed::CompressedBody::new(body, encoder));
        }
    }
}

/// How long the whole is that a response is about, as far as it is known.
fn whole_length(is_head: bool, response: &Response<Body>) -> Option<u64> {
    let field = |name| response.headers().get(name).map(HeaderValue::as_bytes);
    match response.status() {
        // A backend may write here that it sends nothing.
        StatusCode::NOT_MODIFIED => None,
        StatusCode::PARTIAL_CONTENT => {
            field(header::CONTENT_RANGE).and_then(|range| range.rsplit(|byte| *byte == b'/').next()).and_then(length::read)
        }
        _ if is_head => field(header::CONTENT_LENGTH).and_then(length::read),
        _ => response.body().size_hint().exact(),
    }
}

/// Whether the whole that a response is about would be smaller, and may be changed. `length` is that of the whole.
fn gains(status: StatusCode, headers: &HeaderMap, length: Option<u64>) -> bool {
    let has_whole = !status.is_informational() && !matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT);
    let is_part = status == StatusCode::PARTIAL_CONTENT;
    let long = length.is_none_or(|length| length >= MIN_SIZE);
    let untouched = !headers.contains_key(header::CONTENT_ENCODING) && (is_part || !headers.contains_key(header::CONTENT_RANGE));
    let free = !headers.get_all(header::CACHE_CONTROL).iter().any(|value| lists(value, "no-transform"));
    let is_text = match headers.get(header::CONTENT_TYPE) {
        // The type of several parts stands in the parts.
        Some(kind) => is_text(kind) || (is_part && kind.as_bytes().starts_with(b"multipart/byteranges")),
        // A 304 seldom names it.
        None => status == StatusCode::NOT_MODIFIED,
    };
    has_whole && long && untouched && free && is_text
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
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::ACCEPT_RANGES);
    digests::remove(headers);
    if let Some(tag) = headers.get(header::ETAG).and_then(tags::marked) {
        headers.insert(header::ETAG, tag);
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
        check("br, identity, *", Some(Coding::Gzip));
        check("", None);
        // RFC 9110 section 12.5.3.
        check("*", Some(Coding::Gzip));
        check("*;q=0", None);
        check("*;q=0.5", Some(Coding::Gzip));
        check("gzip;q=0, *", Some(Coding::Zstd));
        check("zstd;q=0, *", Some(Coding::Gzip));
        check("zstd, *", Some(Coding::Zstd));
        check("gzip;q=0.5, *;q=0.1", Some(Coding::Gzip));
        check("gzip, *;q=0", Some(Coding::Gzip));
        check("gzip;q=0, zstd;q=0, *", None);
        check("identity", None);
        check("identity;q=0", None);
        check("identity;q=0, *", Some(Coding::Gzip));
        check("identity;q=0, gzip;q=0.001", Some(Coding::Gzip));
        check("identity, *;q=0", None);
        check("identity, gzip;q=0.5", None);
        check("identity;q=0.5, gzip;q=0.5", Some(Coding::Gzip));
        check("gzip;q=1.0, identity; q=0.5, *;q=0", Some(Coding::Gzip));
        check("gzip;q=0.0001", None);
        check("gzip;q=1e0", None);
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
        check(206, &[html], None, true);
        check(206, &[html, ("content-range", "bytes 0-9/5000")], Some(5000), true);
        check(206, &[("content-type", "multipart/byteranges; boundary=x")], None, true);
        check(206, &[("content-type", "video/mp4")], None, false);
        check(200, &[("content-type", "multipart/byteranges; boundary=x")], None, false);
        check(304, &[html], None, true);
        check(304, &[], None, true);
        check(304, &[("content-type", "image/png")], None, false);
        check(304, &[("cache-control", "no-transform")], None, false);
        check(304, &[("content-encoding", "br")], None, false);
        check(416, &[html, ("content-range", "bytes */10")], Some(5000), false);
        check(101, &[html], None, false);
        check(204, &[html], None, false);
        check(205, &[html], None, false);
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
        for (name, value) in [("etag", "\"a\""), ("content-length", "5"), ("accept-ranges", "bytes"), ("vary", "Origin")]
            .into_iter()
            .chain(["digest", "content-digest", "repr-digest", "content-md5"].map(|name| (name, "x")))
        {
            headers.insert(name, HeaderValue::from_static(value));
        }
        vary(&mut headers);
        vary(&mut headers);
        mark(&mut headers, Coding::Gzip);
        assert_eq!(headers[header::ETAG], "W/\"a~doorward\"");
        assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
        assert_eq!(headers.get_all(header::VARY).iter().collect::<Vec<_>>(), ["Origin", "Accept-Encoding"]);
        assert_eq!(headers.len(), 4);
    }
}
