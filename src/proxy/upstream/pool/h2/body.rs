//! The body of an answer that comes over a stream. Dropped before its end, the stream is reset, which tells the backend to
//! stop.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

use super::StreamTunnel;
use super::connection::StreamPermit;

/// See the module.
pub struct Stream {
    received: RecvStream,
    /// The other direction, where the answer granted a tunnel.
    tunnel: Option<SendStream<Bytes>>,
    /// The request's body, where it is still on its way.
    upload: Option<Uploading>,
    /// Bytes still to come, where that was said.
    length: Option<u64>,
    seat: Option<StreamPermit>,
    over: bool,
}

/// Ends with its owner: an answer that is complete needs no more of its request, and neither does one nobody wants.
struct Uploading(JoinHandle<Option<()>>);

impl Drop for Uploading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Stream {
    pub(super) fn new(
        received: RecvStream,
        tunnel: Option<SendStream<Bytes>>,
        upload: Option<JoinHandle<Option<()>>>,
        length: Option<u64>,
        seat: StreamPermit,
    ) -> Self {
        let over = tunnel.is_none() && received.is_end_stream();
        let mut stream = Self { received, tunnel, upload: upload.map(Uploading), length, seat: Some(seat), over };
        if over {
            stream.finish();
        }
        stream
    }

    fn finish(&mut self) {
        self.over = true;
        self.upload = None;
        self.seat = None;
    }

    /// Both directions of a granted tunnel.
    pub(in super::super) fn into_tunnel(self) -> Option<StreamTunnel> {
        Some(StreamTunnel::new(self.received, self.tunnel?, self.seat?))
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        let frame = match ready!(this.received.poll_data(cx)) {
            Some(Ok(data)) => {
                // Who asks for a piece has taken the one before it. A stream that is over has no window to give back.
                let _over = this.received.flow_control().release_capacity(data.len());
                this.length = this.length.map(|left| left.saturating_sub(data.len() as u64));
                Some(Ok(Frame::data(data)))
            }
            // RST_STREAM and GOAWAY with NO_ERROR too: behind a whole answer, where they say that the rest of the request is
            // not wanted, h2 reports the end. An answer without END_STREAM is incomplete (RFC 9113 sections 8.1 and 8.1.1).
            Some(Err(error)) => Some(Err(error)),
            None => ready!(this.received.poll_trailers(cx)).transpose().map(|trailers| trailers.map(Frame::trailers)),
        };
        let more = matches!(&frame, Some(Ok(frame)) if frame.is_data()) && !this.received.is_end_stream();
        if !more {
            this.finish();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.over
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            _ if self.over => SizeHint::with_exact(0),
            Some(length) => SizeHint::with_exact(length),
            None => SizeHint::default(),
        }
    }
}
