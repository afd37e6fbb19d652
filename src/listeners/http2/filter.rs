//! Looks at the frames of a client before the h2 crate does: that the connection begins with its preface and SETTINGS (RFC 9113
//! section 3.4), and at header blocks ([`hpack`](super::hpack)). A block is handed on when it is whole. Pure.

use super::hpack::{Broken, Found, Hpack};

/// What every connection begins with (section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Length of a frame's head.
const HEAD: usize = 9;
/// Longest payload that a client may send: we announce no other (section 4.2). h2 ends the connection at a longer one.
const MAX_PAYLOAD: usize = 16 * 1024;
/// Frames of one block behind its first, beside those that a block within its limit needs.
const MAX_CONTINUATIONS: usize = 8;
/// Requests with something odd that were not taken over by the request layer yet, because h2 refused them or is about to
/// hand them over.
const MAX_FOUND: usize = 256;

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// A field that makes h2 reset the stream of a message (section 8.2.2).
const RESETTING: &[u8] = b"\x00\x0aconnection\x01x";

/// The rules that a client broke: the connection is over (section 5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// PROTOCOL_ERROR.
    #[error("the connection does not begin with the preface of HTTP/2 and SETTINGS")]
    Preface,
    /// COMPRESSION_ERROR.
    #[error("a header block cannot be decompressed")]
    Compression,
    /// ENHANCE_YOUR_CALM.
    #[error("a header block comes in too many pieces, or too many requests are malformed")]
    FloodGuard,
}

impl Breach {
    /// The code for GOAWAY (section 7).
    pub const fn code(self) -> u8 {
        match self {
            Self::Preface => 1,
            Self::Compression => 9,
            Self::FloodGuard => 11,
        }
    }
}

/// See the module.
pub struct Filter {
    stage: Stage,
    hpack: Hpack,
    /// What came and is not whole: a frame's head, or the frames of a block.
    held: Vec<u8>,
    /// The highest stream that a request came by.
    last: u32,
    /// What is odd about requests, by their streams.
    found: Vec<(u32, Found)>,
    /// Bytes of a block that are held.
    room: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// So much of the preface has come.
    Preface(usize),
    /// The first frame.
    Settings,
    /// Bytes of a frame's payload that are handed on as they come, before the next head.
    Frames { skip: usize },
    /// h2 is about to end the connection; nothing is looked at.
    Over,
}

/// One frame's head.
#[derive(Clone, Copy)]
struct Head {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, s, t, u, v] = *bytes.first_chunk::<HEAD>()?;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).ok()?;
        Some(Self { length, kind, flags, stream: u32::from_be_bytes([s & 0x7f, t, u, v]) })
    }

    fn write(self, out: &mut Vec<u8>) {
        let length = u32::try_from(self.length).unwrap_or(u32::MAX).to_be_bytes();
        out.extend_from_slice(&length[1..]);
        out.extend_from_slice(&[self.kind, self.flags]);
        out.extend_from_slice(&self.stream.to_be_bytes());
    }
}

impl Filter {
    /// For header sections of `room` bytes. Twice as much is held: h2 answers 431 to what is over it, and does so by itself.
    pub const fn new(room: usize) -> Self {
        let room = room.saturating_mul(2).saturating_add(MAX_PAYLOAD);
        Self { stage: Stage::Preface(0), hpack: Hpack::new(), held: Vec::new(), last: 0, found: Vec::new(), room }
    }

    /// The last stream that was looked at, for GOAWAY.
    pub const fn last(&self) -> u32 {
        self.last
    }

    /// What is odd about the request of a stream; of earlier ones nothing is asked any more.
    pub fn take(&mut self, stream: u32) -> Option<Found> {
        if self.found.is_empty() {
            return None;
        }
        let found = self.found.iter().position(|(of, _)| *of == stream).map(|at| self.found.swap_remove(at).1);
        self.found.retain(|(of, _)| *of > stream);
        found
    }

