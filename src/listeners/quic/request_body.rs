//! A request stream as it comes: its header first, then its body, as far as the backend has taken what came before.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use quinn::VarInt;

use super::session::Session;
use crate::listeners::http3::code::Code;
use crate::listeners::http3::frames::{FrameError, Frames, Piece};
use crate::listeners::http3::message;
use crate::listeners::http3::qpack::decode::decode;
use crate::proxy::body::continues::Continue;
use crate::proxy::body::{BodyError, Fault};

/// The client's half of a stream. What is left of it when it is dropped is not wanted.
pub(super) struct Incoming {
    stream: quinn::RecvStream,
    frames: Frames,
    input: Bytes,
    ahead: Option<Piece>,
    ended: bool,
}

/// Why there is no more to read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The client reset the stream, or the connection is gone.
    #[error("the stream was ended by the client")]
    Left(#[source] quinn::ReadError),
    /// It broke the rules of frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl Incoming {
    /// A stream of which nothing was read. Header sections are at most `limit` bytes long.
    pub(super) fn new(stream: quinn::RecvStream, limit: usize) -> Self {
        Self { stream, frames: Frames::new(limit), input: Bytes::new(), ahead: None, ended: false }
    }

    /// The next piece; `None` at the end of a stream that ended between two frames.
    pub(super) async fn piece(&mut self) -> Result<Option<Piece>, ReadError> {
        poll_fn(|cx| self.poll_piece(cx)).await
    }

    /// Reads the next piece, as far as it has come already, and keeps it for [`piece`](Self::piece).
    pub(super) fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ReadError>> {
        if self.ahead.is_none() && !self.ended {
            self.ahead = ready!(self.poll_piece(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether all of it was read.
    pub(super) const fn is_over(&self) -> bool {
        self.ended && self.ahead.is_none()
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Piece>, ReadError>> {
        if let Some(piece) = self.ahead.take() {
            return Poll::Ready(Ok(Some(piece)));
        }
        loop {
            if let Some(piece) = self.frames.next(&mut self.input)? {
                return Poll::Ready(Ok(Some(piece)));
            }
            if self.ended {
                return Poll::Ready(Ok(None));
            }
            // The future keeps nothing between two polls.
            match ready!(pin!(self.stream.read_chunk(usize::MAX, true)).poll(cx)) {
                Ok(Some(chunk)) => self.input = chunk.bytes,
                Ok(None) => {
                    self.ended = true;
                    if !self.frames.may_end() {
                        return Poll::Ready(Err(FrameError::Cut.into()));
                    }
                }
                Err(error) => {
                    self.ended = true;
                    return Poll::Ready(Err(ReadError::Left(error)));
                }
            }
        }
    }

    /// Reads no more, and says why.
    pub(super) fn stop(&mut self, code: Code) {
        self.ended = true;
        // A stream that is closed needs no stopping.
        let _ = self.stream.stop(VarInt::from_u32(code.value()));
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.ended {
            self.stop(Code::NoError);
        }
    }
}

/// A request's body.
pub(super) struct Upload {
    incoming: Incoming,
    session: Rc<Session>,
    /// What the header says of its length.
    expected: Option<u64>,
    passed: u64,
    /// Whether the client waits for 100.
    continues: Option<Continue>,
}

impl Upload {
    /// The body behind a header that was read from `incoming`.
    pub(super) const fn new(
        incoming: Incoming,
        session: Rc<Session>,
        expected: Option<u64>,
        continues: Option<Continue>,
    ) -> Self {
        Self { incoming, session, expected, passed: 0, continues }
    }

    /// Counts data against the announced length (RFC 9114 section 4.1.2).
    fn count(&mut self, data: Bytes) -> Result<Frame<Bytes>, BodyError> {
        self.passed = self.passed.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if self.expected.is_some_and(|expected| self.passed > expected) { Err(self.malformed()) } else { Ok(Frame::data(data)) }
    }

    fn trailers(&mut self, section: &[u8]) -> Result<Frame<Bytes>, BodyError> {
        let trailers = decode(section, self.session.limits().section).ok().and_then(|section| message::trailers(&section).ok());
        match trailers {
            Some(trailers) if self.is_complete() => Ok(Frame::trailers(trailers)),
            _ => Err(self.malformed()),
        }
    }

    fn is_complete(&self) -> bool {
        self.expected.is_none_or(|expected| self.passed == expected)
    }

    fn malformed(&mut self) -> BodyError {
        self.incoming.stop(Code::MessageError);
        Fault::ClientMalformed.into()
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let polled = this.incoming.poll_piece(cx);
        if let Some(continues) = &this.continues {
            continues.asked(polled.is_ready());
        }
        Poll::Ready(match ready!(polled) {
            Ok(Some(Piece::Data(data))) => Some(this.count(data)),
            Ok(Some(Piece::Section(section))) => Some(this.trailers(&section)),
            Ok(None) if this.is_complete() => None,
            Ok(None) => Some(Err(this.malformed())),
            Err(ReadError::Left(error)) => Some(Err(BodyError { fault: Fault::ClientLeft, cause: Some(Box::new(error)) })),
            Err(ReadError::Frame(error)) => {
                this.session.breach(error.code());
                Some(Err(BodyError { fault: Fault::ClientMalformed, cause: Some(Box::new(error)) }))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_over() && self.is_complete()
    }

    fn size_hint(&self) -> SizeHint {
        self.expected.map_or_else(SizeHint::default, |expected| SizeHint::with_exact(expected.saturating_sub(self.passed)))
    }
}
