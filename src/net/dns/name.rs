//! Names as questions need them and as we write them.

use hickory_proto::rr::Name;

use super::error::DnsError;

/// A name for a question, from the root.
pub(super) fn parse(name: &str) -> Result<Name, DnsError> {
    let bad = || DnsError::BadName { name: name.to_owned() };
    let mut parsed = Name::from_ascii(name.to_ascii_lowercase()).map_err(|_| bad())?;
    parsed.set_fqdn(true);
    match parsed.is_root() {
        true => Err(bad()),
        false => Ok(parsed),
    }
}

/// A name as we write it: in lower case, without the final dot, unusual bytes escaped (RFC 1035 section 5.1).
pub(super) fn text(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

/// `a.b.c`, `b.c`, `c`.
pub(super) fn with_parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, parent)| parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_asked_for_from_the_root_and_told_in_one_form() {
        for (given, expected) in [
            ("A.Example", "a.example"),
            ("a.example.", "a.example"),
            ("_acme-challenge.*.a.example", "_acme-challenge.*.a.example"),
            ("localhost", "localhost"),
        ] {
            let name = parse(given).unwrap();
            assert!(name.is_fqdn());
            assert_eq!(text(&name), expected);
        }
        for bad in ["", ".", "a..example", &"a".repeat(64), &"a.".repeat(140)] {
            assert!(matches!(parse(bad), Err(DnsError::BadName { .. })), "{bad}");
        }
    }

    #[test]
    fn parents_end_at_the_topmost_label() {
        assert_eq!(with_parents("a.b.example").collect::<Vec<_>>(), ["a.b.example", "b.example", "example"]);
    }
}
