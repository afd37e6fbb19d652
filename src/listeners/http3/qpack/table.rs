//! The static table (RFC 9204 appendix A).

use std::sync::LazyLock;

use http::header::{HeaderName, HeaderValue};

/// Its lines, in order.
pub(super) const LINES: [(&str, &str); 99] = [
    (":authority", ""),
    (":path", "/"),
    ("age", "0"),
    ("content-disposition", ""),
    ("content-length", "0"),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("referer", ""),
    ("set-cookie", ""),
    (":method", "CONNECT"),
    (":method", "DELETE"),
    (":method", "GET"),
    (":method", "HEAD"),
    (":method", "OPTIONS"),
    (":method", "POST"),
    (":method", "PUT"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "103"),
    (":status", "200"),
    (":status", "304"),
    (":status", "404"),
    (":status", "503"),
    ("accept", "*/*"),
    ("accept", "application/dns-message"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-ranges", "bytes"),
    ("access-control-allow-headers", "cache-control"),
    ("access-control-allow-headers", "content-type"),
    ("access-control-allow-origin", "*"),
    ("cache-control", "max-age=0"),
    ("cache-control", "max-age=2592000"),
    ("cache-control", "max-age=604800"),
    ("cache-control", "no-cache"),
    ("cache-control", "no-store"),
    ("cache-control", "public, max-age=31536000"),
    ("content-encoding", "br"),
    ("content-encoding", "gzip"),
    ("content-type", "application/dns-message"),
    ("content-type", "application/javascript"),
    ("content-type", "application/json"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("content-type", "image/gif"),
    ("content-type", "image/jpeg"),
    ("content-type", "image/png"),
    ("content-type", "text/css"),
    ("content-type", "text/html; charset=utf-8"),
    ("content-type", "text/plain"),
    ("content-type", "text/plain;charset=utf-8"),
    ("range", "bytes=0-"),
    ("strict-transport-security", "max-age=31536000"),
    ("strict-transport-security", "max-age=31536000; includesubdomains"),
    ("strict-transport-security", "max-age=31536000; includesubdomains; preload"),
    ("vary", "accept-encoding"),
    ("vary", "origin"),
    ("x-content-type-options", "nosniff"),
    ("x-xss-protection", "1; mode=block"),
    (":status", "100"),
    (":status", "204"),
    (":status", "206"),
    (":status", "302"),
    (":status", "400"),
    (":status", "403"),
    (":status", "421"),
    (":status", "425"),
    (":status", "500"),
    ("accept-language", ""),
    ("access-control-allow-credentials", "FALSE"),
    ("access-control-allow-credentials", "TRUE"),
    ("access-control-allow-headers", "*"),
    ("access-control-allow-methods", "get"),
    ("access-control-allow-methods", "get, post, options"),
    ("access-control-allow-methods", "options"),
    ("access-control-expose-headers", "content-length"),
    ("access-control-request-headers", "content-type"),
    ("access-control-request-method", "get"),
    ("access-control-request-method", "post"),
    ("alt-svc", "clear"),
    ("authorization", ""),
    ("content-security-policy", "script-src 'none'; object-src 'none'; base-uri 'none'"),
    ("early-data", "1"),
    ("expect-ct", ""),
    ("forwarded", ""),
    ("if-range", ""),
    ("origin", ""),
    ("purpose", "prefetch"),
    ("server", ""),
    ("timing-allow-origin", "*"),
    ("upgrade-insecure-requests", "1"),
    ("user-agent", ""),
    ("x-forwarded-for", ""),
    ("x-frame-options", "deny"),
    ("x-frame-options", "sameorigin"),
];

struct Table {
    /// By line; `None` for pseudo-header fields.
    names: Vec<Option<HeaderName>>,
    values: Vec<HeaderValue>,
    /// Indices by [`bucket`], equal names beside each other.
    sorted: Vec<u8>,
    /// Where each bucket begins in `sorted`, and where the last one ends.
    starts: [u8; BUCKETS + 1],
}

/// Enough that few names share one.
const BUCKETS: usize = 64;

/// Of a name that is not empty. A search by halves compares seven names for each field of each answer, which was 0.35 of
/// the 12.8 us of a request.
fn bucket(name: &str) -> usize {
    let last = name.as_bytes().last().copied().unwrap_or_default();
    (name.len() * 9 + usize::from(last)) % BUCKETS
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let name = |(name, _): &(&'static str, &str)| (!name.starts_with(':')).then(|| HeaderName::from_static(name));
    let mut sorted: Vec<u8> = (0..99).collect();
    sorted.sort_by_key(|index| (bucket(LINES[usize::from(*index)].0), LINES[usize::from(*index)]));
    let below = |limit: usize| sorted.partition_point(|index| bucket(LINES[usize::from(*index)].0) < limit);
    Table {
        starts: std::array::from_fn(|limit| u8::try_from(below(limit)).expect("99 lines are few")),
        names: LINES.iter().map(name).collect(),
        values: LINES.iter().map(|(_, value)| HeaderValue::from_static(value)).collect(),
        sorted,
    }
});

/// The name of a line, unless it is a pseudo-header field's.
pub(super) fn name(index: usize) -> Option<HeaderName> {
    TABLE.names[index].clone()
}

/// The value of a line.
pub(super) fn value(index: usize) -> HeaderValue {
    TABLE.values[index].clone()
}

/// What the table has of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All of it.
    Line(usize),
    /// Its name.
    Name(usize),
    Nothing,
}

/// Looks a field up.
pub(super) fn find(name: &str, value: &[u8]) -> Found {
    let line = |index: &u8| LINES[usize::from(*index)];
    let place = bucket(name);
    let (from, to) = (usize::from(TABLE.starts[place]), usize::from(TABLE.starts[place + 1]));
    let same = TABLE.sorted[from..to].iter().filter(|index| line(index).0 == name);
    let mut found = Found::Nothing;
    for index in same {
        if line(index).1.as_bytes() == value {
            return Found::Line(usize::from(*index));
        }
        found = Found::Name(usize::from(*index));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_whole_or_by_name() {
        assert_eq!(find("content-type", b"text/css"), Found::Line(51));
        assert_eq!(find("server", b""), Found::Line(92));
        assert!(matches!(find("server", b"doorward"), Found::Name(92)));
        assert!(matches!(find(":status", b"418"), Found::Name(24..=28 | 63..=71)));
        assert_eq!(find("x-unheard-of", b""), Found::Nothing);
        for (index, (name, value)) in LINES.iter().enumerate() {
            assert_eq!(find(name, value.as_bytes()), Found::Line(index));
        }
    }
}
