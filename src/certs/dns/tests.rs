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
