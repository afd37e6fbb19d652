//! The chunked transfer coding (RFC 9112 section 7.1), read. Pure.

use bytes::{Buf, Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Longest line before a chunk, its extensions with it, in bytes.
const MAX_LINE: usize = 4 * 1024;
/// Most of all extensions of a body: they have no use here, and a body of nothing else would be work for nothing.
const MAX_EXTENSIONS: usize = 16 * 1024;
/// Most bytes and fields of a trailer section.
const MAX_TRAILERS: usize = 16 * 1024;
const MAX_FIELDS: usize = 64;
/// A size in more hexadecimal digits does not fit 64 bits.
const MAX_DIGITS: usize = 16;

/// Where in the coding the reader stands.
#[derive(Debug, Default)]
pub struct Chunked {
    state: State,
    extensions: usize,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    End,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// A part of the body.
    Data(Bytes),
    /// The fields behind it.
    Trailers(HeaderMap),
    /// Nothing more.
    End,
    /// Not enough bytes to tell.
    Lacking,
}

/// What was read is not the chunked coding.
#[derive(Debug, thiserror::Error)]
#[error("its chunks do not follow RFC 9112: {0}")]
pub struct ChunkError(&'static str);

impl Chunked {
    /// Takes the next piece from the beginning of `bytes`.
    pub fn next(&mut self, bytes: &mut BytesMut) -> Result<Piece, ChunkError> {
        loop {
            match self.state {
                State::Size => match self.size(bytes)? {
                    Some(0) => self.state = State::Trailers,
                    Some(size) => self.state = State::Data(size),
                    None => return Ok(Piece::Lacking),
                },
                State::Data(_) if bytes.is_empty() => return Ok(Piece::Lacking),
                State::Data(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let left = left - u64::try_from(here).unwrap_or(left);
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    return Ok(Piece::Data(bytes.split_to(here).freeze()));
                }
                State::DataEnd => match &bytes[..] {
                    [b'\r', b'\n', ..] => {
                        bytes.advance(2);
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(Piece::Lacking),
                    _ => return Err(ChunkError("a chunk is longer than it says")),
                },
                State::Trailers => return self.trailers(bytes),
                State::End => return Ok(Piece::End),
            }
        }
    }

    fn size(&mut self, bytes: &mut BytesMut) -> Result<Option<u64>, ChunkError> {
        let Some(end) = bytes.iter().take(MAX_LINE).position(|byte| *byte == b'\n') else {
            return if bytes.len() < MAX_LINE { Ok(None) } else { Err(ChunkError("the line before a chunk is too long")) };
        };
        let line = bytes[..end].strip_suffix(b"\r").ok_or(ChunkError("a line ends without a carriage return"))?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if digits == 0 || digits > MAX_DIGITS {
            return Err(ChunkError("a size is no hexadecimal number of 64 bits"));
        }
        let extension = &line[digits..];
        let begin = extension.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(extension.len());
        if extension.contains(&b'\r') || extension.get(begin).is_some_and(|byte| *byte != b';') {
            return Err(ChunkError("something other than an extension follows a size"));
        }
        self.extensions += extension.len();
        if self.extensions > MAX_EXTENSIONS {
            return Err(ChunkError("too many extensions"));
        }
        let size = line[..digits].iter().fold(0, |size, digit| size << 4 | u64::from(value(*digit)));
        bytes.advance(end + 1);
        Ok(Some(size))
    }

    fn trailers(&mut self, bytes: &mut BytesMut) -> Result<Piece, ChunkError> {
        if bytes.starts_with(b"\r\n") {
            bytes.advance(2);
            self.state = State::End;
            return Ok(Piece::End);
        }
        let mut room = [httparse::EMPTY_HEADER; MAX_FIELDS];
        match httparse::parse_headers(bytes, &mut room) {
            Ok(httparse::Status::Complete((length, fields))) => {
                // Here other readers look for the empty line alone, and would find another one.
                if has_bare_line_feed(&bytes[..length]) {
                    return Err(ChunkError("a line ends without a carriage return"));
                }
                let trailers = fields_of(fields);
                bytes.advance(length);
                self.state = State::End;
                Ok(Piece::Trailers(trailers))
            }
            Ok(httparse::Status::Partial) if bytes.len() <= MAX_TRAILERS => Ok(Piece::Lacking),
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => Err(ChunkError("too long a trailer section")),
            Err(_) => Err(ChunkError("what follows the last chunk are no fields")),
        }
    }
}

fn has_bare_line_feed(lines: &[u8]) -> bool {
    lines.first() == Some(&b'\n') || lines.windows(2).any(|two| two[1] == b'\n' && two[0] != b'\r')
}

const fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// Whether a field may stand in a trailer section: not if it says how the message is framed, routed or handled on this hop
/// (RFC 9110 section 6.5.1).
pub fn is_trailer(name: &HeaderName) -> bool {
    const NEVER: [HeaderName; 7] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::HOST,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    !NEVER.contains(name)
}

fn fields_of(fields: &[httparse::Header<'_>]) -> HeaderMap {
    let read = |field: &httparse::Header<'_>| {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(field.value).ok()?))
    };
    fields.iter().filter_map(read).filter(|(name, _)| is_trailer(name)).fold(HeaderMap::new(), |mut all, (name, value)| {
        all.append(name, value);
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body and its trailers, whatever pieces the bytes come in; or what is wrong.
    fn read(coded: &[u8], piece: usize) -> Result<(Vec<u8>, Option<HeaderMap>, usize), String> {
        let (mut reader, mut bytes, mut body, mut trailers) = (Chunked::default(), BytesMut::new(), Vec::new(), None);
        let mut coming = coded.chunks(piece);
        loop {
            match reader.next(&mut bytes).map_err(|error| error.to_string())? {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::Trailers(fields) => trailers = Some(fields),
                Piece::End => return Ok((body, trailers, bytes.len() + coming.map(<[u8]>::len).sum::<usize>())),
                Piece::Lacking => bytes.extend_from_slice(coming.next().ok_or("broke off")?),
            }
        }
    }

    #[test]
    fn a_body_is_read_in_pieces_of_any_size() {
        let coded = b"5\r\nhello\r\n00a ;x=\"y\"\r\n, world!!!\r\n0\r\nx-sum: 42\r\ncontent-length: 9\r\n\r\nnext";
        for piece in 1..=coded.len() {
            let (body, trailers, left) = read(coded, piece).unwrap();
            let trailers = trailers.unwrap();
            assert_eq!(
                (&body[..], trailers["x-sum"].as_bytes(), trailers.len(), left),
                (&b"hello, world!!!"[..], &b"42"[..], 1, 4)
            );
        }
        assert_eq!(read(b"0\r\n\r\n", 1).unwrap(), (Vec::new(), None, 0));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_read() {
        let long = format!("5;{}\r\nhello\r\n", "x".repeat(MAX_LINE));
        let many = "1;123456789012345\r\n.\r\n".repeat(MAX_EXTENSIONS / 16 + 1);
        for (coded, words) in [
            (&b"5\r\nhel"[..], "broke off"),
            (b"5\nhello\r\n", "without a carriage return"),
            (b"\r\n", "no hexadecimal number"),
            (b"-5\r\n", "no hexadecimal number"),
            (b"0x5\r\n", "something other than an extension"),
            (b"5 5\r\nhello", "something other than an extension"),
            (b"5;a\rb\r\nhello", "something other than an extension"),
            (b"5\r\r\nhello", "something other than an extension"),
            (b"5\x0c\r\nhello", "something other than an extension"),
            (b"10000000000000000\r\n", "no hexadecimal number of 64 bits"),
            (b"5\r\nhello!\r\n", "longer than it says"),
            (b"0\r\nno field\r\n\r\n", "are no fields"),
            (b"0\r\na: b\n\r\n", "without a carriage return"),
            (b"0\r\n\n", "without a carriage return"),
            (long.as_bytes(), "too long"),
            (many.as_bytes(), "too many extensions"),
            (&[&b"0\r\nx: "[..], &[b'y'; MAX_TRAILERS]].concat(), "too long a trailer section"),
        ] {
            for piece in [1, 7, coded.len()] {
                let error = read(coded, piece).unwrap_err();
                assert!(error.contains(words), "{error} for {}", coded[..coded.len().min(40)].escape_ascii());
            }
        }
    }
}
