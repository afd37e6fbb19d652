//! Reads a header section (RFC 9204 section 4.5). All its texts are kept in one piece of memory, whatever packet they came
//! in: a packet's own memory would live as long as a request does.

use std::ops::Range;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};

use super::{huffman, integer, table};

/// What a field costs beyond its texts (RFC 9114 section 4.2.2).
const OVERHEAD: usize = 32;

/// A decoded section.
#[derive(Debug)]
pub struct Section {
    text: Bytes,
    fields: Vec<(Word, Word)>,
}

/// A name or a value.
#[derive(Debug)]
enum Word {
    /// Of this line of the static table.
    Static(usize),
    /// This part of the section's text.
    Text(Range<usize>),
}

/// One field of a section.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    section: &'a Section,
    words: &'a (Word, Word),
}

/// Why a section cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// It is no section, or refers to a table that is empty.
    #[error("the header section cannot be decompressed")]
    Broken,
    /// Its size, as RFC 9114 section 4.2.2 counts it, is above the limit.
    #[error("the header section is larger than allowed")]
    TooLarge,
}

impl From<huffman::Broken> for SectionError {
    fn from(_: huffman::Broken) -> Self {
        Self::Broken
    }
}

/// Reads `block`, whose fields may have a size of `limit` together.
pub fn decode(block: &[u8], limit: usize) -> Result<Section, SectionError> {
    let mut rest = block;
    let inserted = integer::read(&mut rest, 8);
    let base = integer::read(&mut rest, 7);
    if inserted != Some(0) || base.is_none() {
        return Err(SectionError::Broken);
    }
    let mut text = Vec::with_capacity(block.len() + block.len() / 2);
    let (mut fields, mut size) = (Vec::with_capacity(16), 0);
    while let Some(first) = rest.first().copied() {
        let (name, value) = field(first, &mut rest, &mut text)?;
        size += OVERHEAD + name.length(|line| line.0) + value.length(|line| line.1);
        if size > limit {
            return Err(SectionError::TooLarge);
        }
        fields.push((name, value));
    }
    Ok(Section { text: text.into(), fields })
}

fn field(first: u8, rest: &mut &[u8], text: &mut Vec<u8>) -> Result<(Word, Word), SectionError> {
    let line = |rest: &mut &[u8], bits| {
        let index = integer::read(rest, bits).filter(|index| *index < table::LINES.len());
        index.ok_or(SectionError::Broken)
    };
    match first {
        // Indexed, static.
        0b1100_0000.. => {
            let index = line(rest, 6)?;
            Ok((Word::Static(index), Word::Static(index)))
        }
        // Literal with a name of the static table.
        0b0101_0000..=0b0101_1111 | 0b0111_0000..=0b0111_1111 => {
            Ok((Word::Static(line(rest, 4)?), Word::Text(string(rest, 7, text)?)))
        }
        // Literal with a literal name.
        0b0010_0000..=0b0011_1111 => {
            let name = string(rest, 3, text)?;
            Ok((Word::Text(name), Word::Text(string(rest, 7, text)?)))
        }
        // Everything else refers to the dynamic table.
        _ => Err(SectionError::Broken),
    }
}

/// A string: a bit that says whether it is coded, its length in `bits` bits, its bytes.
fn string(rest: &mut &[u8], bits: u8, text: &mut Vec<u8>) -> Result<Range<usize>, SectionError> {
    let coded = rest.first().is_some_and(|first| first & 1 << bits != 0);
    let length = integer::read(rest, bits).filter(|length| *length <= rest.len()).ok_or(SectionError::Broken)?;
    let (bytes, after) = rest.split_at(length);
    *rest = after;
    let start = text.len();
    if coded {
        huffman::decode(bytes, text)?;
    } else {
        text.extend_from_slice(bytes);
    }
    Ok(start..text.len())
}

impl Word {
    fn length(&self, of: impl Fn(&(&'static str, &'static str)) -> &'static str) -> usize {
        match self {
            Self::Static(index) => of(&table::LINES[*index]).len(),
            Self::Text(range) => range.len(),
        }
    }
}

