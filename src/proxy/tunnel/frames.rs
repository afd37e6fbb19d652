//! Walks WebSocket frames (RFC 6455 section 5.2) for the one thing the log wants: the code of the close frame. It reads
//! headers only, rewrites nothing, and gives up silently on what is no frame: the peers will complain of that themselves.

use super::framed::parser::FrameParser;

/// Walks the frames of one direction, however its bytes are cut into pieces.
#[derive(Clone, Debug, Default)]
pub struct CloseWatch {
    /// Payload bytes to pass over.
    skip: u64,
    /// The header under way, with the code behind it where the frame is a close.
    head: [u8; MAX_FRAME_HEAD],
    have: u8,
    /// Whether the last data frame was not its message's last.
    inside: bool,
    found: Found,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Found {
    #[default]
    NotYet,
    Code(u16),
    /// No WebSocket, or a broken one.
    Nonsense,
}

/// Two bytes, an 8-byte length, a 4-byte mask; a close frame has no long length, so its code fits as well.
const MAX_FRAME_HEAD: usize = 14;
/// Opcode of a close frame.
const CLOSE: u8 = 8;
/// A close frame without a code (RFC 6455 section 7.1.5).
const NO_CODE: u16 = 1005;

impl CloseWatch {
    /// The code of the close frame that has passed; 1005 when it carried none.
    pub const fn code(&self) -> Option<u16> {
        match self.found {
            Found::Code(code) => Some(code),
            Found::NotYet | Found::Nonsense => None,
        }
    }

    /// A walker for what comes next, where frames are to be walked from here on. `None` in the middle of a header, whose
    /// beginning has passed already, behind a close frame, and in what is no WebSocket.
    pub fn walker(&self) -> Option<FrameParser> {
        (self.have == 0 && self.found == Found::NotYet).then(|| FrameParser::resume(self.skip, self.inside))
    }

    /// Looks at the bytes that pass next.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while self.found == Found::NotYet && !bytes.is_empty() {
            if self.skip > 0 {
                let here = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
                self.skip -= u64::try_from(here).unwrap_or(self.skip);
                bytes = &bytes[here..];
                continue;
            }
            self.head[usize::from(self.have)] = bytes[0];
            self.have += 1;
            bytes = &bytes[1..];
            if usize::from(self.have) == self.wanted() {
                self.read_head();
            }
        }
    }

    /// How long the header is, as far as can be prebuilt of what is here.
    fn wanted(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let code = if self.is_close() && self.short_length() >= 2 { 2 } else { 0 };
        self.payload_starts() + code
    }

    fn payload_starts(&self) -> usize {
        let length = match self.short_length() {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if self.head[1] & 0x80 == 0 { 0 } else { 4 }
    }

    const fn short_length(&self) -> u8 {
        self.head[1] & 0x7f
    }

    const fn is_close(&self) -> bool {
        self.head[0] & 0x0f == CLOSE
    }

    fn read_head(&mut self) {
        let control = self.head[0] & 0x08 != 0;
        if control && self.short_length() > 125 {
            self.found = Found::Nonsense;
        } else if self.is_close() {
            self.found = self.read_close();
        } else {
            self.skip = self.read_length();
            if !control {
                self.inside = self.head[0] & 0x80 == 0;
            }
            // Section 5.2: the highest bit of a 64-bit length is 0.
            self.found = if self.skip >> 63 == 0 { Found::NotYet } else { Found::Nonsense };
        }
        self.have = 0;
    }

    fn read_length(&self) -> u64 {
        match self.short_length() {
            126 => u64::from(u16::from_be_bytes([self.head[2], self.head[3]])),
            127 => self.head[2..10].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
            short => u64::from(short),
        }
    }

    /// The mask repeats every four bytes, so the code's two bytes meet the mask's first two.
    fn read_close(&self) -> Found {
        match self.short_length() {
            0 => Found::Code(NO_CODE),
            1 => Found::Nonsense,
            _ => {
                let at = self.payload_starts();
                let mask = if self.head[1] & 0x80 == 0 { [0, 0] } else { [self.head[2], self.head[3]] };
                Found::Code(u16::from_be_bytes([self.head[at] ^ mask[0], self.head[at + 1] ^ mask[1]]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_tungstenite::tungstenite::protocol::CloseFrame;
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

    use super::*;

    fn bytes_of(frames: Vec<Frame>, masked: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        for mut frame in frames {
            if masked {
                frame.header_mut().mask = Some([0x11, 0xe2, 0x73, 0x04]);
            }
            frame.format(&mut bytes).unwrap();
        }
        bytes
    }

    /// However the bytes are cut, the answer is the same.
    fn check(bytes: &[u8], expected: Option<u16>) {
        for piece in [1, 2, 3, 7, 1000, bytes.len().max(1)] {
            let mut watch = CloseWatch::default();
            bytes.chunks(piece).for_each(|chunk| watch.pass(chunk));
            assert_eq!(watch.code(), expected, "in pieces of {piece}");
        }
    }

    fn message(length: usize) -> Frame {
        // A payload that looks like close frames throughout.
        Frame::message(vec![0x88; length], OpCode::Data(Data::Binary), true)
    }

    fn close(code: u16) -> Frame {
        Frame::close(Some(CloseFrame { code: code.into(), reason: "enough said".into() }))
    }

    #[test]
    fn the_close_code_is_found_behind_any_traffic_in_any_pieces() {
        for masked in [false, true] {
            let traffic = |last: Vec<Frame>| {
                let mut frames = vec![message(0), message(1), Frame::ping("x"), message(125), message(126), message(70_000)];
                frames.extend(last);
                bytes_of(frames, masked)
            };
            check(&traffic(vec![]), None);
            check(&traffic(vec![close(4001)]), Some(4001));
            check(&traffic(vec![close(1008), message(5), close(1000)]), Some(1008));
            check(&traffic(vec![Frame::close(None)]), Some(NO_CODE));
        }
    }

    #[test]
    fn nonsense_is_passed_over_without_a_code() {
        check(b"", None);
        check(&[0x88, 1, 3], None);
        check(&[0x88, 126, 0, 2, 3, 232], None);
        check(&[[0x82, 127, 0x80].as_slice(), &[0; 7], &[0x88, 2, 3, 232]].concat(), None);
        check(&[0xff; 300], None);
    }
}
