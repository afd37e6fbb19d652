//! Which words are known to the language and not built yet. They are refused, never ignored; resolving them works
//! already, so a word comes alive by losing its line here.

use super::problem::{Findings, Problem};
use super::source::Span;
use super::tree::Word;
use super::vocabulary::Context;

/// A word that waits for its part of the gateway.
#[derive(Clone, Copy, Debug)]
pub struct NotYet {
    within: Context,
    word: &'static str,
    /// Only with this value; a final `*` stands for any ending.
    value: Option<&'static str>,
}

/// A word that is refused whatever its value.
pub const fn word(within: Context, word: &'static str) -> NotYet {
    NotYet { within, word, value: None }
}

/// What the present version refuses: nothing.
pub const NOT_YET: &[NotYet] = &[];

/// Refuses a line that uses something of `table`. Whether the word as a whole is refused, so that nothing else about the
/// line matters.
pub fn refuse(table: &[NotYet], within: Context, name: &Word, values: &[Word], findings: &mut Findings) -> bool {
    let mut whole = false;
    // What may stand in a path's braces may stand in a site's; one line in the table is for both.
    let same = |entry: &NotYet| entry.within == within || (entry.within == Context::Path && within == Context::Site);
    for entry in table.iter().filter(|entry| same(entry) && entry.word == name.text) {
        match entry.value {
            None => {
                whole = true;
                findings.push(complaint(name.span, &name.text));
            }
            Some(pattern) => {
                for value in values.iter().filter(|value| matches(pattern, &value.text)) {
                    findings.push(complaint(value.span, &format!("{} {}", name.text, pattern.trim_end_matches('*'))));
                }
            }
        }
    }
    whole
}

fn matches(pattern: &str, value: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == value, |start| value.starts_with(start))
}

fn complaint(span: Span, what: &str) -> Problem {
    Problem::at(span, format!("`{what}` is not yet supported")).hint("remove it: this version knows the word but cannot do it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_compared_whole_unless_the_table_has_a_star() {
        assert!(matches("h2c://*", "h2c://127.0.0.1:1") && matches("h3", "h3"));
        assert!(!matches("h3", "h33") && !matches("h2c://*", "http://a"));
    }
}
