//! Entity tags as fields list them (RFC 9110 section 8.8.3). Pure.

/// The items of a list of tags as they are written. A comma within quotes belongs to its tag.
pub(super) fn listed(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    let items = list.split(move |byte| {
        is_quoted ^= *byte == b'"';
        *byte == b',' && !is_quoted
    });
    items.map(<[u8]>::trim_ascii).filter(|item| !item.is_empty())
}

/// A tag without its mark of weakness.
pub(super) fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// Whether two tags are the same by the weak comparison (section 8.8.3.2).
pub(super) fn match_weakly(one: &[u8], other: &[u8]) -> bool {
    opaque(one) == opaque(other)
}

/// Whether two tags are the same by the strong comparison: neither is weak.
pub(super) fn match_strongly(one: &[u8], other: &[u8]) -> bool {
    one == other && !one.starts_with(b"W/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_outside_of_quotes() {
        let check = |list: &str, expected: &[&str]| {
            let seen: Vec<_> = listed(list.as_bytes()).map(|tag| std::str::from_utf8(tag).unwrap()).collect();
            assert_eq!(seen, expected, "{list}");
        };
        check("\"a\"", &["\"a\""]);
        check("\"a\" ,W/\"b\",\t\"c,d\"", &["\"a\"", "W/\"b\"", "\"c,d\""]);
        check(" , ,", &[]);
        check("*", &["*"]);
        check("\"open, \"b", &["\"open, \"b"]);
    }

    #[test]
    fn comparison_is_that_of_the_rfc() {
        // The table of section 8.8.3.2.
        for (one, other, strongly, weakly) in [
            ("W/\"1\"", "W/\"1\"", false, true),
            ("W/\"1\"", "W/\"2\"", false, false),
            ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
        ] {
            let (one, other) = (one.as_bytes(), other.as_bytes());
            assert_eq!((match_strongly(one, other), match_weakly(one, other)), (strongly, weakly));
        }
    }
}