impl Section {
    /// Its fields, in order.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'_>> {
        self.fields.iter().map(|words| Field { section: self, words })
    }
}

impl Field<'_> {
    /// Its name as it came.
    pub fn name(&self) -> &[u8] {
        match &self.words.0 {
            Word::Static(index) => table::LINES[*index].0.as_bytes(),
            Word::Text(range) => &self.section.text[range.clone()],
        }
    }

    /// Its value as it came.
    pub fn value(&self) -> &[u8] {
        match &self.words.1 {
            Word::Static(index) => table::LINES[*index].1.as_bytes(),
            Word::Text(range) => &self.section.text[range.clone()],
        }
    }

    /// Its value, without a copy.
    pub fn value_bytes(&self) -> Bytes {
        match &self.words.1 {
            Word::Static(index) => Bytes::from_static(table::LINES[*index].1.as_bytes()),
            Word::Text(range) => self.section.text.slice(range.clone()),
        }
    }

    /// Its name as a regular field's; `None` when it is none: capitals are not allowed (RFC 9114 section 4.2).
    pub fn header_name(&self) -> Option<HeaderName> {
        match &self.words.0 {
            Word::Static(index) => table::name(*index),
            Word::Text(range) => HeaderName::from_lowercase(&self.section.text[range.clone()]).ok(),
        }
    }

    /// Its value as a regular field's; `None` when it holds what no field may.
    pub fn header_value(&self) -> Option<HeaderValue> {
        match &self.words.1 {
            Word::Static(index) => Some(table::value(*index)),
            Word::Text(range) => HeaderValue::from_maybe_shared(self.section.text.slice(range.clone())).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(block: &[u8], limit: usize) -> Result<String, SectionError> {
        let section = decode(block, limit)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ok(section.fields().map(|field| format!("{}={}\n", text(field.name()), text(field.value()))).collect())
    }

    fn check(block: &[u8], expected: Result<&str, SectionError>) {
        assert_eq!(lines(block, 1_000), expected.map(str::to_owned), "for {block:x?}");
    }

    #[test]
    fn every_kind_of_line_is_read() {
        check(&[0, 0], Ok(""));
        // RFC 9204 appendix B.1.
        check(b"\x00\x00\x51\x0b/index.html", Ok(":path=/index.html\n"));
        check(b"\x00\x00\xd1\xd7\xc1", Ok(":method=GET\n:scheme=https\n:path=/\n"));
        check(b"\x00\x00\x23abc\x01x", Ok("abc=x\n"));
        check(b"\x00\x00\x33abc\x01x", Ok("abc=x\n"));
        check(b"\x00\x00\x5f\x50\x86\xa8\xeb\x10\x64\x9c\xbf", Ok("user-agent=no-cache\n"));
        check(b"\x00\x00\x27\x03abcdefghij\x00", Ok("abcdefghij=\n"));
        check(b"\x00\x00\x2d\x25\xa8\x49\xe9\x5b\x01v", Ok("custom-=v\n"));
    }

    #[test]
    fn what_is_no_section_is_refused() {
        for block in [
            &b""[..],
            b"\x00",
            b"\x01\x00",
            b"\x00\x00\x80",
            b"\x00\x00\x40\x00",
            b"\x00\x00\x10",
            b"\x00\x00\x00\x00",
            b"\x00\x00\xff\x24",
            b"\x00\x00\x51\x0b/index",
            b"\x00\x00\x51\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x00\x00\x51",
            b"\x00\x00\x27",
            b"\x00\x00\x51\x81\x00",
        ] {
            check(block, Err(SectionError::Broken));
        }
    }

    #[test]
    fn size_is_counted_as_the_standard_does() {
        let block = b"\x00\x00\x23abc\x01x\xd1";
        let exactly = (3 + 1 + 32) + (":method".len() + "GET".len() + 32);
        assert!(lines(block, exactly).is_ok());
        assert_eq!(lines(block, exactly - 1), Err(SectionError::TooLarge));
        // One byte each on the wire.
        assert_eq!(lines(&[&[0, 0][..], &[0xd1; 5_000]].concat(), 64 << 10), Err(SectionError::TooLarge));
    }
}
