//! Request targets with characters that RFC 3986 wants percent-encoded, and that clients send as they are. Pure.
//!
//! Scripts and old pages write `"`, `<`, `>`, a backtick or Latin-1 bytes into URLs. nginx, HAProxy and Caddy pass them on; the
//! URI type of this program cannot hold all of them. Those are percent-encoded (RFC 3986 section 2.1), which a backend reads
//! as the same characters. Control characters and spaces stay refused: they would end a line or a target for some reader.

use std::borrow::Cow;
use std::fmt;

/// A byte that no target may contain (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForbiddenByte(pub u8);

impl fmt::Display for ForbiddenByte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b' ' => f.write_str("a space"),
            byte => write!(f, "the byte 0x{byte:02x}"),
        }
    }
}

/// `target` as `http::Uri` can hold it. Borrowed where nothing has to change.
///
/// # Errors
/// The first control character or space. They are not encoded: what contains one is not what its sender meant.
pub fn encoded(target: &[u8]) -> Result<Cow<'_, [u8]>, ForbiddenByte> {
    if let Some(byte) = target.iter().find(|byte| **byte <= b' ' || **byte == 0x7f) {
        return Err(ForbiddenByte(*byte));
    }
    let is_text = std::str::from_utf8(target).is_ok();
    let query = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    let is_held = |at: usize, byte: u8| match byte {
        b'<' | b'>' => false,
        b'"' => at < query,
        b'`' => at > query,
        0x80.. => is_text,
        _ => true,
    };
    if target.iter().enumerate().all(|(at, byte)| is_held(at, *byte)) {
        return Ok(Cow::Borrowed(target));
    }
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(target.len() + 16);
    for (at, byte) in target.iter().enumerate() {
        if is_held(at, *byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
    }
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_characters_are_encoded_where_a_uri_cannot_hold_them() {
        let check = |target: &[u8], expected: &[u8]| {
            let seen = encoded(target).unwrap();
            assert_eq!(seen.escape_ascii().to_string(), expected.escape_ascii().to_string());
            http::Uri::from_maybe_shared(bytes::Bytes::copy_from_slice(&seen)).unwrap();
        };
        check(b"/db/_view?key=\"x\"", b"/db/_view?key=%22x%22");
        check(b"/a>b?q=a>b", b"/a%3Eb?q=a%3Eb");
        check(b"/a<b?q=a<b", b"/a%3Cb?q=a%3Cb");
        check(b"/a`b?`", b"/a%60b?`");
        check(b"/a\"b", b"/a\"b");
        check(b"/caf\xe9?q=caf\xe9", b"/caf%E9?q=caf%E9");
        check("/café?<".as_bytes(), "/café?%3C".as_bytes());
        check("/café\u{ff}".as_bytes(), "/café\u{ff}".as_bytes());
        check(b"/caf\xc3\xa9\xff", b"/caf%C3%A9%FF");
        check(b"/find?q={x}|[y]^\\", b"/find?q={x}|[y]^\\");
        check(b"/{x}|[y]^\\", b"/{x}|[y]^\\");
        check(b"http://a.test/a<b", b"http://a.test/a%3Cb");
    }

    #[test]
    fn every_byte_is_held_encoded_or_refused() {
        for byte in 0..=u8::MAX {
            for target in [vec![b'/', byte], vec![b'/', b'?', byte]] {
                match encoded(&target) {
                    Ok(encoded) => {
                        http::Uri::from_maybe_shared(bytes::Bytes::copy_from_slice(&encoded)).unwrap();
                    }
                    Err(error) => assert!(error == ForbiddenByte(byte) && (byte <= b' ' || byte == 0x7f)),
                }
            }
        }
        assert_eq!(ForbiddenByte(b' ').to_string(), "a space");
        assert_eq!(ForbiddenByte(0x0b).to_string(), "the byte 0x0b");
    }
}
