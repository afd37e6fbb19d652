//! The texts a configuration was read from, and places in them.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::env_values::EnvValues;
use super::settings::Place;

/// A piece of one source: bytes `start..end` of the file with this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Index into [`Sources`].
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// One after the last byte.
    pub end: u32,
}

impl Span {
    /// From this one's start to the other's end, both in one file.
    pub const fn to(self, other: Self) -> Self {
        Self { end: other.end, ..self }
    }

    /// As indices into the source's text.
    pub const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One text.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file as it was named; empty for the command line.
    pub name: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
    /// What relative paths in it start from; absolute.
    pub folder: PathBuf,
    /// Where each line begins.
    lines: Vec<u32>,
    /// In JSON, each value's first byte and the path to it.
    paths: Vec<(u32, String)>,
}

/// All texts of one configuration, in the order they were read.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    list: Vec<Source>,
    /// What came from the environment instead.
    pub env_values: EnvValues,
}

impl Sources {
    /// Takes a text in and gives its index. Its readers refuse texts long before an offset overflows.
    pub fn add(&mut self, name: &str, text: &str, folder: PathBuf) -> u32 {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| small(at + 1));
        let lines = std::iter::once(0).chain(ends).collect();
        self.list.push(Source { name: name.into(), text: text.into(), folder, lines, paths: Vec::new() });
        small(self.list.len() - 1)
    }

    /// Adds what leads to each value of a JSON text.
    pub fn set_paths(&mut self, file: u32, paths: Vec<(u32, String)>) {
        self.list[file as usize].paths = paths;
    }

    /// The path to the value a span begins at, in JSON.
    pub fn json_path(&self, span: Span) -> Option<&str> {
        let (_, path) = self.of(span).paths.iter().find(|(start, path)| *start == span.start && !path.is_empty())?;
        Some(path)
    }

    /// The source a span lies in.
    pub fn of(&self, span: Span) -> &Source {
        &self.list[span.file as usize]
    }

    /// Line and column of a span's start, counted from 1, columns in characters.
    pub fn place(&self, span: Span) -> Place {
        let source = self.of(span);
        let line = source.lines.partition_point(|start| *start <= span.start);
        let start = source.lines[line - 1];
        let column = source.text[start as usize..span.start as usize].chars().count() + 1;
        Place { file: Arc::clone(&source.name), line: small(line), column: small(column) }
    }

    /// An absolute path: as written, or from the folder of the file it is written in.
    pub fn path(&self, span: Span, written: &str) -> PathBuf {
        self.of(span).folder.join(Path::new(written))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.list.iter()
    }
}

fn small(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let mut sources = Sources::default();
        let file = sources.add("a.conf", "é x\nyé z", "/etc".into());
        let at = |start| {
            let place = sources.place(Span { file, start, end: start + 1 });
            (place.line, place.column)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(3), (1, 3));
        assert_eq!(at(5), (2, 1));
        assert_eq!(at(9), (2, 4));
        assert_eq!(at(4), (1, 4), "a line feed is its line's last character");
    }
}
