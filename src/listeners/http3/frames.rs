//! A request stream as the client sends it: a header section, data, perhaps trailers (RFC 9114 section 4.1). Holds what is
//! incomplete of a head or a section, and never a piece of a body.

use bytes::{Buf, Bytes, BytesMut};

use super::code::Code;
use super::varint::{self, Head};

/// Reads frames out of a stream's bytes.
pub struct Frames {
    part: Part,
    stage: Stage,
    /// The beginning of a head, or of a section.
    held: BytesMut,
    /// The longest section, in bytes.
    limit: usize,
}

/// What a message is made of.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// A header section, compressed; the second one is the trailers.
    Section(Bytes),
    /// A piece of the body.
    Data(Bytes),
}

/// What a peer did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame that may not stand there.
    #[error("a frame of type {0:#x} stands where it may not")]
    Unexpected(u64),
    /// A section longer than the limit; nothing of it was kept.
    #[error("a header section of {0} bytes is longer than allowed")]
    TooLarge(u64),
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame")]
    Cut,
}

impl FrameError {
    /// What the peer is told.
    pub const fn code(self) -> Code {
        match self {
            Self::Unexpected(_) => Code::FrameUnexpected,
            Self::TooLarge(_) => Code::ExcessiveLoad,
            Self::Cut => Code::FrameError,
        }
    }
}

#[derive(Clone, Copy)]
enum Part {
    Head,
    Section {
        left: usize,
    },
    Data {
        left: u64,
    },
    /// A type we do not know means nothing (RFC 9114 section 9).
    Unknown {
        left: u64,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Header,
    Body,
    Over,
}

impl Frames {
    /// Before the first byte. Sections are at most `limit` bytes long.
    pub fn new(limit: usize) -> Self {
        Self { part: Part::Head, stage: Stage::Header, held: BytesMut::new(), limit }
    }

    /// Takes the next piece off `input`; `None` when all of it is taken and more is needed.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Piece>, FrameError> {
        loop {
            match self.part {
                Part::Head => match self.head(input) {
                    Some(head) => self.begin(head)?,
                    None => return Ok(None),
                },
                Part::Section { left } => return Ok(self.section(left, input).map(Piece::Section)),
                Part::Data { left: 0 } | Part::Unknown { left: 0 } => self.part = Part::Head,
                Part::Data { .. } | Part::Unknown { .. } if input.is_empty() => return Ok(None),
                Part::Data { left } => {
                    let piece = input.split_to(within(left, input.len()));
                    self.part = Part::Data { left: left - wide(piece.len()) };
                    return Ok(Some(Piece::Data(piece)));
                }
                Part::Unknown { left } => {
                    let length = within(left, input.len());
                    input.advance(length);
                    self.part = Part::Unknown { left: left - wide(length) };
                }
            }
        }
    }

    /// Whether the stream may end here: between two frames. A message without a header is not this type's affair.
    pub fn may_end(&self) -> bool {
        match self.part {
            Part::Head => self.held.is_empty(),
            Part::Section { .. } => false,
            Part::Data { left } | Part::Unknown { left } => left == 0,
        }
    }

    fn head(&mut self, input: &mut Bytes) -> Option<Head> {
        if self.held.is_empty()
            && let Some((head, length)) = varint::head(input)
        {
            input.advance(length);
            return Some(head);
        }
        while !input.is_empty() {
            self.held.extend_from_slice(&input.split_to(1));
            if let Some((head, _)) = varint::head(&self.held) {
                self.held.clear();
                return Some(head);
            }
        }
        None
    }

    fn begin(&mut self, head: Head) -> Result<(), FrameError> {
        let Head { kind, length } = head;
        (self.part, self.stage) = match (kind, self.stage) {
            (varint::HEADERS, Stage::Header | Stage::Body) => {
                let left = usize::try_from(length).ok().filter(|length| *length <= self.limit);
                let left = left.ok_or(FrameError::TooLarge(length))?;
                let next = if self.stage == Stage::Header { Stage::Body } else { Stage::Over };
                (Part::Section { left }, next)
            }
            (varint::DATA, Stage::Body) => (Part::Data { left: length }, Stage::Body),
            (
                varint::DATA
                | varint::HEADERS
                | varint::CANCEL_PUSH
                | varint::SETTINGS
                | varint::PUSH_PROMISE
                | varint::GOAWAY
                | varint::MAX_PUSH_ID,
                _,
            ) => return Err(FrameError::Unexpected(kind)),
            _ if varint::is_forbidden(kind) => return Err(FrameError::Unexpected(kind)),
            (_, stage) => (Part::Unknown { left: length }, stage),
        };
        Ok(())
    }

