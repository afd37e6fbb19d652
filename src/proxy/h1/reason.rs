//! The reason phrase of a backend's status line (RFC 9112 section 4). It reaches clients of HTTP/1.1, as nginx and HAProxy
//! do it: statuses such as 460 have no phrase of their own, and some programs read the phrase although they should not.
//! HTTP/2 and HTTP/3 have none.

use bytes::Bytes;
use http::StatusCode;

/// Longest phrase that is passed on, in bytes; the standard ones have at most 31.
const MAX_PHRASE: usize = 128;

/// An answer's phrase where it is not the standard one of its status. An extension of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    status: StatusCode,
    phrase: Bytes,
}

impl Reason {
    /// The phrase of a status line, where it has to be kept and may be written: not the standard one, not longer than 128
    /// bytes, and visible characters, spaces and tabs alone.
    pub fn of(status: StatusCode, phrase: &[u8]) -> Option<Self> {
        if status.canonical_reason().is_some_and(|standard| standard.as_bytes() == phrase) {
            return None;
        }
        let is_fit = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
        let fits = phrase.len() <= MAX_PHRASE && phrase.iter().all(is_fit);
        fits.then(|| Self { status, phrase: Bytes::copy_from_slice(phrase) })
    }

    /// The phrase, if the answer still has the status that it belongs to.
    pub fn for_status(&self, status: StatusCode) -> Option<&[u8]> {
        (self.status == status).then_some(&self.phrase[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_kept_where_it_says_something_and_is_harmless() {
        let of = |status: u16, phrase: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            Reason::of(status, phrase.as_bytes()).map(|reason| reason.for_status(status).unwrap().to_vec())
        };
        assert_eq!(of(200, "OK"), None);
        assert_eq!(of(200, "Fine"), Some(b"Fine".to_vec()));
        assert_eq!(of(404, ""), Some(Vec::new()));
        assert_eq!(of(460, "Checksum Mismatch"), Some(b"Checksum Mismatch".to_vec()));
        assert_eq!(of(200, "a\rb"), None);
        assert_eq!(of(200, &"x".repeat(129)), None);
        let reason = Reason::of(StatusCode::OK, b"Fine").unwrap();
        assert_eq!(reason.for_status(StatusCode::NOT_FOUND), None);
    }
}
