//! Stars in an import's path: `*` is any run of characters in one name, `?` is one.

/// Whether a name fits a pattern. A name that begins with a dot fits only a pattern that does, too. Takes time in
/// proportion to the product of both lengths at most.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to go on when what followed the last star did not fit: one character more is the star's.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    p = after;
                    n = taken + 1;
                    star = Some((after, taken + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether a text has a star or a question mark.
pub(super) fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match_within_a_name() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf~", false),
            ("*.conf", ".hidden.conf", false),
            (".*", ".hidden", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xaxbx", true),
            ("*", "anything", true),
            ("", "", true),
            ("a*", "b", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "for {pattern} and {name}");
        }
    }

    #[test]
    fn many_stars_end_in_time() {
        assert!(!matches(&format!("{}c", "a*".repeat(200)), &"a".repeat(2000)));
    }
}
