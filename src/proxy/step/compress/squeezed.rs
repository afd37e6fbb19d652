//! An answer's body while it is compressed: what has come goes out compressed whenever nothing more is there for now, so
//! that a stream of lines stays one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};

use super::coding::Encoder;
use super::digests;
use crate::proxy::body::{Body, BodyError, Fault};

/// Compressed bytes that are gathered while more comes in.
const GATHER: usize = 16 * 1024;
/// Bytes taken in before other tasks get their turn: about a quarter of a millisecond.
const TURN: usize = 64 * 1024;

/// See the module.
pub(super) struct CompressedBody {
    inner: Body,
    /// `None` at the end.
    encoder: Option<Encoder>,
    out: Vec<u8>,
    /// Something was taken in that has not come out.
    unflushed: bool,
    trailers: Option<HeaderMap>,
}

impl CompressedBody {
    pub(super) const fn new(inner: Body, encoder: Encoder) -> Self {
        Self { inner, encoder: Some(encoder), out: Vec::new(), unflushed: false, trailers: None }
    }

    /// Takes one frame in, or the end.
    fn take_in(&mut self, frame: Option<Frame<Bytes>>) -> io::Result<()> {
        let Some(encoder) = &mut self.encoder else { return Ok(()) };
        match frame.map(Frame::into_data) {
            Some(Ok(data)) => {
                self.unflushed = true;
                return encoder.write(&data, &mut self.out);
            }
            Some(Err(other)) => {
                self.trailers = other.into_trailers().ok();
                self.trailers.as_mut().map(digests::remove);
            }
            None => (),
        }
        encoder.finish(&mut self.out)?;
        self.encoder = None;
        Ok(())
    }

    fn bring_out(&mut self) -> Option<Frame<Bytes>> {
        (!self.out.is_empty()).then(|| Frame::data(std::mem::take(&mut self.out).into()))
    }
}

impl HttpBody for CompressedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let mut taken = 0;
        while this.encoder.is_some() && this.out.len() < GATHER && taken < TURN {
            match Pin::new(&mut this.inner).poll_frame(cx) {
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(frame) => {
                    let frame = frame.and_then(Result::ok);
                    taken += frame.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len);
                    this.take_in(frame).map_err(broken)?;
                }
                Poll::Pending => {
                    if let Some(encoder) = this.encoder.as_mut().filter(|_| std::mem::take(&mut this.unflushed)) {
                        encoder.flush(&mut this.out).map_err(broken)?;
                    }
                    return this.bring_out().map_or(Poll::Pending, |frame| Poll::Ready(Some(Ok(frame))));
                }
            }
        }
        if this.encoder.is_some() && this.out.is_empty() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(this.bring_out().or_else(|| this.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none() && self.out.is_empty() && self.trailers.is_none()
    }
}

/// zlib and zstd fail on broken promises of ours and when memory runs out.
fn broken(error: io::Error) -> BodyError {
    BodyError { fault: Fault::BackendBroke, cause: Some(Box::new(error)) }
}
