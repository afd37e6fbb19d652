//! Base64url (RFC 4648 section 5), which authorities write their MAC keys in.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone),
);

/// Decodes; padding may be there or not, and the standard alphabet's `+` and `/` are taken as well, since some
/// authorities print it. `None` for anything else.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
    ENGINE.decode(text).ok().filter(|bytes| !bytes.is_empty())
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

    #[test]
    fn bits_behind_the_last_byte_are_ignored() {
        assert_eq!(decode("Zm9vYh").as_deref(), Some(&b"foob"[..]));
    }
}
