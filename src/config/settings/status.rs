//! Statuses of HTTP answers as a configuration names them: one, or a class of them.

use std::fmt;

/// `200`, or `2xx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

impl StatusRange {
    /// A whole class: 2 for `2xx`.
    pub const fn class(digit: u16) -> Self {
        Self { first: digit * 100, last: digit * 100 + 99 }
    }

    /// Reads a status of an answer that ends an exchange (RFC 9110 section 15), or a class of them.
    pub fn parse(text: &str) -> Option<Self> {
        let (digit, rest) = text.split_at_checked(1)?;
        let class = digit.parse().ok().filter(|class| (2..=5).contains(class))?;
        if rest.eq_ignore_ascii_case("xx") {
            return Some(Self::class(class));
        }
        let code = text.parse().ok().filter(|_| text.len() == 3)?;
        Some(Self { first: code, last: code })
    }

    /// Whether it names this status.
    pub const fn contains(self, status: u16) -> bool {
        self.first <= status && status <= self.last
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}xx", self.first / 100) }
    }
}

/// For people: `200, 204 or 3xx`.
pub fn in_words(ranges: &[StatusRange]) -> String {
    let words: Vec<String> = ranges.iter().map(ToString::to_string).collect();
    match words.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_classes_read_and_print_alike() {
        for text in ["200", "404", "599", "2xx", "5xx"] {
            assert_eq!(StatusRange::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "1xx", "6xx", "2x", "20", "2000", "2é", "abc", "100", "+20"] {
            assert_eq!(StatusRange::parse(text), None, "{text:?}");
        }
        assert!(StatusRange::class(5).contains(500) && StatusRange::class(5).contains(599));
        assert!(!StatusRange::class(5).contains(499) && !StatusRange::parse("404").unwrap().contains(405));
    }

    #[test]
    fn several_stand_in_a_sentence() {
        let ranges: Vec<StatusRange> = ["200", "204", "3xx"].iter().filter_map(|text| StatusRange::parse(text)).collect();
        assert_eq!(in_words(&ranges), "200, 204 or 3xx");
        assert_eq!(in_words(&ranges[..1]), "200");
    }
}
