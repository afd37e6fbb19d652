//! How a message's body is framed, and its bytes taken out of that. Pure.

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::chunked::{ChunkError, Chunked, Piece};

/// How a body is framed, and how much of it is still to come.
#[derive(Debug)]
pub enum Framing {
    /// So many bytes more.
    Sized(u64),
    /// By chunks.
    Chunks(Box<Chunked>),
    /// Whatever comes before the connection's end.
    UntilClose,
}

/// What comes next.
pub enum Next {
    /// A frame.
    Frame(Frame<Bytes>),
    /// The body's end.
    End,
    /// The connection has to bring more first.
    Lacking,
}

impl Framing {
    /// By chunks, none of which was read yet.
    pub fn chunked() -> Self {
        Self::Chunks(Box::default())
    }

    /// Whether it is known that nothing more comes.
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Sized(0))
    }

    /// Takes what comes next from the beginning of `bytes`.
    pub fn next(&mut self, bytes: &mut BytesMut) -> Result<Next, ChunkError> {
        Ok(match self {
            Self::Sized(0) => Next::End,
            Self::Chunks(chunked) => match chunked.next(bytes)? {
                Piece::Data(data) => Next::Frame(Frame::data(data)),
                Piece::Trailers(fields) => Next::Frame(Frame::trailers(fields)),
                Piece::End => Next::End,
                Piece::Lacking => Next::Lacking,
            },
            Self::Sized(_) | Self::UntilClose if bytes.is_empty() => Next::Lacking,
            Self::Sized(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= u64::try_from(here).unwrap_or(*left);
                Next::Frame(Frame::data(bytes.split_to(here).freeze()))
            }
            Self::UntilClose => Next::Frame(Frame::data(bytes.split().freeze())),
        })
    }

    /// How much is still to come, as far as it is known.
    pub fn size_hint(&self) -> SizeHint {
        match self {
            Self::Sized(left) => SizeHint::with_exact(*left),
            Self::Chunks(_) | Self::UntilClose => SizeHint::default(),
        }
    }
}
