//! The byte stream to a backend: TCP or a Unix socket, with TLS over it or without.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// How long a backend may leave unacknowledged what many requests share: then it is dead, or does not read.
const SILENCE: Duration = Duration::from_secs(30);

/// A connection to a backend.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum BackendStream {
    Tcp(TcpStream),
    Unix(UnixStream),
    TcpTls(Box<TlsStream<TcpStream>>),
    UnixTls(Box<TlsStream<UnixStream>>),
}

impl BackendStream {
    /// Whether the backend chose HTTP/2 in the TLS handshake.
    pub(super) fn chose_http2(&self) -> bool {
        let chosen = match self {
            Self::TcpTls(stream) => stream.get_ref().1.alpn_protocol(),
            Self::UnixTls(stream) => stream.get_ref().1.alpn_protocol(),
            Self::Tcp(_) | Self::Unix(_) => None,
        };
        chosen == Some(b"h2")
    }

    /// For a connection that many requests share: the kernel ends it when what was written is not acknowledged for
    /// [`SILENCE`], where it would otherwise try for a quarter of an hour and take every new request along. Not for
    /// tunnels, whose backend may rightly not read for long.
    pub(super) fn give_up_on_silence(&self) {
        let tcp = match self {
            Self::Tcp(stream) => stream,
            Self::TcpTls(stream) => stream.get_ref().0,
            Self::Unix(_) | Self::UnixTls(_) => return,
        };
        let _unlimited = SockRef::from(tcp).set_tcp_user_timeout(Some(SILENCE));
    }
}

impl BackendStream {
    /// Makes its close a reset of the connection. What the system has not sent yet is discarded by it. A Unix socket
    /// knows no resets.
    pub(in crate::proxy) fn reset_at_close(&self) {
        let tcp = match self {
            Self::Tcp(stream) => stream,
            Self::TcpTls(stream) => stream.get_ref().0,
            Self::Unix(_) | Self::UnixTls(_) => return,
        };
        let _closes_anyway = SockRef::from(tcp).set_linger(Some(Duration::ZERO));
    }

    /// Whether nothing can be read: nothing came since it was last read to its end, and it stands. Asks the runtime, not
    /// the system. `cx` is woken by what comes.
    pub(super) fn is_quiet(&self, cx: &mut Context<'_>) -> bool {
        let (socket, has_text) = match self {
            Self::Tcp(stream) => (stream.poll_read_ready(cx), false),
            Self::Unix(stream) => (stream.poll_read_ready(cx), false),
            Self::TcpTls(stream) => (stream.get_ref().0.poll_read_ready(cx), !stream.get_ref().1.wants_read()),
            Self::UnixTls(stream) => (stream.get_ref().0.poll_read_ready(cx), !stream.get_ref().1.wants_read()),
        };
        socket.is_pending() && !has_text
    }
}

/// Runs one call on whichever stream it is.
macro_rules! on_stream {
    ($this:expr, $stream:ident => $call:expr) => {
        match $this.get_mut() {
            Self::Tcp($stream) => $call,
            Self::Unix($stream) => $call,
            Self::TcpTls($stream) => $call,
            Self::UnixTls($stream) => $call,
        }
    };
}

impl AsyncRead for BackendStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, s => Pin::new(s).poll_read(cx, buf))
    }
}

impl AsyncWrite for BackendStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on_stream!(self, s => Pin::new(s).poll_write(cx, bytes))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        // A header alone is one piece, and the system sends one piece for less than a list of one.
        if let [only] = bufs {
            return self.poll_write(cx, only);
        }
        on_stream!(self, s => Pin::new(s).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, s => Pin::new(s).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, s => Pin::new(s).poll_shutdown(cx))
    }
}
