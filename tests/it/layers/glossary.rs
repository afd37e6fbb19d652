//! Reads the glossary of the crate documentation and counts the identifiers and file names that use a replaced word.

use std::collections::{BTreeMap, BTreeSet};

use super::Source;

/// How often each word that the glossary replaces is part of an identifier or a file name of `sources`. An identifier is
/// counted once for each place where it is written.
pub(super) fn count_replaced_words(crate_docs: &str, sources: &[Source]) -> BTreeMap<String, usize> {
    let replaced = replaced_words(crate_docs);
    assert!(!replaced.is_empty(), "the crate documentation has no glossary");
    let mut counts = BTreeMap::new();
    for source in sources {
        let file = source.path.trim_end_matches(".rs").to_owned();
        let code = source.code().map(|(_, code)| without_strings(&code));
        for text in code.chain([file]) {
            for identifier in text.split(|c: char| !(c.is_alphanumeric() || c == '_')) {
                for word in words(identifier).filter(|word| replaced.contains(word)) {
                    *counts.entry(word).or_default() += 1;
                }
            }
        }
    }
    counts
}

/// The words of the glossary's third column. A word with an explanation in parentheses has other uses and is left out.
fn replaced_words(crate_docs: &str) -> BTreeSet<String> {
    let lines = crate_docs.lines().map(|line| line.trim_start_matches("//!").trim());
    let rows = lines.skip_while(|line| *line != "# Glossary").skip(1).take_while(|line| !line.starts_with('#'));
    rows.filter(|row| row.starts_with('|'))
        .filter_map(|row| row.trim_matches('|').rsplit('|').next())
        .flat_map(|cell| cell.split(','))
        .map(|word| word.trim().to_lowercase())
        .filter(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic()))
        .collect()
}

/// The words of an identifier in any case, without a plural's `s`.
fn words(identifier: &str) -> impl Iterator<Item = String> {
    let mut words = vec![String::new()];
    let mut before = '_';
    for c in identifier.chars() {
        if c == '_' || (c.is_uppercase() && !before.is_uppercase()) {
            words.push(String::new());
        }
        if c != '_' {
            words.last_mut().expect("there is a first word").extend(c.to_lowercase());
        }
        before = c;
    }
    words.into_iter().filter(|word| !word.is_empty()).map(|word| match word.strip_suffix('s') {
        Some(singular) if !singular.ends_with('s') => singular.to_owned(),
        _ => word,
    })
}

/// A line of code without what stands in quotes.
fn without_strings(code: &str) -> String {
    let (mut out, mut quoted, mut escaped) = (String::new(), false, false);
    for c in code.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if !quoted => out.push(c),
            _ => (),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCS: &str = "//! # Glossary\n//!\n//! | idea | word | not |\n//! |---|---|---|\n//! | a | `B` | desk, told, worker (an order) |\n//! # End\n//! | x | y | open |";

    fn count(path: &str, code: &str) -> Vec<(String, usize)> {
        let source = Source { path: format!("{path}.rs"), text: code.to_owned() };
        count_replaced_words(DOCS, &[source]).into_iter().collect()
    }

    #[test]
    fn replaced_words_are_found_in_every_spelling_of_an_identifier() {
        let found = count("admin/desk", "struct LocalDesk; fn told_by(desks: u32) { open(); }");
        assert_eq!(found, [("desk".to_owned(), 3), ("told".to_owned(), 1)]);
    }

    #[test]
    fn strings_comments_and_longer_words_are_not_identifiers() {
        assert_eq!(count("a", "// desk\nlet x = \"desk \\\" told\"; let desktop = 1;"), []);
    }
}
