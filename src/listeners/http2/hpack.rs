//! Reads header blocks (RFC 7541) beside the h2 crate, which takes a field that it cannot hold for an error of the connection.
//! Such a field is an error of its stream (RFC 9113 section 8.1.1), and a target with odd characters is served.
//!
//! The walk follows the dynamic table by the sizes of its entries and keeps of their texts only what is wrong with them. A field
//! that h2 would choke on is written anew with the same size, so that both tables stay alike, and what was wrong is told beside
//! the block. A sound block is neither changed nor copied. Pure.

use std::collections::VecDeque;

use http::uri::PathAndQuery;
use http::{Request, Uri};

use crate::listeners::field::{Judgement, Kind};
use crate::listeners::http3::qpack::{huffman, integer};
use crate::proxy::refusal::WrongField;

/// The size of the table until a block changes it, and the largest that we allow: we announce none (RFC 9113 section 6.5.2).
const MAX_TABLE: usize = 4096;
/// What an entry costs beyond its texts (section 4.1).
const OVERHEAD: usize = 32;
/// Room for decoded text that is kept between two blocks.
const KEPT: usize = 512;

/// The table of one connection's requests.
pub(super) struct Hpack {
    entries: VecDeque<Entry>,
    size: usize,
    limit: usize,
    /// Decoded strings; beside them nothing is held.
    text: Vec<u8>,
}

/// What is known of an entry of the table.
#[derive(Clone)]
struct Entry {
    name: usize,
    value: usize,
    kind: Kind,
    /// `None` where it is sound.
    odd: Option<Box<Judgement>>,
    /// Whether it has another name in h2's table.
    is_renamed: bool,
}

/// What a walk found. Neither is there for a sound block.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Walked {
    /// The block as h2 can read it.
    pub(super) anew: Option<Vec<u8>>,
    pub(super) found: Found,
    /// Whether a name begins with a colon, as none in trailers does.
    pub(super) has_pseudo: bool,
}

/// What is to be known of a request beside its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The target that is served, or shown where it is wrong; `None` where the block's is one that h2 can hold.
    pub target: Option<Box<str>>,
    /// The first thing that is wrong.
    pub wrong: Option<WrongField>,
}

/// A block that cannot be decoded: from here on the tables of both sides differ (RFC 9113 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a header block cannot be decompressed")]
pub(super) struct Broken;

impl From<huffman::Broken> for Broken {
    fn from(_: huffman::Broken) -> Self {
        Self
    }
}

/// A string of a block: where its text lies.
#[derive(Clone, Copy)]
enum Text<'a> {
    Plain(&'a [u8]),
    /// In `Hpack::text`, from here to there.
    Decoded(usize, usize),
}

impl Hpack {
    pub(super) const fn new() -> Self {
        Self { entries: VecDeque::new(), size: 0, limit: MAX_TABLE, text: Vec::new() }
    }

    /// Walks over a whole block.
    pub(super) fn walk(&mut self, block: &[u8]) -> Result<Walked, Broken> {
        let mut walked = Walked::default();
        let mut rest = block;
        let mut may_resize = true;
        while let Some(first) = rest.first().copied() {
            let at = block.len() - rest.len();
            match first {
                0x80.. => self.indexed(integer::read(&mut rest, 7).ok_or(Broken)?, &mut walked)?,
                0x20..0x40 => {
                    let size = integer::read(&mut rest, 5).filter(|size| may_resize && *size <= MAX_TABLE).ok_or(Broken)?;
                    self.resize(size);
                    push(&mut walked, &block[at..block.len() - rest.len()]);
                    continue;
                }
                _ => {
                    let anew = self.literal(first, &mut rest, &mut walked)?;
                    if let Some(anew) = anew {
                        walked.anew.get_or_insert_with(|| block[..at].to_vec()).extend_from_slice(&anew);
                        may_resize = false;
                        continue;
                    }
                }
            }
            may_resize = false;
            push(&mut walked, &block[at..block.len() - rest.len()]);
        }
        if self.text.capacity() > KEPT {
            self.text = Vec::new();
        }
        Ok(walked)
    }

    fn indexed(&self, index: usize, walked: &mut Walked) -> Result<(), Broken> {
        if let Some(dynamic) = index.checked_sub(STATIC.len() + 1) {
            let entry = self.entries.get(dynamic).ok_or(Broken)?;
            walked.has_pseudo |= entry.kind.is_pseudo();
            if let Some(odd) = &entry.odd {
                walked.found.note(odd);
            }
        } else {
            let name = STATIC[index.checked_sub(1).ok_or(Broken)?];
            walked.has_pseudo |= name.starts_with(':');
        }
        Ok(())
    }

    /// A literal; as it is to be written instead, if it cannot stand.
    fn literal(&mut self, first: u8, rest: &mut &[u8], walked: &mut Walked) -> Result<Option<Vec<u8>>, Broken> {
        let is_kept = first & 0x40 != 0;
        let before = *rest;
        let index = integer::read(rest, if is_kept { 6 } else { 4 }).ok_or(Broken)?;
        self.text.clear();
        let (mut entry, name_must_go) = self.name(index, rest)?;
        let head = before.len() - rest.len();
        let value = string(rest, &mut self.text)?;
        let value = text(value, &self.text);
        entry.value = value.len();
        walked.has_pseudo |= entry.kind.is_pseudo();
        let judgement = entry.kind.judge(value);
        let anew = if judgement == Judgement::Sound {
            // h2 has another name for the index of a name that did not stand: it is spelled out.
            name_must_go.then(|| entry.kind.name()).flatten().map(|name| spelled(name.as_bytes(), value, first))
        } else {
            walked.found.note(&judgement);
            entry.is_renamed = name_must_go || !entry.kind.keeps_its_name(entry.value);
            entry.odd = Some(Box::new(judgement));
            Some(entry.anew(&before[..head], first)?)
        };
        if is_kept {
            self.insert(entry);
        }
        Ok(anew)
    }