    /// Looks at what was read. Says how many of the bytes stay as they are; those behind them go to `out`, as far as they can
    /// be handed on already.
    ///
    /// # Errors
    /// [`Breach`]: nothing more is to be read.
    pub fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, Breach> {
        if self.held.is_empty() {
            let passed = self.pass(bytes, out)?;
            return Ok(passed);
        }
        self.held.extend_from_slice(bytes);
        // Looked at where it lies: a client that sends its block byte by byte does not have it copied each time.
        if self.is_short()? {
            return Ok(0);
        }
        let held = std::mem::take(&mut self.held);
        let mut more = Vec::new();
        let passed = self.pass(&held, &mut more)?;
        out.extend_from_slice(&held[..passed]);
        out.extend_from_slice(&more);
        Ok(0)
    }

    /// Whether a head or a block at the beginning of what is held is not whole.
    fn is_short(&self) -> Result<bool, Breach> {
        let (mut at, mut stream) = (0, 0);
        let most = MAX_CONTINUATIONS + self.room / MAX_PAYLOAD;
        for _ in 0..=most {
            if at > self.room {
                break;
            }
            let Some(head) = self.held.get(at..).and_then(Head::read) else { return Ok(true) };
            let is_of_a_block = if at == 0 { head.kind == HEADERS } else { head.kind == CONTINUATION && head.stream == stream };
            stream = head.stream;
            if !is_of_a_block || head.length > MAX_PAYLOAD {
                return Ok(false);
            }
            at += HEAD + head.length;
            if at > self.held.len() {
                return Ok(true);
            }
            let is_broken = head.kind == HEADERS && unpadded(head, &self.held[at - head.length..at]).is_none();
            if is_broken || head.flags & END_HEADERS != 0 {
                return Ok(false);
            }
        }
        Err(Breach::FloodGuard)
    }

    /// As [`read`](Self::read), with nothing held before. What is not whole is held.
    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, Breach> {
        let mut rest = bytes;
        // Where the bytes that stay as they are end, once there are others.
        let mut kept = None;
        loop {
            let Some(taken) = self.step(rest)? else {
                self.held.extend_from_slice(rest);
                return Ok(kept.unwrap_or(bytes.len() - rest.len()));
            };
            let (piece, behind) = rest.split_at(taken.length);
            match (taken.anew, kept) {
                (Some(anew), _) => {
                    kept.get_or_insert(bytes.len() - rest.len());
                    out.extend_from_slice(&anew);
                }
                (None, Some(_)) => out.extend_from_slice(piece),
                (None, None) => (),
            }
            rest = behind;
            if rest.is_empty() {
                return Ok(kept.unwrap_or(bytes.len()));
            }
        }
    }

    /// Takes one piece off the beginning; `None` when there is not enough of it.
    fn step(&mut self, bytes: &[u8]) -> Result<Option<Taken>, Breach> {
        match self.stage {
            Stage::Over => Ok(Some(Taken::as_it_is(bytes.len()))),
            Stage::Preface(come) => {
                let length = (PREFACE.len() - come).min(bytes.len());
                if bytes[..length] != PREFACE[come..come + length] {
                    return Err(Breach::Preface);
                }
                self.stage = if come + length == PREFACE.len() { Stage::Settings } else { Stage::Preface(come + length) };
                Ok(Some(Taken::as_it_is(length)))
            }
            Stage::Frames { skip } if skip > 0 => {
                let length = skip.min(bytes.len());
                self.stage = Stage::Frames { skip: skip - length };
                Ok(Some(Taken::as_it_is(length)))
            }
            Stage::Settings | Stage::Frames { .. } => self.frame(bytes),
        }
    }

    fn frame(&mut self, bytes: &[u8]) -> Result<Option<Taken>, Breach> {
        let Some(head) = Head::read(bytes) else { return Ok(None) };
        if self.stage == Stage::Settings && (head.kind != SETTINGS || head.flags & ACK != 0 || head.stream != 0) {
            return Err(Breach::Preface);
        }
        if head.length > MAX_PAYLOAD {
            self.stage = Stage::Over;
            return Ok(Some(Taken::as_it_is(bytes.len())));
        }
        if head.kind == HEADERS {
            return self.headers(head, bytes);
        }
        self.stage = Stage::Frames { skip: head.length };
        Ok(Some(Taken::as_it_is(HEAD)))
    }

