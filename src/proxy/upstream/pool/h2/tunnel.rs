//! A stream that an extended CONNECT has opened (RFC 8441), as a stream of bytes. The end of a direction is END_STREAM;
//! dropped before, the stream is reset, as a connection would be.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::StreamPermit;

/// Bytes handed over at once: a few frames.
const MAX_WRITE: usize = 64 * 1024;

/// See the module.
pub struct StreamTunnel {
    received: RecvStream,
    sent: SendStream<Bytes>,
    /// Received and not read yet; the backend's window stays closed for it.
    piece: Bytes,
    /// The place on a backend's connection; `None` where it is a client's stream.
    _seat: Option<StreamPermit>,
}

impl StreamTunnel {
    pub(super) fn new(received: RecvStream, sent: SendStream<Bytes>, seat: StreamPermit) -> Self {
        Self { received, sent, piece: Bytes::new(), _seat: Some(seat) }
    }

    /// A client's stream.
    pub fn of_client(received: RecvStream, sent: SendStream<Bytes>) -> Self {
        Self { received, sent, piece: Bytes::new(), _seat: None }
    }
}

impl AsyncRead for StreamTunnel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.piece.is_empty() {
            match ready!(this.received.poll_data(cx)) {
                Some(Ok(piece)) => this.piece = piece,
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = this.piece.len().min(buf.remaining());
        buf.put_slice(&this.piece[..length]);
        this.piece.advance(length);
        if this.piece.is_empty() {
            // An empty slice of a large buffer would keep it.
            this.piece = Bytes::new();
        }
        let _over = this.received.flow_control().release_capacity(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for StreamTunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let sent = &mut self.sent;
        sent.reserve_capacity(bytes.len().min(MAX_WRITE));
        while sent.capacity() == 0 {
            match ready!(sent.poll_capacity(cx)) {
                Some(Ok(_)) => (),
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
        let length = sent.capacity().min(bytes.len());
        sent.send_data(Bytes::copy_from_slice(&bytes[..length]), false).map_err(broken)?;
        Poll::Ready(Ok(length))
    }

    /// The connection's own task writes as soon as it can.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.sent.send_data(Bytes::new(), true).map_err(broken))
    }
}

/// A reset stream is what a reset connection is elsewhere.
fn broken(error: h2::Error) -> io::Error {
    if error.is_io() {
        return error.into_io().unwrap_or_else(|| io::ErrorKind::ConnectionReset.into());
    }
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

impl fmt::Debug for StreamTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamTunnel").finish_non_exhaustive()
    }
}
