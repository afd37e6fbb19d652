//! Walks one direction of a WebSocket byte stream frame by frame (RFC 6455 section 5), however it is cut into chunks,
//! and never changes a byte. Payload of data frames passes at once; a frame's header, and a control frame as a whole, is
//! kept back until it is complete (at most 139 bytes), so that whatever passed ends either inside a data frame's payload
//! or between two frames, and a frame of our own can be put in there. Pure.
//!
//! What extensions mean is the ends' concern: reserved bits pass, and a compressed message counts as it is sent.

use std::io::Cursor;

use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Largest payload of a control frame (RFC 6455 section 5.5).
const MAX_CONTROL: u64 = 125;

/// One direction of a tunnel.
#[derive(Debug, Default)]
pub struct FrameParser {
    /// The beginning of a frame that is not complete; without memory between frames.
    held: Vec<u8>,
    /// Payload of the present data frame that has not come yet.
    rest: u64,
    /// Whether that payload is dropped.
    dropping: bool,
    /// Payload of the present message so far, when its last frame has not come.
    message: Option<u64>,
    closed: bool,
}

/// Why a frame does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A message is larger than the site allows.
    TooLarge,
    /// More messages than the site allows in the time.
    TooMany,
    /// A flood of pings, pongs or empty fragments.
    Flood,
    /// An opcode that nobody has defined.
    Opcode,
    /// A length with its highest bit set.
    Length,
    /// A control frame in fragments or of more than 125 bytes.
    Control,
    /// A message begins inside another one, or goes on that never began.
    Fragments,
}

impl Violation {
    /// The code of the close frame (RFC 6455 section 7.4.1).
    pub const fn code(self) -> u16 {
        match self {
            Self::TooLarge => 1009,
            Self::TooMany | Self::Flood => 1008,
            Self::Opcode | Self::Length | Self::Control | Self::Fragments => 1002,
        }
    }

    /// A stable code for logs and counters.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLarge => "message-too-large",
            Self::TooMany => "too-many-messages",
            Self::Flood => "too-many-control-frames",
            Self::Opcode => "bad-opcode",
            Self::Length => "bad-frame-length",
            Self::Control => "bad-control-frame",
            Self::Fragments => "bad-fragments",
        }
    }

    /// For the operator: which limit it was.
    pub const fn limit(self) -> &'static str {
        match self {
            Self::TooLarge => "a message is larger than `limit message` allows",
            Self::TooMany => "more messages than `limit message` allows",
            Self::Flood => "a flood of frames that carry nothing",
            Self::Opcode | Self::Length | Self::Control | Self::Fragments => "frames that RFC 6455 does not allow",
        }
    }
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameAction {
    /// It goes on to the other side.
    Pass,
    /// It was meant for us, or comes too late.
    Keep,
}

/// Decides over the frames of one direction.
pub trait FrameVisitor {
    /// A data frame begins: its payload, that of its message with it, and whether it is the message's first.
    fn data(&mut self, payload: u64, message: u64, first: bool) -> Result<FrameAction, Violation>;
    /// A control frame has come, with its payload unmasked.
    fn control(&mut self, kind: Control, payload: &[u8]) -> Result<FrameAction, Violation>;
}

/// A frame's header.
#[derive(Clone, Copy)]
struct Head {
    /// Bytes of the header itself.
    size: usize,
    payload: u64,
    last: bool,
    opcode: OpCode,
    mask: Option<[u8; 4]>,
}

impl FrameParser {
    /// A walk that begins behind a header: so much payload of a data frame is still to come, and `inside` is whether its
    /// message has more frames.
    pub fn resume(rest: u64, inside: bool) -> Self {
        Self { rest, message: inside.then_some(0), ..Self::default() }
    }

    /// Walks over `chunk` and hands to `pass` what may go on, in order. A violation ends the walk; everything before the
    /// frame that violates has passed, nothing of the frame has. Bytes behind a close frame are dropped (section 5.5.1).
    pub fn walk(&mut self, chunk: &[u8], judge: &mut impl FrameVisitor, mut pass: impl FnMut(&[u8])) -> Result<(), Violation> {
        let Some(mut at) = self.complete(chunk, judge, &mut pass)? else { return Ok(()) };
        let mut from = at;
        let verdict = loop {
            let inside = usize::try_from(self.rest).unwrap_or(usize::MAX).min(chunk.len() - at);
            self.rest -= inside as u64;
            if self.dropping && inside > 0 {
                pass_on(&chunk[from..at], &mut pass);
                from = at + inside;
            }
            at += inside;
            if at == chunk.len() || self.closed {
                break Ok(());
            }
            match self.frame(&chunk[at..], judge) {
                Ok(Some((size, FrameAction::Pass))) => at += size,
                Ok(Some((size, FrameAction::Keep))) => {
                    pass_on(&chunk[from..at], &mut pass);
                    at += size;
                    from = at;
                }
                Ok(None) => {
                    self.held = chunk[at..].to_vec();
                    break Ok(());
                }
                Err(violation) => break Err(violation),
            }
        };
        pass_on(&chunk[from..at], &mut pass);
        verdict
    }