    fn section(&mut self, left: usize, input: &mut Bytes) -> Option<Bytes> {
        let taken = input.split_to(left.min(input.len()));
        let left = left - taken.len();
        if left > 0 {
            self.held.extend_from_slice(&taken);
            self.part = Part::Section { left };
            return None;
        }
        self.part = Part::Head;
        if self.held.is_empty() {
            return Some(taken);
        }
        self.held.extend_from_slice(&taken);
        Some(std::mem::take(&mut self.held).freeze())
    }
}

fn within(left: u64, there: usize) -> usize {
    usize::try_from(left).map_or(there, |left| left.min(there))
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint::put_head(kind, payload.len(), &mut bytes);
        bytes.extend_from_slice(payload);
        bytes
    }

    /// What a stream says when it comes in pieces of `step` bytes: sections, bodies drawn together, and its end.
    fn read(stream: &[u8], step: usize) -> Result<(Vec<String>, bool), FrameError> {
        let (mut frames, mut seen) = (Frames::new(100), Vec::<String>::new());
        for chunk in stream.chunks(step) {
            let mut input = Bytes::copy_from_slice(chunk);
            while let Some(piece) = frames.next(&mut input)? {
                let (mark, bytes) = match piece {
                    Piece::Section(bytes) => ('#', bytes),
                    Piece::Data(bytes) => ('=', bytes),
                };
                let text = String::from_utf8(bytes.to_vec()).unwrap();
                match seen.last_mut().filter(|last| mark == '=' && last.starts_with('=')) {
                    Some(last) => last.push_str(&text),
                    None => seen.push(format!("{mark}{text}")),
                }
            }
            assert!(input.is_empty());
        }
        Ok((seen, frames.may_end()))
    }

    fn check(frames: &[Vec<u8>], expected: Result<(&[&str], bool), FrameError>) {
        let stream = frames.concat();
        for step in [1, 2, 7, 1_000] {
            let seen = read(&stream, step);
            let expected = expected.map(|(pieces, whole)| (pieces.iter().map(ToString::to_string).collect(), whole));
            assert_eq!(seen, expected, "in steps of {step}");
        }
    }

    #[test]
    fn a_message_is_read_however_it_is_cut() {
        let (header, trailers) = (frame(varint::HEADERS, b"header"), frame(varint::HEADERS, b"trailers"));
        let (one, two) = (frame(varint::DATA, b"one "), frame(varint::DATA, b"two"));
        let (grease, nothing) = (frame(0x21 + 0x1f * 99, b"grease"), frame(varint::DATA, b""));
        check(std::slice::from_ref(&header), Ok((&["#header"], true)));
        check(&[header.clone(), one.clone(), nothing, two.clone()], Ok((&["#header", "=one two"], true)));
        check(
            &[grease.clone(), header.clone(), grease.clone(), one, trailers, grease],
            Ok((&["#header", "=one ", "#trailers"], true)),
        );
        check(&[header.clone(), two[..4].to_vec()], Ok((&["#header", "=tw"], false)));
        check(&[header.clone(), two[..1].to_vec()], Ok((&["#header"], false)));
        check(&[header[..4].to_vec()], Ok((&[], false)));
        check(&[], Ok((&[], true)));
    }

    #[test]
    fn frames_out_of_order_are_refused() {
        let (header, data) = (frame(varint::HEADERS, b"header"), frame(varint::DATA, b"x"));
        check(std::slice::from_ref(&data), Err(FrameError::Unexpected(varint::DATA)));
        check(&[header.clone(), header.clone(), data], Err(FrameError::Unexpected(varint::DATA)));
        check(&[header.clone(), header.clone(), header.clone()], Err(FrameError::Unexpected(varint::HEADERS)));
        for kind in [varint::SETTINGS, varint::GOAWAY, varint::PUSH_PROMISE, varint::CANCEL_PUSH, varint::MAX_PUSH_ID, 2, 6, 8, 9]
        {
            check(&[header.clone(), frame(kind, b"x")], Err(FrameError::Unexpected(kind)));
        }
    }

    #[test]
    fn a_section_beyond_the_limit_is_refused_before_a_byte_of_it_is_kept() {
        let mut bytes = Vec::new();
        varint::put_head(varint::HEADERS, 1 << 40, &mut bytes);
        check(&[bytes], Err(FrameError::TooLarge(1 << 40)));
        check(&[frame(varint::HEADERS, &[b'x'; 101])], Err(FrameError::TooLarge(101)));
    }

    #[test]
    fn a_frame_of_unknown_type_is_dropped_as_it_comes() {
        let mut frames = Frames::new(100);
        let mut head = Vec::new();
        varint::put_head(0x1f * 7 + 0x21, 1 << 40, &mut head);
        assert_eq!(frames.next(&mut Bytes::from(head)), Ok(None));
        for _ in 0..100 {
            assert_eq!(frames.next(&mut Bytes::from_static(&[0; 10_000])), Ok(None));
        }
        assert!(frames.held.is_empty());
    }
}
