//! Which fields may stand behind a body (RFC 9110 section 6.5.1), and how much of them. Some servers put trailers among the
//! fields of the header, after every rule of the gateway was applied to that. So no field passes that frames or routes a message,
//! authenticates, or controls how it is handled or its answer; nor, from a client, one that the gateway or the site sets or
//! checks. Checksums, timings and those of gRPC pass.
//!
//! Rejected: to drop all trailers of requests, as nginx and Traefik do, which breaks checksums behind an upload; and to pass only
//! those that `Trailer` announces, as Go does, for gRPC announces none. Pure.

use http::header::{HeaderMap, HeaderName};

use super::guard::Guard;
use super::names::{bit, hop_bit, is_a_proxys};

/// Trailers of a request, and bytes of them: what the chunked coding is read with, for the other versions as well.
const MAX_FIELDS: usize = 64;
const MAX_BYTES: usize = 16 * 1024;

/// Whether a client's trailers are few and short enough.
pub fn are_within_limits(trailers: &HeaderMap) -> bool {
    let bytes = trailers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>();
    trailers.len() <= MAX_FIELDS && bytes <= MAX_BYTES
}

/// Takes out of a client's trailers what may not stand there.
pub fn clean_request(trailers: &mut HeaderMap, guard: &Guard) {
    retain(trailers, |name, all| {
        let text = name.as_str();
        bit(text) == 0 && !is_never(text) && !is_a_proxys(text) && !guard.owns(text) && !guard.drops(text, all)
    });
}

/// Takes out of a backend's trailers what may not stand there.
pub fn clean_answer(trailers: &mut HeaderMap) {
    retain(trailers, |name, _| hop_bit(name.as_str()) == 0 && !is_never(name.as_str()));
}

fn retain(trailers: &mut HeaderMap, may_pass: impl Fn(&HeaderName, &HeaderMap) -> bool) {
    let dropped: Vec<HeaderName> = trailers.keys().filter(|name| !may_pass(name, trailers)).cloned().collect();
    for name in dropped {
        trailers.remove(name);
    }
}

/// The fields that RFC 7230 section 4.1.2 lists by kind, and those that a browser's rules of security hang on.
fn is_never(name: &str) -> bool {
    name.starts_with("if-")
        || name.starts_with("sec-")
        || matches!(
            name,
            // Framing and routing.
            "content-length" | "host" | "trailer" | "max-forwards" | "origin" | "referer"
            // Authentication, cookies among it.
            | "authorization" | "www-authenticate" | "authentication-info" | "proxy-authentication-info" | "cookie" | "set-cookie"
            // Modifiers of a request.
            | "cache-control" | "expect" | "pragma" | "range"
            // Control of an answer.
            | "age" | "date" | "expires" | "location" | "retry-after" | "vary" | "warning" | "strict-transport-security"
            // What the content is read by.
            | "content-encoding" | "content-type" | "content-range"
        )
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;
    use crate::config::environment::Environment;
    use crate::config::resolve::from_text;

    fn guard() -> Guard {
        let words = "request-headers set X-Tenant a\n auth forward http://127.0.0.1:1/ {\n copy Remote-User\n }";
        let text = format!("a.test {{\n {words}\n proxy 127.0.0.1:1\n}}");
        let read = from_text("a.conf", &text, &Environment::default()).unwrap_or_else(|report| panic!("{report}"));
        Guard::of(&read.settings.sites[0].blocks[0].policy)
    }

    fn one(name: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static("x"))])
    }

    #[test]
    fn a_field_passes_behind_a_body_exactly_if_nothing_depends_on_it() {
        let guard = guard();
        let check = |name: &str, from_client: bool, from_backend: bool| {
            let (mut request, mut answer) = (one(name), one(name));
            clean_request(&mut request, &guard);
            clean_answer(&mut answer);
            assert_eq!((request.is_empty(), answer.is_empty()), (!from_client, !from_backend), "{name}");
        };
        for harmless in ["x-sum", "grpc-status", "grpc-message", "grpc-status-details-bin", "digest", "content-md5", "etag"] {
            check(harmless, true, true);
        }
        for never in [
            "content-length",
            "transfer-encoding",
            "host",
            "trailer",
            "te",
            "connection",
            "keep-alive",
            "upgrade",
            "via",
            "alt-svc",
            "authorization",
            "proxy-authorization",
            "cookie",
            "set-cookie",
            "if-match",
            "range",
            "expect",
            "cache-control",
            "content-type",
            "content-encoding",
            "sec-websocket-key",
            "location",
        ] {
            check(never, false, false);
        }
        for identity in [
            "x-forwarded-for",
            "x-forwarded-ssl",
            "x-real-ip",
            "forwarded",
            "proxy",
            "x-request-id",
            "client-cert",
            "cf-connecting-ip",
            "x_real_ip",
            "x-tenant",
            "x_tenant",
            "remote-user",
        ] {
            check(identity, false, true);
        }
    }

    #[test]
    fn trailers_are_bounded_in_number_and_bytes() {
        let many = |count: usize, length: usize| {
            let value = HeaderValue::try_from("x".repeat(length)).unwrap();
            (0..count).map(|n| (HeaderName::try_from(format!("x-{n}")).unwrap(), value.clone())).collect::<HeaderMap>()
        };
        assert!(are_within_limits(&many(MAX_FIELDS, 10)) && !are_within_limits(&many(MAX_FIELDS + 1, 10)));
        assert!(are_within_limits(&many(1, MAX_BYTES - 10)) && !are_within_limits(&many(1, MAX_BYTES)));
    }
}
