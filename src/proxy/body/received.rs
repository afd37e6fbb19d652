//! The body of a request over HTTP/2. Only END_STREAM ends it (RFC 9113 section 8.1): a reset is a failure, whatever its code.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame, SizeHint};

use super::continues::Continue;
use super::error::{BodyError, Fault};

/// See the module.
pub(in crate::proxy) struct Received {
    stream: RecvStream,
    /// Bytes still to come, where the header says it. h2 holds the client to it.
    length: Option<u64>,
    /// Whether the data is over, and only trailers may follow.
    is_data_over: bool,
    /// Whether the client waits for 100.
    continues: Option<Continue>,
}

impl Received {
    pub(in crate::proxy) const fn new(stream: RecvStream, length: Option<u64>, continues: Option<Continue>) -> Self {
        Self { stream, length, is_data_over: false, continues }
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if !this.is_data_over {
            let polled = this.stream.poll_data(cx);
            if let Some(continues) = &this.continues {
                continues.asked(polled.is_ready());
            }
            match ready!(polled) {
                Some(Ok(data)) => {
                    // A piece that is asked for is on its way. A stream that is over has no window to give back.
                    let _over = this.stream.flow_control().release_capacity(data.len());
                    this.length = this.length.map(|left| left.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(failed(error)))),
                None => this.is_data_over = true,
            }
        }
        let trailers = ready!(this.stream.poll_trailers(cx)).map_err(failed);
        Poll::Ready(trailers.transpose().map(|trailers| trailers.map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// What h2 itself finds wrong, such as a length that is not the body's, is the client's mistake. Everything else means that it
/// is no longer there.
fn failed(error: h2::Error) -> BodyError {
    let fault = if error.is_library() { Fault::ClientMalformed } else { Fault::ClientLeft };
    BodyError { fault, cause: Some(Box::new(error)) }
}
