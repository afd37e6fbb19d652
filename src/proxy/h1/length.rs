//! `Content-Length`, read (RFC 9110 section 8.6). Pure.

/// Largest length, in bytes. Many programs keep lengths in signed 64 bits, where a larger one becomes negative or small.
pub const MAX_LENGTH: u64 = i64::MAX as u64;

/// The length that a value without commas says: digits alone, without sign or blank, and at most [`MAX_LENGTH`].
pub fn read(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|length| *length <= MAX_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_digits_alone_and_fits_63_bits() {
        let check = |text: &str, expected| assert_eq!(read(text.as_bytes()), expected, "{text:?}");
        check("0", Some(0));
        check("010", Some(10));
        check("9223372036854775807", Some(MAX_LENGTH));
        for bad in [
            "",
            "+5",
            "-5",
            "5 ",
            "0x5",
            "5,5",
            "9223372036854775808",
            "18446744073709551615",
            "99999999999999999999",
            "\u{ff15}",
        ] {
            check(bad, None);
        }
    }
}
