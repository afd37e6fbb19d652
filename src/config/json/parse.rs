//! JSON (RFC 8259) with the place of every value and the path that leads to it. `serde_json` keeps neither, and a
//! complaint without a place is worth little; it still reads every string and number.

use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::source::Span;
use crate::config::tree::DEEPEST;

/// A value with its place.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) span: Span,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    /// A string's content, or a number as it is written.
    Scalar(String),
    Array(Vec<Value>),
    /// ObjectWriter in the order of the text.
    Object(Vec<(Key, Value)>),
}

/// A member's name with its place.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) span: Span,
}

/// Where values are: each one's first byte and its path, such as `sites[0].hosts`.
pub(super) type Paths = Vec<(u32, String)>;

/// Reads one document. `None` with a problem when it is no JSON.
pub(super) fn parse(text: &str, file: u32, findings: &mut Diagnostics) -> Option<(Value, Paths)> {
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut parser = Parser { text, file, at: start, paths: Vec::new(), path: String::new(), depth: 0 };
    let value = parser.document();
    value.map_err(|problem| findings.push(problem)).ok().map(|value| (value, parser.paths))
}

struct Parser<'a> {
    text: &'a str,
    file: u32,
    at: usize,
    paths: Paths,
    path: String,
    depth: usize,
}

type Read<T> = Result<T, Diagnostic>;

impl Parser<'_> {
    fn document(&mut self) -> Read<Value> {
        let value = self.value()?;
        self.blanks();
        if self.at < self.text.len() {
            return Err(self.unexpected("the end of the document"));
        }
        Ok(value)
    }

    fn value(&mut self) -> Read<Value> {
        self.blanks();
        let start = self.at;
        self.paths.push((self.small(start), self.path.clone()));
        let kind = match self.peek() {
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::array)?,
            Some(b'"') => Kind::Scalar(self.string()?),
            Some(b'-' | b'0'..=b'9') => Kind::Scalar(self.number()?),
            _ => self.literal()?,
        };
        Ok(Value { span: self.span(start), kind })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Read<Kind>) -> Read<Kind> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Diagnostic::at(self.span(self.at), format!("this nests deeper than {DEEPEST}"))
                .hint("the language itself needs eight"));
        }
        self.at += 1;
        let kind = read(self);
        self.depth -= 1;
        kind
    }

    fn object(&mut self) -> Read<Kind> {
        let mut members = Vec::new();
        let length = self.path.len();
        while !self.closes(b'}', members.is_empty())? {
            self.blanks();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a name in double quotes"));
            }
            let name = self.string()?;
            let key = Key { span: self.span(start), name };
            self.blanks();
            if !self.takes(b':') {
                return Err(self.unexpected("a colon"));
            }
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(&key.name);
            self.paths.push((key.span.start, self.path.clone()));
            let value = self.value()?;
            self.path.truncate(length);
            members.push((key, value));
        }
        Ok(Kind::Object(members))
    }

    fn array(&mut self) -> Read<Kind> {
        let mut values = Vec::new();
        let length = self.path.len();
        while !self.closes(b']', values.is_empty())? {
            self.path.push_str(&format!("[{}]", values.len()));
            values.push(self.value()?);
            self.path.truncate(length);
        }
        Ok(Kind::Array(values))
    }

    /// Whether the bracket closes here; else a comma is taken, unless nothing stands before.
    fn closes(&mut self, bracket: u8, first: bool) -> Read<bool> {
        self.blanks();
        if self.takes(bracket) {
            return Ok(true);
        }
        if first || self.takes(b',') {
            return Ok(false);
        }
        Err(self.unexpected(&format!("a comma or `{}`", char::from(bracket))))
    }

    fn string(&mut self) -> Read<String> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        while bytes.get(end).is_some_and(|byte| *byte != b'"') {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        self.at = (end + 1).min(self.text.len());
        // A backslash before the end of the text may have led behind it, or into a character.
        let written = self.text.get(start..self.at).unwrap_or_default();
        serde_json::from_str(written).map_err(|_| {
            self.at = start + 1;
            Diagnostic::at(self.span(start), "this string is not JSON")
                .hint("close it with a double quote; escape line breaks and `\\`")
        })
    }

    fn number(&mut self) -> Read<String> {
        let start = self.at;
        let more = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
        self.at += self.text.as_bytes()[start..].iter().take_while(|byte| more(byte)).count();
        let written = &self.text[start..self.at];
        match serde_json::from_str::<serde_json::Number>(written) {
            Ok(_) => Ok(written.to_owned()),
            Err(_) => {
                Err(Diagnostic::at(self.span(start), "this number is not JSON").hint("write digits, without a zero before them"))
            }
        }
    }

    fn literal(&mut self) -> Read<Kind> {
        let literals = [("true", Kind::Bool(true)), ("false", Kind::Bool(false)), ("null", Kind::Null)];
        for (name, kind) in literals {
            if self.text[self.at..].starts_with(name) {
                self.at += name.len();
                return Ok(kind);
            }
        }
        Err(self.unexpected("a value"))
    }

    fn unexpected(&self, expected: &str) -> Diagnostic {
        let end = self.text[self.at..].chars().next().map_or(self.at, |c| self.at + c.len_utf8());
        let span = Span { file: self.file, start: self.small(self.at), end: self.small(end) };
        Diagnostic::at(span, format!("this is not JSON: here should be {expected}"))
            .hint("JSON has no comments and no comma after the last element")
    }

    fn blanks(&mut self) {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        self.at += self.text.as_bytes()[self.at..].iter().take_while(|byte| blank(byte)).count();
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn span(&self, start: usize) -> Span {
        Span { file: self.file, start: self.small(start), end: self.small(self.at.max(start)) }
    }

    #[expect(clippy::unused_self, reason = "reads as part of the parser")]
    fn small(&self, n: usize) -> u32 {
        u32::try_from(n).expect("load refuses texts over 4 MiB")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let mut findings = Diagnostics::default();
        let shown = match parse(text, 0, &mut findings) {
            Some((_, paths)) => paths.into_iter().map(|(_, path)| path).collect::<Vec<_>>().join(" "),
            None => format!("! {} at {:?}", findings.problems[0].what, findings.problems[0].place.unwrap().range()),
        };
        assert_eq!(shown, expected, "for {text:?}");
    }

    #[test]
    fn every_value_has_a_path() {
        check(r#"{"a": [1, {"b": "x\"y"}], "c": null}"#, " a a a[0] a[1] a[1].b a[1].b c c");
        check("\u{feff}[]", "");
    }

    #[test]
    fn what_is_no_json_is_said_where_it_begins() {
        check("{\"a\": 1,}", "! this is not JSON: here should be a name in double quotes at 8..9");
        check("{\"a\" 1}", "! this is not JSON: here should be a colon at 5..6");
        check("{\"a\": 1 \"b\"}", "! this is not JSON: here should be a comma or `}` at 8..9");
        check("[01]", "! this number is not JSON at 1..3");
        check("[\"a", "! this string is not JSON at 1..2");
        check("[\"a\\é\"]", "! this string is not JSON at 1..2");
        check("[\"\\", "! this string is not JSON at 1..2");
        check("{} x", "! this is not JSON: here should be the end of the document at 3..4");
        check("", "! this is not JSON: here should be a value at 0..0");
        check(&"[".repeat(100_000), "! this nests deeper than 16 at 16..16");
    }
}
