//! JSON → the tree that the block language gives. What a word means, and whether it exists, is for the floors above.

use super::parse::{self, Key, Kind, Paths, Value};
use crate::config::diagnostic::{Diagnostic, Diagnostics};
use crate::config::directives;
use crate::config::settings::Place;
use crate::config::source::Span;
use crate::config::tree::{Node, Word};

/// Reads a document into lines, and the paths of its values for messages.
pub(in crate::config) fn tree(text: &str, file: u32, findings: &mut Diagnostics) -> (Vec<Node>, Paths) {
    let Some((value, paths)) = parse::parse(text, file, findings) else { return (Vec::new(), Vec::new()) };
    let nodes = Reader { findings }.document(value);
    (nodes, paths)
}

struct Reader<'a> {
    findings: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn document(&mut self, value: Value) -> Vec<Node> {
        let mut nodes = Vec::new();
        for (key, value) in self.object(value) {
            match key.name.as_str() {
                "sites" => nodes.extend(self.sites(value)),
                "upstreams" => nodes.extend(self.upstreams(&key, value)),
                name if name == "localhost" || name.contains(['.', ':', '*', '[', '/']) => {
                    self.refuse(key.span, "a host is no word of the language", "write \"sites\": [{ \"hosts\": [...], ... }]");
                }
                _ => nodes.extend(self.member(key, value)),
            }
        }
        nodes
    }

    fn sites(&mut self, value: Value) -> Vec<Node> {
        let Kind::Array(sites) = value.kind else {
            self.refuse(value.span, "`sites` is not an array", "write [{ \"hosts\": [...], ... }]");
            return Vec::new();
        };
        sites.into_iter().filter_map(|site| self.site(site)).collect()
    }

    fn site(&mut self, value: Value) -> Option<Node> {
        let whole = Span { end: value.span.start + 1, ..value.span };
        let mut heads = Vec::new();
        let mut origin = None;
        let mut block = Vec::new();
        for (key, value) in self.object(value) {
            match key.name.as_str() {
                "hosts" => heads = self.hosts(value),
                "at" => origin = self.origin(value),
                "paths" => block.extend(self.paths(value)),
                _ => block.extend(self.member(key, value)),
            }
        }
        let Some(first) = heads.first_mut() else {
            self.refuse(whole, "this site has no hosts", "add \"hosts\": [\"example.com\"]");
            return None;
        };
        first.origin = origin;
        Some(Node { words: heads, block: Some(block) })
    }

    fn hosts(&mut self, value: Value) -> Vec<Word> {
        let words = match value.kind {
            Kind::Array(values) => values.into_iter().filter_map(|value| self.scalar(value)).collect(),
            _ => self.scalar(value).into_iter().collect(),
        };
        // Here a host cannot be taken for one of our words; the scheme keeps it so in the tree.
        let head = |mut word: Word| {
            if !word.text.contains("://") {
                word.text.insert_str(0, "https://");
            }
            word
        };
        let words: Vec<Word> = words;
        words.into_iter().map(head).collect()
    }

    fn paths(&mut self, value: Value) -> Vec<Node> {
        let mut nodes = Vec::new();
        for (key, value) in self.object(value) {
            let mut head = Word::plain(key.name, key.span);
            let mut block = Vec::new();
            for (key, value) in self.object(value) {
                match key.name.as_str() {
                    "at" => head.origin = self.origin(value),
                    _ => block.extend(self.member(key, value)),
                }
            }
            if !head.text.starts_with('/') {
                self.refuse(head.span, "this is not a path", "begin it with a slash");
                continue;
            }
            nodes.push(Node { words: vec![head], block: Some(block) });
        }
        nodes
    }

    fn upstreams(&mut self, key: &Key, value: Value) -> Vec<Node> {
        let mut nodes = Vec::new();
        for (name, value) in self.object(value) {
            let words = vec![Word::plain("upstream", key.span), value_word(name.name, name.span)];
            nodes.push(Node { words, block: Some(self.block(value)) });
        }
        nodes
    }

    fn block(&mut self, value: Value) -> Vec<Node> {
        self.object(value).into_iter().flat_map(|(key, value)| self.member(key, value)).collect()
    }

    /// The lines that one member stands for.
    fn member(&mut self, key: Key, value: Value) -> Vec<Node> {
        let name = value_word(key.name, key.span);
        match value.kind {
            Kind::Null => Vec::new(),
            Kind::Bool(false) if directives::is_flag(&name.text) => Vec::new(),
            Kind::Bool(true) if directives::is_flag(&name.text) => vec![Node { words: vec![name], block: None }],
            Kind::Array(lines) if !lines.is_empty() && lines.iter().all(|line| matches!(line.kind, Kind::Array(_))) => {
                lines.into_iter().map(|line| self.line(name.clone(), line)).collect()
            }
            kind => vec![self.line(name, Value { span: value.span, kind })],
        }
    }

    /// One line: a value, or values with perhaps an object as the last, or just an object.
    fn line(&mut self, name: Word, value: Value) -> Node {
        let mut words = vec![name];
        let mut block = None;
        match value.kind {
            Kind::Array(values) => {
                let last = values.len().saturating_sub(1);
                for (n, value) in values.into_iter().enumerate() {
                    if n == last && matches!(value.kind, Kind::Object(_)) {
                        block = Some(self.block(value));
                    } else {
                        words.extend(self.scalar(value));
                    }
                }
            }
            Kind::Object(_) => block = Some(self.block(value)),
            _ => words.extend(self.scalar(value)),
        }
        Node { words, block }
    }

    fn scalar(&mut self, value: Value) -> Option<Word> {
        let text = match value.kind {
            Kind::Scalar(text) => text,
            Kind::Bool(true) => "on".to_owned(),
            Kind::Bool(false) => "off".to_owned(),
            Kind::Null | Kind::Array(_) | Kind::Object(_) => {
                let span = Span { end: value.span.start + 1, ..value.span };
                self.refuse(span, "here stands a single value", "write a string or a number");
                return None;
            }
        };
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.refuse(value.span, "a control character stands in this value", "remove it");
        }
        Some(value_word(text, value.span))
    }

    fn object(&mut self, value: Value) -> Vec<(Key, Value)> {
        if let Kind::Object(members) = value.kind {
            return members;
        }
        let span = Span { end: (value.span.start + 1).min(value.span.end), ..value.span };
        self.refuse(span, "here stands an object", "write { ... }");
        Vec::new()
    }

    /// `FILE:LINE:COLUMN`, as `adapt` prints it.
    fn origin(&mut self, value: Value) -> Option<Place> {
        let span = value.span;
        let word = self.scalar(value)?;
        let place = read_place(&word.text);
        if place.is_none() {
            self.refuse(span, "this is not a place", "write FILE:LINE:COLUMN, or leave `at` out");
        }
        place
    }

    fn refuse(&mut self, span: Span, what: &str, hint: &str) {
        self.findings.push(Diagnostic::at(span, what).hint(hint));
    }
}

/// A value is in quotes in JSON, so braces in it are no placeholder.
fn value_word(text: String, span: Span) -> Word {
    Word { quoted: true, ..Word::plain(text, span) }
}

fn read_place(text: &str) -> Option<Place> {
    let (rest, column) = text.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some(Place { file: file.into(), line: line.parse().ok()?, column: column.parse().ok()? })
}
