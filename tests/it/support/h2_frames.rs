//! HTTP/2 spoken by hand (RFC 9113): frames and header blocks as no client would write them.

use std::path::Path;
use std::time::Duration;

use super::line::Line;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// On DATA and HEADERS. SETTINGS and PING call the same bit ACK.
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// One frame, whole.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block of literals that no table keeps (RFC 7541 section 6.2.2), without Huffman.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.extend(integer(text.len(), 127, 0));
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of so many ones (RFC 7541 section 5.1).
pub fn integer(value: usize, prefix: usize, flags: u8) -> Vec<u8> {
    if value < prefix {
        return vec![flags | value as u8];
    }
    let mut bytes = vec![flags | prefix as u8];
    let mut rest = value - prefix;
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes
}

/// The four pseudo-header fields of a request, and more.
pub fn request(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let fields = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)];
    block(&[&fields[..], more].concat())
}

/// A connection after its preface.
pub struct H2(pub Line);

/// A frame that came.
#[derive(Debug)]
pub struct Came {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl H2 {
    /// Connects to `name` and says the preface with these settings.
    pub fn open(name: &str, port: u16, root: &Path, settings: &[(u16, u32)]) -> Self {
        Self::over(Line::open_for(name, port, root, &[b"h2"]), settings)
    }

    /// Says the preface on `line`.
    pub fn over(mut line: Line, settings: &[(u16, u32)]) -> Self {
        let settings: Vec<u8> =
            settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        line.say(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &settings)].concat());
        Self(line)
    }

    /// The next frame; `None` at the connection's end.
    pub fn next(&mut self) -> Option<Came> {
        let head = self.0.exactly(9);
        let [a, b, c, kind, flags, s, t, u, v] = *head.as_slice() else { return None };
        let length = u32::from_be_bytes([0, a, b, c]);
        let payload = self.0.exactly(length as usize);
        Some(Came { kind, flags, stream: u32::from_be_bytes([s & 127, t, u, v]), payload })
    }

    /// What becomes of a stream.
    pub fn end_of(&mut self, stream: u32) -> End {
        let mut status = None;
        while let Some(came) = self.next() {
            match came.kind {
                GOAWAY if came.payload[7] != 0 => return End::Closed(came.payload[7]),
                RST_STREAM if came.stream == stream => return End::Reset(came.payload[3]),
                HEADERS if came.stream == stream && status.is_none() => status = Some(status_of(&came.payload)),
                _ => (),
            }
            let over = came.stream == stream && matches!(came.kind, HEADERS | DATA) && came.flags & END_STREAM != 0;
            if let (true, Some(status)) = (over, status) {
                return End::Answered(status);
            }
        }
        End::Closed(0)
    }

    /// Sends a whole request and gives what becomes of it.
    pub fn ask(&mut self, stream: u32, path: &str) -> End {
        self.0.say(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &request("GET", path, &[])));
        self.end_of(stream)
    }

    /// Whether the connection is closed in time, whatever came before.
    pub fn is_closed_within(&mut self, limit: Duration) -> bool {
        self.0.rest(limit).is_some()
    }

    /// Waits for the server's GOAWAY and gives its code; `None` when the connection ends without one.
    pub fn goaway(&mut self) -> Option<u8> {
        loop {
            let came = self.next()?;
            if came.kind == GOAWAY {
                return Some(came.payload[7]);
            }
        }
    }
}

/// What became of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Answered with this status, to the end.
    Answered(u16),
    /// Reset with this code.
    Reset(u8),
    /// The connection was closed, with this code; 0 is none.
    Closed(u8),
}

/// The status of a header block whose first field it is: an index of the static table, or a literal by one.
fn status_of(block: &[u8]) -> u16 {
    const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    // A change of the table's size may stand before it.
    let block = if block[0] & 0xe0 == 0x20 { &block[1..] } else { block };
    match block[0] {
        index @ 0x88..=0x8e => INDEXED[usize::from(index - 0x88)],
        _ => {
            let (length, huffman) = (usize::from(block[1] & 127), block[1] & 128 != 0);
            let text = &block[2..2 + length];
            if huffman { digits(text) } else { String::from_utf8_lossy(text).parse().unwrap() }
        }
    }
}

/// Three digits by HPACK's Huffman code (RFC 7541 appendix B): 0 to 2 have five bits, the others six.
fn digits(bytes: &[u8]) -> u16 {
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let five = u16::from_str_radix(&bits[at..at + 5], 2).unwrap();
        let digit = if five < 3 {
            at += 5;
            five
        } else {
            at += 6;
            // 3 is 011001, 9 is 011111.
            u16::from_str_radix(&bits[at - 6..at], 2).unwrap() - 0b011001 + 3
        };
        number = number * 10 + digit;
    }
    number
}
