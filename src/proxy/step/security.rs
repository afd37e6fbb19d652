//! The four headers that security guides ask for, where the backend does not send its own.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

const PRESET: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
    (header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
];

/// A year, in seconds. Not for subdomains, which a site's author may not own.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// `security-headers`.
pub(in crate::proxy) fn add(headers: &mut HeaderMap, secure: bool) {
    for (name, value) in PRESET {
        headers.entry(name).or_insert(value);
    }
    add_hsts(headers, secure);
}

/// `hsts`; never in the clear, where it must not count (RFC 6797 section 7.2).
pub(in crate::proxy) fn add_hsts(headers: &mut HeaderMap, secure: bool) {
    if secure {
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(HSTS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backends_own_headers_stay() {
        let mut headers = HeaderMap::from_iter([(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"))]);
        add(&mut headers, true);
        assert_eq!(headers[header::X_FRAME_OPTIONS], "DENY");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[header::STRICT_TRANSPORT_SECURITY], "max-age=31536000");
        let mut plain = HeaderMap::new();
        add(&mut plain, false);
        assert!(!plain.contains_key(header::STRICT_TRANSPORT_SECURITY));
    }
}
