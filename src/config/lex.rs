//! The block language's words. Lexically a Caddyfile: words parted by blanks, `{` and `}` as words of their own, `#`
//! comments where a word could begin, double quotes with `\"`. It gives no meaning to any word.

use super::diagnostic::{Diagnostic, Diagnostics, quote};
use super::source::Span;

/// A piece of text with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it stands.
    pub span: Span,
}

/// What a piece of text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A word; quotes are taken off and their escapes undone.
    Word {
        /// The word itself.
        text: String,
        /// Whether it was written in quotes.
        quoted: bool,
    },
    /// `{`
    Open,
    /// `}`
    Close,
    /// The end of a line, also of the last one without a line feed.
    EndOfLine,
    /// `#` and what follows on its line.
    Comment,
}

/// Cuts a text into tokens. Never fails: what cannot stand is a problem, and reading goes on behind it.
pub fn lex(text: &str, file: u32, findings: &mut Diagnostics) -> Vec<Token> {
    let mut lexer = Lexer { text, file, at: 0, tokens: Vec::new(), findings };
    // A byte order mark is what some editors put before UTF-8; it is no part of the first word.
    lexer.skip_prefix('\u{feff}');
    while let Some(c) = lexer.peek() {
        lexer.step(c);
    }
    lexer.push(TokenKind::EndOfLine, lexer.at);
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    file: u32,
    at: usize,
    tokens: Vec<Token>,
    findings: &'a mut Diagnostics,
}

impl Lexer<'_> {
    fn step(&mut self, c: char) {
        let start = self.at;
        match c {
            '\n' => {
                self.at += 1;
                self.push(TokenKind::EndOfLine, start);
            }
            c if c.is_whitespace() => self.at += c.len_utf8(),
            '#' => {
                self.at += self.rest().find('\n').unwrap_or_else(|| self.rest().len());
                self.push(TokenKind::Comment, start);
            }
            '"' => self.quoted(),
            _ => self.bare(),
        }
    }

    fn bare(&mut self) {
        let start = self.at;
        self.at += self.rest().find(char::is_whitespace).unwrap_or_else(|| self.rest().len());
        let word = &self.text[start..self.at];
        match word {
            "{" => self.push(TokenKind::Open, start),
            "}" => self.push(TokenKind::Close, start),
            _ => self.bare_word(word.to_owned(), start),
        }
    }

    /// `name{` and `};` look like braces to a person and are words to the language; it is said, and read as it was meant.
    fn bare_word(&mut self, word: String, start: usize) {
        let end = self.at;
        match word.strip_suffix('{') {
            Some(name) if self.rest().trim_start_matches([' ', '\t', '\r']).starts_with('\n') => {
                self.complain(end - 1, end, "this `{` is part of the word before it", "put a blank before the `{`");
                self.at = end - 1;
                self.word(name.to_owned(), false, start);
                self.at = end;
                self.push(TokenKind::Open, end - 1);
            }
            _ => {
                if word.starts_with('}') {
                    let what = format!("{} begins with a closing brace", quote(&word));
                    self.complain(start, end, what, "put the `}` on a line of its own");
                }
                self.word(word, false, start);
            }
        }
    }

    fn quoted(&mut self) {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(c) = self.peek() else {
                self.complain(start, start + 1, "the quote that opens here is never closed", "close it with another `\"`");
                break;
            };
            self.at += c.len_utf8();
            match (c, self.peek()) {
                ('"', None) => break,
                ('"', Some(next)) if next.is_whitespace() => break,
                ('"', Some(_)) => {
                    self.complain(self.at, self.at, "a word begins right behind a closing quote", "put a blank between them");
                    break;
                }
                ('\\', Some(escaped @ ('"' | '\\'))) => {
                    text.push(escaped);
                    self.at += 1;
                }
                _ => text.push(c),
            }
        }
        self.word(text, true, start);
    }

    fn word(&mut self, text: String, quoted: bool, start: usize) {
        let bad = text.chars().find(|c| c.is_control() && !(quoted && matches!(c, '\n' | '\r' | '\t')));
        if let Some(bad) = bad {
            let what = format!("a control character (U+{:04X}) stands in this word", u32::from(bad));
            self.complain(start, self.at, what, "remove it");
        }
        self.push(TokenKind::Word { text, quoted }, start);
    }

    fn complain(&mut self, start: usize, end: usize, what: impl Into<String>, hint: &str) {
        let place = self.span(start, end);
        self.findings.push(Diagnostic::at(place, what).hint(hint));
    }

    fn push(&mut self, kind: TokenKind, start: usize) {
        let span = self.span(start, self.at);
        self.tokens.push(Token { kind, span });
    }

    fn span(&self, start: usize, end: usize) -> Span {
        let at = |n: usize| u32::try_from(n).expect("load refuses texts over 4 MiB");
        Span { file: self.file, start: at(start), end: at(end) }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_prefix(&mut self, c: char) {
        if self.peek() == Some(c) {
            self.at += c.len_utf8();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let mut findings = Diagnostics::default();
        let tokens = lex(text, 0, &mut findings);
        let mut shown: Vec<String> = tokens
            .iter()
            .map(|token| match &token.kind {
                TokenKind::Word { text, quoted: true } => format!("{text:?}"),
                TokenKind::Word { text, quoted: false } => text.clone(),
                TokenKind::Open => "<".into(),
                TokenKind::Close => ">".into(),
                TokenKind::EndOfLine => ";".into(),
                TokenKind::Comment => "#".into(),
            })
            .collect();
        shown.extend(findings.problems.iter().map(|p| format!("! {}", p.what)));
        assert_eq!(shown.join(" "), expected, "for {text:?}");
    }

    #[test]
    fn words_braces_and_comments_are_told_apart() {
        check("a b{$C} {\n  x # y\n}\n", "a b{$C} < ; x # ; > ; ;");
        check("a#b #c", "a#b # ;");
        check("\u{feff}a\r\nb", "a ; b ;");
        check("", ";");
    }

    #[test]
    fn quotes_keep_blanks_and_two_escapes() {
        check(r#"respond 200 "a \"b\" c\\d\n""#, r#"respond 200 "a \"b\" c\\d\\n" ;"#);
        check("\"two\nlines\"", "\"two\\nlines\" ;");
        check("\"{\" x\"y", "\"{\" x\"y ;");
    }

    #[test]
    fn what_looks_like_a_brace_or_a_quote_and_is_none_is_a_problem() {
        check("a{\n", "a < ; ; ! this `{` is part of the word before it");
        check("};", "}; ; ! `};` begins with a closing brace");
        check("\"a", "\"a\" ; ! the quote that opens here is never closed");
        check("\"a\"b", "\"a\" b ; ! a word begins right behind a closing quote");
        check("a\u{0}b", "a\u{0}b ; ! a control character (U+0000) stands in this word");
    }
}
