//! The formatter: one form for every configuration. Comments and the spelling of every word survive; only blanks, empty
//! lines and indentation change. Works on tokens, so that it knows no word's meaning.

use super::diagnostic::{Diagnostics, Report};
use super::lex::{Token, TokenKind, lex};
use super::source::Sources;
use super::tree;

/// How far braces move their lines in.
const STEP: usize = 4;

/// The text in its one form, or what is wrong with its braces and quotes. `name` is what problems call it.
pub fn format(name: &str, text: &str) -> Result<String, Report> {
    let mut findings = Diagnostics::default();
    let mut sources = Sources::default();
    let file = sources.add(name, text, "/".into());
    let tokens = lex(text, file, &mut findings);
    tree::parse(tokens.clone(), &mut findings);
    if !findings.problems.is_empty() {
        return Err(Report::errors(sources, findings.problems));
    }
    let mut page = Page::default();
    for line in tokens.split_inclusive(|token| token.kind == TokenKind::EndOfLine) {
        page.line(&line[..line.len() - 1], text);
    }
    Ok(page.text)
}

#[derive(Default)]
struct Page {
    text: String,
    depth: usize,
    /// Whether an empty line waits: it is written only between two lines of one level.
    gap: bool,
    /// Whether the last line opened braces.
    opened: bool,
}

impl Page {
    fn line(&mut self, tokens: &[Token], source: &str) {
        let Some(first) = tokens.first() else {
            self.gap = true;
            return;
        };
        let closes = first.kind == TokenKind::Close;
        if closes {
            self.depth = self.depth.saturating_sub(1);
        }
        if self.gap && !closes && !self.opened && !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.extend(std::iter::repeat_n(' ', STEP * self.depth));
        for (n, token) in tokens.iter().enumerate() {
            self.text.push_str(if n == 0 { "" } else { " " });
            self.text.push_str(source[token.span.range()].trim_end());
        }
        self.text.push('\n');
        self.gap = false;
        self.opened = tokens.iter().any(|token| token.kind == TokenKind::Open);
        self.depth += usize::from(self.opened);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let formatted = format("a.conf", text).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(formatted, expected, "for {text:?}");
        assert_eq!(format("a.conf", &formatted).unwrap(), formatted, "formatting twice changes it");
    }

    #[test]
    fn blanks_and_indentation_have_one_form_and_comments_survive() {
        check(
            "\n\n#top\nemail   a@b.example\t# me  \r\n\n\n\na.example   {\n\n\tproxy 1\n\n\n /x   { # why\nrespond 200 \"a  b\"\n\n}\n\n}\nb.example {\n}",
            "#top\nemail a@b.example # me\n\na.example {\n    proxy 1\n\n    /x { # why\n        respond 200 \"a  b\"\n    }\n}\nb.example {\n}\n",
        );
        check("", "");
        check("# only a comment", "# only a comment\n");
    }

    #[test]
    fn what_stands_in_quotes_is_left_alone() {
        check("x.example {\n respond 200 \"a\n   b \\\" c\"\n}\n", "x.example {\n    respond 200 \"a\n   b \\\" c\"\n}\n");
    }

    #[test]
    fn every_word_is_the_same_afterwards() {
        let text = include_str!("json/everything.conf");
        let words = |text: &str| {
            let tokens = lex(text, 0, &mut Diagnostics::default());
            let words = tokens.into_iter().filter(|token| token.kind != TokenKind::EndOfLine);
            words.map(|token| format!("{:?} {}", token.kind, text[token.span.range()].trim_end())).collect::<Vec<_>>()
        };
        assert_eq!(words(&format("a.conf", text).unwrap()), words(text));
        assert_eq!(format("a.conf", text).unwrap(), text, "the text of everything is in its one form");
    }

    #[test]
    fn braces_out_of_place_are_refused() {
        assert!(format("a.conf", "a.example {\n").is_err());
    }
}