    /// Whether what has passed ends between two frames, so that a control frame can be put in.
    pub const fn at_boundary(&self) -> bool {
        self.rest == 0 || self.dropping
    }

    /// Whether a close frame has come.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Completes the frame that an earlier chunk began. Gives the bytes taken, or `None` when it is still not complete.
    fn complete(
        &mut self,
        chunk: &[u8],
        judge: &mut impl FrameVisitor,
        pass: &mut impl FnMut(&[u8]),
    ) -> Result<Option<usize>, Violation> {
        if self.held.is_empty() {
            return Ok(Some(0));
        }
        let mut held = std::mem::take(&mut self.held);
        for (taken, byte) in chunk.iter().enumerate() {
            held.push(*byte);
            if let Some((_, fate)) = self.frame(&held, judge)? {
                if fate == FrameAction::Pass {
                    pass(&held);
                }
                return Ok(Some(taken + 1));
            }
        }
        self.held = held;
        Ok(None)
    }

    /// Judges the frame that begins `bytes`, as soon as it can be: gives what it takes of them before its payload, or
    /// with it for a control frame. `None` when that has not come as a whole.
    fn frame(&mut self, bytes: &[u8], judge: &mut impl FrameVisitor) -> Result<Option<(usize, FrameAction)>, Violation> {
        let Some(head) = Head::read(bytes)? else { return Ok(None) };
        match head.opcode {
            OpCode::Data(kind) => {
                let fate = self.data(kind, head, judge)?;
                Ok(Some((head.size, fate)))
            }
            OpCode::Control(kind) => {
                let Some((payload, length)) = head.control(bytes)? else { return Ok(None) };
                let fate = judge.control(kind, &payload[..length])?;
                self.closed = kind == Control::Close;
                Ok(Some((head.size + length, fate)))
            }
        }
    }

    fn data(&mut self, kind: Data, head: Head, judge: &mut impl FrameVisitor) -> Result<FrameAction, Violation> {
        let before = match (kind, self.message) {
            (Data::Continue, Some(before)) => Some(before),
            (Data::Text | Data::Binary, None) => None,
            (Data::Continue, None) | (Data::Text | Data::Binary, Some(_)) => return Err(Violation::Fragments),
            (Data::Reserved(_), _) => return Err(Violation::Opcode),
        };
        let message = before.unwrap_or(0).saturating_add(head.payload);
        let fate = judge.data(head.payload, message, before.is_none())?;
        self.message = (!head.last).then_some(message);
        self.rest = head.payload;
        self.dropping = fate == FrameAction::Keep;
        Ok(fate)
    }
}

fn pass_on(bytes: &[u8], pass: &mut impl FnMut(&[u8])) {
    if !bytes.is_empty() {
        pass(bytes);
    }
}

impl Head {
    /// `None` when the header is not complete.
    fn read(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let mut cursor = Cursor::new(bytes);
        // Reading from memory fails in one way only.
        let Some((header, payload)) = FrameHeader::parse(&mut cursor).map_err(|_| Violation::Opcode)? else { return Ok(None) };
        if payload >> 63 != 0 {
            return Err(Violation::Length);
        }
        let size = usize::try_from(cursor.position()).expect("a header has 14 bytes at most");
        Ok(Some(Self { size, payload, last: header.is_final, opcode: header.opcode, mask: header.mask }))
    }

    /// A control frame's payload, unmasked, and its length. `None` when it has not come as a whole.
    fn control(&self, bytes: &[u8]) -> Result<Option<([u8; MAX_CONTROL as usize], usize)>, Violation> {
        if self.payload > MAX_CONTROL || !self.last {
            return Err(Violation::Control);
        }
        let length = usize::try_from(self.payload).expect("125 at most");
        let Some(bytes) = bytes.get(self.size..self.size + length) else { return Ok(None) };
        let mask = self.mask.unwrap_or_default();
        let mut payload = [0; MAX_CONTROL as usize];
        for (index, (to, from)) in payload.iter_mut().zip(bytes).enumerate() {
            *to = from ^ mask[index % 4];
        }
        Ok(Some((payload, length)))
    }
}

#[cfg(test)]
mod tests;
