//! Paths: the heads of path braces, and the paths that words take as values.

use super::resolver::Resolver;
use crate::config::diagnostic::quote;
use crate::config::settings::PathPattern;
use crate::config::tree::Word;

/// What is wrong with a path, and what to do.
type PathError = (String, String);

impl Resolver<'_> {
    /// The head of path braces.
    pub(super) fn pattern(&mut self, word: &Word) -> Option<PathPattern> {
        pattern(&word.text).map_err(|(what, hint)| self.complain(word.span, what, hint)).ok()
    }

    /// A path without a star.
    pub(super) fn plain_path(&mut self, word: &Word) -> Option<String> {
        let path = match word.text.contains('*') {
            true => Err((format!("{} has a star", quote(&word.text)), "write the path itself".into())),
            false => possible(&word.text),
        };
        path.map_err(|(what, hint)| self.complain(word.span, what, hint)).ok()?;
        Some(word.text.clone())
    }
}

fn pattern(text: &str) -> Result<PathPattern, PathError> {
    let (path, prefix) = match text.strip_suffix("/*") {
        Some(_) => (&text[..text.len() - 1], true),
        None => (text, false),
    };
    if path.contains('*') {
        let bare = path.trim_end_matches('*');
        let hint = format!("a star stands at the end, behind a slash: `{}/*`", bare.trim_end_matches('/'));
        return Err((format!("{} has a star where it means nothing", quote(text)), hint));
    }
    possible(path)?;
    Ok(if prefix { PathPattern::Prefix(path.to_owned()) } else { PathPattern::Exact(path.to_owned()) })
}

/// Refuses what no request's path can be: requests are brought into their normal form before they are compared.
fn possible(path: &str) -> Result<(), PathError> {
    let never = |why: &str, hint: &str| Err((format!("{} can never match: {why}", quote(path)), hint.to_owned()));
    if !path.starts_with('/') {
        return Err((format!("{} is not a path", quote(path)), "begin it with a slash".into()));
    }
    if path.contains(['?', '#']) {
        return never("a path ends before `?` and `#`", "leave that part out");
    }
    if path.contains("//") {
        return never("it has two slashes in a row", "write one");
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return never("requests have no `.` and `..` segments left", "write the path they lead to");
    }
    if path
        .bytes()
        .any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'))
    {
        return never("a character in it comes only in its % form", "write %20 for a blank, and so on");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match pattern(text) {
            Ok(pattern) => format!("{pattern:?}"),
            Err((what, _)) => format!("! {what}"),
        };
        assert_eq!(shown, expected, "for {text:?}");
    }

    #[test]
    fn patterns_are_exact_or_prefixes() {
        check("/ws", r#"Exact("/ws")"#);
        check("/ws/*", r#"Prefix("/ws/")"#);
        check("/*", r#"Prefix("/")"#);
        check("/a%20b", r#"Exact("/a%20b")"#);
    }

    #[test]
    fn patterns_that_cannot_match_are_refused() {
        check("/ws*", "! `/ws*` has a star where it means nothing");
        check("/a/*/b", "! `/a/*/b` has a star where it means nothing");
        check("/a?x=1", "! `/a?x=1` can never match: a path ends before `?` and `#`");
        check("/a//b", "! `/a//b` can never match: it has two slashes in a row");
        check("/a/../b", "! `/a/../b` can never match: requests have no `.` and `..` segments left");
        check("/é", "! `/é` can never match: a character in it comes only in its % form");
    }
}
