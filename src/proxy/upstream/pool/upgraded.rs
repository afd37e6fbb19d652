//! The backend's side of a tunnel: a whole connection, or one stream of an HTTP/2 connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::stream::BackendStream;
use super::StreamTunnel;

/// See the module.
#[derive(Debug)]
pub enum UpgradedStream {
    /// A connection that has left HTTP/1.1.
    Connection(BackendStream),
    /// A stream that an extended CONNECT has opened.
    Http2(Box<StreamTunnel>),
}

impl UpgradedStream {
    /// Makes its close a reset of the connection; a stream of HTTP/2 that is dropped before its end is reset anyway.
    pub(in crate::proxy) fn reset_at_close(&self) {
        match self {
            Self::Connection(stream) => stream.reset_at_close(),
            Self::Http2(_) => (),
        }
    }
}

/// Runs one call on whichever stream it is.
macro_rules! on_stream {
    ($this:expr, $stream:ident => $call:expr) => {
        match $this.get_mut() {
            Self::Connection($stream) => $call,
            Self::Http2($stream) => $call,
        }
    };
}

impl AsyncRead for UpgradedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, s => Pin::new(s).poll_read(cx, buf))
    }
}

impl AsyncWrite for UpgradedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on_stream!(self, s => Pin::new(s).poll_write(cx, bytes))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        on_stream!(self, s => Pin::new(s).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Connection(stream) => stream.is_write_vectored(),
            Self::Http2(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, s => Pin::new(s).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, s => Pin::new(s).poll_shutdown(cx))
    }
}
