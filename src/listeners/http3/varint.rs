//! Variable-length integers (RFC 9000 section 16) and the heads of frames (RFC 9114 section 7.1).

use bytes::BufMut;

/// DATA.
pub const DATA: u64 = 0x0;
/// HEADERS.
pub const HEADERS: u64 = 0x1;
/// CANCEL_PUSH.
pub const CANCEL_PUSH: u64 = 0x3;
/// SETTINGS.
pub const SETTINGS: u64 = 0x4;
/// PUSH_PROMISE.
pub const PUSH_PROMISE: u64 = 0x5;
/// GOAWAY.
pub const GOAWAY: u64 = 0x7;
/// MAX_PUSH_ID.
pub const MAX_PUSH_ID: u64 = 0xd;

/// Types that HTTP/2 had and HTTP/3 forbids (RFC 9114 section 7.2.8).
pub const fn is_forbidden(kind: u64) -> bool {
    matches!(kind, 0x2 | 0x6 | 0x8 | 0x9)
}

/// The longest head of a frame: type and length.
pub const HEAD: usize = 16;

/// Reads an integer: its value and how many bytes it took; `None` while some are missing.
pub fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = 1_usize << (first >> 6);
    let rest = bytes.get(1..length)?;
    Some((rest.iter().fold(u64::from(first & 0x3f), |value, byte| value << 8 | u64::from(*byte)), length))
}

/// Writes an integer in its shortest form. `value` is below 2^62.
pub fn put_varint(value: u64, out: &mut impl BufMut) {
    match value {
        0..=0x3f => out.put_uint(value, 1),
        0x40..=0x3fff => out.put_uint(value | 1 << 14, 2),
        0x4000..=0x3fff_ffff => out.put_uint(value | 2 << 30, 4),
        _ => out.put_uint(value | 3 << 62, 8),
    }
}

/// A frame's type and the length of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its type.
    pub kind: u64,
    /// Bytes that follow.
    pub length: u64,
}

/// Reads a frame's head and how many bytes it took; `None` while some are missing.
pub fn head(bytes: &[u8]) -> Option<(Head, usize)> {
    let (kind, first) = varint(bytes)?;
    let (length, second) = varint(&bytes[first..])?;
    Some((Head { kind, length }, first + second))
}

/// Writes a frame's head.
pub fn put_head(kind: u64, length: usize, out: &mut impl BufMut) {
    put_varint(kind, out);
    put_varint(u64::try_from(length).unwrap_or(u64::MAX >> 2), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_length_read_back() {
        let check = |value: u64, expected: &[u8]| {
            let mut bytes = Vec::new();
            put_varint(value, &mut bytes);
            assert_eq!(bytes, expected, "for {value}");
            assert_eq!(varint(&bytes), Some((value, bytes.len())));
            assert_eq!(varint(&bytes[..bytes.len() - 1]), None);
        };
        // The examples of RFC 9000 appendix A.1.
        check(37, &[0x25]);
        check(15_293, &[0x7b, 0xbd]);
        check(494_878_333, &[0x9d, 0x7f, 0x3e, 0x7d]);
        check(151_288_809_941_952_652, &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]);
        assert_eq!(varint(&[0x40, 0x25]), Some((37, 2)));
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let mut bytes = Vec::new();
        put_head(HEADERS, 300, &mut bytes);
        assert_eq!(head(&bytes), Some((Head { kind: HEADERS, length: 300 }, 3)));
        assert_eq!(head(&bytes[..2]), None);
        assert_eq!(head(&[]), None);
    }
}
