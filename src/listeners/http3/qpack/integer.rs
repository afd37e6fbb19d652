//! Integers that begin in the middle of a byte (RFC 9204 section 4.1.1, RFC 7541 section 5.1).

/// Reads one that begins in the low `bits` of the first byte; `None` when it is cut off or above any length we take.
pub(in crate::listeners) fn read(bytes: &mut &[u8], bits: u8) -> Option<usize> {
    let (first, mut rest) = bytes.split_first()?;
    let most = (1_usize << bits) - 1;
    let mut value = usize::from(*first) & most;
    if value == most {
        let mut shift = 0;
        loop {
            let (byte, after) = rest.split_first()?;
            rest = after;
            // 28 bits and a little: longer than any section.
            if shift > 21 {
                return None;
            }
            value += usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *bytes = rest;
    Some(value)
}

/// Writes one into the low `bits` of a byte whose other bits are `flags`.
pub(in crate::listeners) fn write(mut value: usize, bits: u8, flags: u8, out: &mut Vec<u8>) {
    let most = (1_usize << bits) - 1;
    if value < most {
        out.push(flags | low(value));
        return;
    }
    out.push(flags | low(most));
    value -= most;
    while value >= 0x80 {
        out.push(0x80 | low(value & 0x7f));
        value >>= 7;
    }
    out.push(low(value));
}

fn low(value: usize) -> u8 {
    u8::try_from(value & 0xff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_read_back_with_every_prefix() {
        for value in [0, 1, 6, 7, 30, 31, 126, 127, 128, 1_337, 16_383, 65_536, 1 << 27] {
            for bits in 3..=8 {
                let mut bytes = Vec::new();
                write(value, bits, 0, &mut bytes);
                assert_eq!(read(&mut &bytes[..], bits), Some(value), "{value} in {bits} bits");
                assert_eq!(read(&mut &bytes[..bytes.len() - 1], bits), None);
            }
        }
        // RFC 7541 appendix C.1.2.
        let mut bytes = Vec::new();
        write(1_337, 5, 0xe0, &mut bytes);
        assert_eq!(bytes, [0xff, 0x9a, 0x0a]);
    }

    #[test]
    fn an_integer_without_an_end_is_refused() {
        assert_eq!(read(&mut &[0xff; 20][..], 8), None);
        assert_eq!(read(&mut &[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..], 8), None);
    }
}
