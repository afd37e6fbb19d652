//! Refusals that gRPC clients can read: a response of trailers only, with `grpc-status` and `grpc-message`. A page would
//! reach the caller as "unknown content type" and hide why it was refused. The log keeps the HTTP status.
//!
//! The code is the one that clients make of the HTTP status themselves, by gRPC's HTTP-status mapping. gRPC-Web writes
//! its trailers into the body and reads an HTTP status, so it gets pages.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::proxy::body::Body;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// What gRPC's messages are called.
pub(super) const CONTENT_TYPE: &str = "application/grpc";

/// Whether a request is a call.
pub(super) fn is_call(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return false };
    let rest = kind.as_bytes().split_at_checked(CONTENT_TYPE.len());
    rest.is_some_and(|(start, rest)| {
        start.eq_ignore_ascii_case(CONTENT_TYPE.as_bytes()) && matches!(rest.first(), None | Some(b'+' | b';'))
    })
}

/// Header and end in one.
pub(super) fn trailers_only(refused: StatusCode, message: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(STATUS, HeaderValue::from(code(refused)));
    headers.insert(MESSAGE, escaped(message));
    response
}

const fn code(status: StatusCode) -> u16 {
    const UNKNOWN: u16 = 2;
    const PERMISSION_DENIED: u16 = 7;
    const UNIMPLEMENTED: u16 = 12;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;
    match status.as_u16() {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// Visible ASCII and blanks stand as they are, all else and `%` as `%XX`.
fn escaped(message: &str) -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = Vec::with_capacity(message.len());
    for byte in message.trim().bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            text.push(byte);
        } else {
            text.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
    HeaderValue::from_bytes(&text).expect("visible ASCII is a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_itself_is_a_call() {
        let check = |kind: &'static str, expected| {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(is_call(&headers), expected, "for {kind:?}");
        };
        check("application/grpc", true);
        check("application/grpc+proto", true);
        check("Application/gRPC; charset=utf-8", true);
        check("application/grpc-web", false);
        check("application/grpc-web+proto", false);
        check("application/grp", false);
        check("application/json", false);
        check("", false);
        assert!(!is_call(&HeaderMap::new()));
    }

    #[test]
    fn a_status_becomes_the_code_that_clients_make_of_it() {
        for (status, expected) in
            [(400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (502, 14), (503, 14), (504, 14), (413, 2)]
        {
            assert_eq!(code(StatusCode::from_u16(status).unwrap()), expected, "for {status}");
        }
    }

    #[test]
    fn a_message_is_escaped_as_grpc_wants_it() {
        assert_eq!(escaped("100 % of them\n"), "100 %25 of them");
        assert_eq!(escaped("nä\r\nx"), "n%C3%A4%0D%0Ax");
    }
}