    /// The frames of one block.
    fn headers(&mut self, head: Head, bytes: &[u8]) -> Result<Option<Taken>, Breach> {
        let Some(payload) = bytes.get(HEAD..HEAD + head.length) else { return Ok(None) };
        // h2 ends a connection whose padding is longer than its frame.
        let Some(fragment) = unpadded(head, payload) else { return Ok(Some(self.give_up(bytes))) };
        let mut length = HEAD + head.length;
        let mut whole = Vec::new();
        let mut flags = head.flags;
        for _ in 0..=MAX_CONTINUATIONS + self.room / MAX_PAYLOAD {
            if flags & END_HEADERS != 0 {
                let block = if whole.is_empty() { fragment } else { &whole };
                return self.block(head, block, length).map(Some);
            }
            let Some(next) = Head::read(&bytes[length..]) else { return Ok(None) };
            if next.kind != CONTINUATION || next.stream != head.stream || next.length > MAX_PAYLOAD {
                return Ok(Some(self.give_up(bytes)));
            }
            let Some(payload) = bytes.get(length + HEAD..length + HEAD + next.length) else { return Ok(None) };
            if whole.is_empty() {
                whole.extend_from_slice(fragment);
            }
            whole.extend_from_slice(payload);
            (length, flags) = (length + HEAD + next.length, next.flags);
            if length > self.room {
                break;
            }
        }
        Err(Breach::FloodGuard)
    }

    fn give_up(&mut self, bytes: &[u8]) -> Taken {
        self.stage = Stage::Over;
        Taken::as_it_is(bytes.len())
    }

    fn block(&mut self, head: Head, block: &[u8], length: usize) -> Result<Taken, Breach> {
        self.stage = Stage::Frames { skip: 0 };
        let walked = self.hpack.walk(block).map_err(|Broken| Breach::Compression)?;
        let is_request = head.stream > self.last;
        self.last = self.last.max(head.stream);
        // h2 leaves them out and takes the rest (section 8.1: trailers with one are malformed).
        let has_late_pseudo = !is_request && walked.has_pseudo;
        if walked.found.is_nothing() && walked.anew.is_none() && !has_late_pseudo {
            return Ok(Taken::as_it_is(length));
        }
        let is_wrong = walked.found.wrong.is_some() || has_late_pseudo;
        let anew = match walked.anew {
            // Of trailers there is nothing to answer: their stream is reset.
            Some(anew) if !is_request && is_wrong => Some([&anew, RESETTING].concat()),
            None if !is_request && is_wrong => Some([block, RESETTING].concat()),
            anew => anew,
        };
        if is_request && !walked.found.is_nothing() {
            if self.found.len() == MAX_FOUND {
                return Err(Breach::FloodGuard);
            }
            self.found.push((head.stream, walked.found));
        }
        Ok(match anew {
            Some(anew) => Taken { length, anew: Some(framed(head, &anew)) },
            None => Taken::as_it_is(length),
        })
    }
}

/// What was taken off the beginning of what came.
struct Taken {
    length: usize,
    /// What is handed on instead.
    anew: Option<Vec<u8>>,
}

impl Taken {
    const fn as_it_is(length: usize) -> Self {
        Self { length, anew: None }
    }
}

/// The fragment in a payload, without padding and priority (section 6.2).
fn unpadded(head: Head, payload: &[u8]) -> Option<&[u8]> {
    let mut rest = payload;
    let mut padding = 0;
    if head.flags & PADDED != 0 {
        let (length, behind) = rest.split_first()?;
        (padding, rest) = (usize::from(*length), behind);
    }
    if head.flags & PRIORITY != 0 {
        rest = rest.get(5..)?;
    }
    rest.get(..rest.len().checked_sub(padding)?)
}

/// A block in frames of its own.
fn framed(head: Head, block: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(block.len() + HEAD);
    let mut pieces = block.chunks(MAX_PAYLOAD).peekable();
    let (mut kind, mut flags) = (HEADERS, head.flags & END_STREAM);
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            flags |= END_HEADERS;
        }
        Head { length: piece.len(), kind, flags, stream: head.stream }.write(&mut out);
        out.extend_from_slice(piece);
        (kind, flags) = (CONTINUATION, 0);
    }
    out
}

#[cfg(test)]
mod tests;
