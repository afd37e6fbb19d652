//! Digests of the bytes that a backend sent. Pure.

use http::header::{HeaderMap, HeaderName};

/// Digests of what a backend sent, which are wrong for a compressed response (RFC 9530 sections 2 and 3, RFC 3230, RFC 1864).
/// That of the representation too: a coding is part of it.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

/// Takes out the digests of other bytes, from a header or from trailers.
pub(super) fn remove(headers: &mut HeaderMap) {
    for name in &DIGESTS {
        headers.remove(name);
    }
}