    /// The name of a literal, and whether h2 has another one for its index.
    fn name(&mut self, index: usize, rest: &mut &[u8]) -> Result<(Entry, bool), Broken> {
        let (name, kind, is_renamed) = match index.checked_sub(STATIC.len() + 1) {
            Some(dynamic) => {
                let entry = self.entries.get(dynamic).ok_or(Broken)?;
                (entry.name, entry.kind, entry.is_renamed)
            }
            None if index == 0 => {
                let name = string(rest, &mut self.text)?;
                let name = text(name, &self.text);
                (name.len(), Kind::of(name), false)
            }
            None => {
                let name = STATIC[index - 1];
                (name.len(), Kind::of(name.as_bytes()), false)
            }
        };
        Ok((Entry { name, value: 0, kind, odd: None, is_renamed: false }, is_renamed))
    }

    fn insert(&mut self, entry: Entry) {
        let size = entry.size();
        self.evict(self.limit.saturating_sub(size));
        if size <= self.limit {
            self.size += size;
            self.entries.push_front(entry);
        }
    }

    fn resize(&mut self, limit: usize) {
        self.limit = limit;
        self.evict(limit);
    }

    fn evict(&mut self, limit: usize) {
        while self.size > limit
            && let Some(last) = self.entries.pop_back()
        {
            self.size -= last.size();
        }
    }
}

impl Entry {
    const fn size(&self) -> usize {
        self.name + self.value + OVERHEAD
    }

    /// A field of the same size that h2 takes. `head` is the representation up to its value, `flags` its first bits.
    fn anew(&self, head: &[u8], flags: u8) -> Result<Vec<u8>, Broken> {
        const FILLING: u8 = b'x';
        if self.is_renamed {
            let length = self.name + self.value;
            // No field that is valid is as small as that.
            if length == 0 {
                return Err(Broken);
            }
            return Ok(spelled(&vec![FILLING; length], b"", flags));
        }
        let mut out = Vec::with_capacity(head.len() + self.value + 16);
        out.extend_from_slice(head);
        integer::write(self.value, 7, 0, &mut out);
        let start = out.len();
        out.resize(start + self.value, FILLING);
        if self.kind == Kind::Path {
            out[start] = b'/';
        }
        Ok(out)
    }
}

impl Found {
    fn note(&mut self, judgement: &Judgement) {
        match judgement {
            Judgement::Sound => (),
            Judgement::Encoded(target) => {
                self.target.get_or_insert_with(|| target.clone());
            }
            Judgement::Target(byte, shown) => {
                self.target.get_or_insert_with(|| shown.clone());
                self.wrong.get_or_insert(WrongField::Path(*byte));
            }
            Judgement::Wrong(wrong) => {
                self.wrong.get_or_insert(*wrong);
            }
        }
    }

    /// Gives a request the target that it has, and what is wrong with it to the request path, which answers.
    pub fn tell<B>(self, request: &mut Request<B>) {
        if let Some(target) = self.target.and_then(|target| PathAndQuery::try_from(String::from(target)).ok()) {
            let mut parts = std::mem::take(request.uri_mut()).into_parts();
            parts.path_and_query = Some(target);
            *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        }
        if let Some(wrong) = self.wrong {
            request.extensions_mut().insert(wrong);
        }
    }

    pub(super) const fn is_nothing(&self) -> bool {
        self.target.is_none() && self.wrong.is_none()
    }
}

/// A literal with a literal name, that is kept as `flags` say.
fn spelled(name: &[u8], value: &[u8], flags: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + value.len() + 16);
    let (bits, flags) = if flags & 0x40 != 0 { (6, 0x40) } else { (4, flags & 0x10) };
    integer::write(0, bits, flags, &mut out);
    for text in [name, value] {
        integer::write(text.len(), 7, 0, &mut out);
        out.extend_from_slice(text);
    }
    out
}

/// Copies what stays as it is behind what was written anew.
fn push(walked: &mut Walked, bytes: &[u8]) {
    if let Some(anew) = &mut walked.anew {
        anew.extend_from_slice(bytes);
    }
}

fn string<'a>(rest: &mut &'a [u8], out: &mut Vec<u8>) -> Result<Text<'a>, Broken> {
    let coded = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer::read(rest, 7).filter(|length| *length <= rest.len()).ok_or(Broken)?;
    let (bytes, after) = rest.split_at(length);
    *rest = after;
    if !coded {
        return Ok(Text::Plain(bytes));
    }
    let start = out.len();
    huffman::decode(bytes, out)?;
    Ok(Text::Decoded(start, out.len()))
}

fn text<'a>(text: Text<'a>, decoded: &'a [u8]) -> &'a [u8] {
    match text {
        Text::Plain(bytes) => bytes,
        Text::Decoded(from, to) => &decoded[from..to],
    }
}

/// The names of the static table (appendix A). Its values are sound.
const STATIC: [&str; 61] = [
    ":authority",
    ":method",
    ":method",
    ":path",
    ":path",
    ":scheme",
    ":scheme",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "accept",
    "access-control-allow-origin",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
];

#[cfg(test)]
mod tests;
