//! Base64url (RFC 4648 section 5), which authorities write their MAC keys in.

/// Decodes; padding may be there or not, and the standard alphabet's `+` and `/` are taken as well, since some
/// authorities print it. `None` for anything else.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    if text.is_empty() || text.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.bytes() {
        bits = bits << 6 | u32::from(digit(byte)?);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).expect("eight bits were kept"));
        }
    }
    Some(out)
}

const fn digit(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'-' | b'+' => 62,
        b'_' | b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_decode_in_both_alphabets_with_and_without_padding() {
        for (text, bytes) in [("Zm9v", "foo"), ("Zm9vYg", "foob"), ("Zm9vYg==", "foob"), ("Zm9vYmE=", "fooba")] {
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(decode("-_+/"), Some(vec![0xfb, 0xff, 0xbf]));
        for text in ["", "A", "a b", "Zm9v!", "AAAAA", "="] {
            assert_eq!(decode(text), None, "for {text:?}");
        }
    }
}
