//! The client's byte stream: TCP, or TLS over it. Keeps the coarse facts by which a slow or silent client is prebuilt from
//! a busy one.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A client connection as the protocols and the tunnels see it.
pub struct ClientIo {
    stream: Stream,
    activity: Arc<Activity>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<Socket>>),
}

/// A client's socket under TLS, which writes lists even of one record; the system sends one piece for less than that.
pub struct Socket(pub TcpStream);

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match bufs {
            [only] => Pin::new(&mut self.0).poll_write(cx, only),
            _ => Pin::new(&mut self.0).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl ClientIo {
    /// A connection in the clear.
    pub const fn plain(stream: TcpStream, activity: Arc<Activity>) -> Self {
        Self { stream: Stream::Plain(stream), activity }
    }

    /// A connection whose handshake is done.
    pub fn tls(stream: TlsStream<Socket>, activity: Arc<Activity>) -> Self {
        Self { stream: Stream::Tls(Box::new(stream)), activity }
    }

    /// Reads what came over the network, under TLS as well, to be discarded: nothing of it is noted.
    pub fn poll_discard(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Stream::Tls(tls) => Pin::new(&mut tls.get_mut().0.0).poll_read(cx, buf),
        }
    }

    /// Whether a client that ends its half of the connection may still wait for its answer. With TLS it does not: a client sends
    /// its closure alert when it closes the connection (RFC 9112 section 9.8).
    pub const fn may_be_half_closed(&self) -> bool {
        matches!(self.stream, Stream::Plain(_))
    }

    fn wrote(&self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = result {
            self.activity.wrote(*bytes);
        }
    }

    fn noted<T>(&self, result: Poll<T>) -> Poll<T> {
        match result {
            Poll::Ready(_) => self.activity.write_moved(),
            Poll::Pending => self.activity.write_blocked(),
        }
        result
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Stream::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        };
        let bytes = buf.filled().len() - before;
        if bytes > 0 {
            self.activity.read_moved(bytes);
        }
        result
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Stream::Tls(tls) if bytes.len() > PIECE => write_in_pieces(tls, cx, &[io::IoSlice::new(bytes)]),
            Stream::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        };
        self.wrote(&result);
        self.noted(result)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let result = match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Stream::Tls(tls) if bufs.iter().any(|buf| buf.len() > PIECE) => write_in_pieces(tls, cx, bufs),
            Stream::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        };
        self.wrote(&result);
        self.noted(result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_flush(cx),
        };
        self.noted(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// Largest piece that is copied into a TLS record at once, in bytes. The C library copies larger ones by one instruction
/// (`rep movsb`, from 2,112 bytes on where the processor says that it is fast), which an AMD EPYC does at a fraction of its
/// speed: it took a third of the processor time of a large download.
const PIECE: usize = 2_048;
/// Pieces taken at once: rustls holds 64 KiB back at most.
const PIECES: usize = 36;

fn write_in_pieces(tls: &mut TlsStream<Socket>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
    let (pieces, count) = pieces(bufs);
    Pin::new(tls).poll_write_vectored(cx, &pieces[..count])
}

/// The same bytes from their beginning, in smaller pieces; how many pieces there are.
fn pieces<'a>(bufs: &'a [io::IoSlice<'_>]) -> ([io::IoSlice<'a>; PIECES], usize) {
    let mut pieces = [io::IoSlice::new(&[]); PIECES];
    let mut count = 0;
    for (place, piece) in pieces.iter_mut().zip(bufs.iter().flat_map(|buf| buf.chunks(PIECE))) {
        *place = io::IoSlice::new(piece);
        count += 1;
    }
    (pieces, count)
}

/// A worker's coarse clock: whole seconds since the worker started, plus one. Read on every wake-up of a connection,
/// moved on once a second by the worker's sweep.
#[derive(Debug)]
pub struct Ticks(AtomicU32);

impl Default for Ticks {
    /// Starts at 1: 0 is what [`Activity`] uses for "not".
    fn default() -> Self {
        Self(AtomicU32::new(1))
    }
}

impl Ticks {
    /// The present second.
    pub fn now(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// `seconds` later.
    pub fn advance(&self, seconds: u32) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

/// What a connection was last seen doing, in ticks. Its atomics belong to one thread; they are atomics because hyper
/// asks a connection that may be upgraded to be `Send`.
#[derive(Debug)]
pub struct Activity {
    ticks: Arc<Ticks>,
    open: AtomicU32,
    quiet_since: AtomicU32,
    header_since: AtomicU32,
    /// Bytes that came while no request was open.
    header_bytes: AtomicUsize,
    blocked_since: AtomicU32,
    /// Answers with a piece handed to the protocol that has not asked for the next.
    handed: AtomicU32,
    /// When one of them last moved.
    handed_since: AtomicU32,
}

/// [`Activity`] at one moment; 0 in a `since` field means "not so".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Requests being answered.
    pub open: u32,
    /// When the last request ended.
    pub quiet_since: u32,
    /// When the first byte after that came.
    pub header_since: u32,
    /// Since when the client takes nothing off us.
    pub blocked_since: u32,
    /// Since when no answer moved, though one has more to send: the client gives the protocol no room.
    pub stuck_since: u32,
}

impl Activity {
    /// A connection that was accepted now.
    pub fn new(ticks: Arc<Ticks>) -> Arc<Self> {
        let now = ticks.now();
        let zero = || AtomicU32::new(0);
        Arc::new(Self {
            ticks,
            open: zero(),
            quiet_since: AtomicU32::new(now),
            header_since: zero(),
            header_bytes: AtomicUsize::new(0),
            blocked_since: zero(),
            handed: zero(),
            handed_since: zero(),
        })
    }

    /// How much of a header has come, in bytes, perhaps with the beginning of what is behind it.
    pub fn header_bytes(&self) -> usize {
        self.header_bytes.load(Ordering::Relaxed)
    }

    /// A request's header is complete. Falls when the answer's last byte was handed over, or never will be.
    pub fn begin(self: &Arc<Self>) -> OpenRequest {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.header_since.store(0, Ordering::Relaxed);
        OpenRequest(Arc::clone(self))
    }

    /// What came since the last request belonged to it: the connection is quiet from now on.
    pub fn set_quiet(&self) {
        self.header_since.store(0, Ordering::Relaxed);
        self.quiet_since.store(self.ticks.now(), Ordering::Relaxed);
    }

    /// The facts now.
    pub fn seen(&self) -> Seen {
        Seen {
            open: self.open.load(Ordering::Relaxed),
            quiet_since: self.quiet_since.load(Ordering::Relaxed),
            header_since: self.header_since.load(Ordering::Relaxed),
            blocked_since: self.blocked_since.load(Ordering::Relaxed),
            stuck_since: if self.handed.load(Ordering::Relaxed) > 0 { self.handed_since.load(Ordering::Relaxed) } else { 0 },
        }
    }

    /// A piece of an answer was handed to the protocol.
    pub fn hand(&self) {
        self.handed.store(self.handed.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.handed_since.store(self.ticks.now(), Ordering::Relaxed);
    }

    /// The protocol asks for the next, or never will.
    pub fn take(&self) {
        self.handed.store(self.handed.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        self.handed_since.store(self.ticks.now(), Ordering::Relaxed);
    }

    /// So many bytes were written. A slow client's piece moves too, over many writes; a frame that only answers one of its
    /// own is no progress.
    fn wrote(&self, bytes: usize) {
        const MERE_ANSWER: usize = 64;
        if bytes > MERE_ANSWER && self.handed.load(Ordering::Relaxed) > 0 {
            self.handed_since.store(self.ticks.now(), Ordering::Relaxed);
        }
    }

    fn read_moved(&self, bytes: usize) {
        if self.open.load(Ordering::Relaxed) > 0 {
            return;
        }
        if self.header_since.load(Ordering::Relaxed) == 0 {
            self.header_since.store(self.ticks.now(), Ordering::Relaxed);
            self.header_bytes.store(0, Ordering::Relaxed);
        }
        self.header_bytes.store(self.header_bytes.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
    }

    fn write_moved(&self) {
        if self.blocked_since.load(Ordering::Relaxed) != 0 {
            self.blocked_since.store(0, Ordering::Relaxed);
        }
    }

    fn write_blocked(&self) {
        if self.blocked_since.load(Ordering::Relaxed) == 0 {
            self.blocked_since.store(self.ticks.now(), Ordering::Relaxed);
        }
    }
}

/// Counts one open request of a connection for as long as it lives.
#[derive(Debug)]
pub struct OpenRequest(Arc<Activity>);

impl OpenRequest {
    /// What its connection is seen doing.
    pub fn activity(&self) -> &Activity {
        &self.0
    }

    /// Keeps the request open beyond its answer, for the tunnel that may come of it.
    pub fn for_tunnel(&self) -> OpenTunnel {
        OpenTunnel(Arc::new(self.0.begin()))
    }
}

/// A request's extension, to be held by the tunnel that it becomes: over HTTP/2 the answer to a CONNECT ends at once while
/// its stream goes on, and a connection without open requests has to leave when it is quiet.
#[derive(Clone, Debug)]
pub struct OpenTunnel(#[expect(dead_code, reason = "held to be dropped")] Arc<OpenRequest>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let activity = &self.0;
        if activity.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            activity.quiet_since.store(activity.ticks.now(), Ordering::Relaxed);
            activity.header_since.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_same_bytes_in_their_order() {
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        for lengths in [&[1, 20_000, 0, 2_048][..], &[2_048], &[2_049], &[700_000], &[]] {
            let mut rest = &bytes[..];
            let bufs: Vec<io::IoSlice<'_>> = lengths
                .iter()
                .map(|length| {
                    let (buf, behind) = rest.split_at(*length);
                    rest = behind;
                    io::IoSlice::new(buf)
                })
                .collect();
            let (pieces, count) = pieces(&bufs);
            let all: Vec<u8> = pieces[..count].iter().flat_map(|piece| piece.iter().copied()).collect();
            assert!(bytes.starts_with(&all), "{lengths:?}");
            assert_eq!(all.len(), lengths.iter().sum::<usize>().min(PIECE * PIECES), "{lengths:?}");
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE), "{lengths:?}");
        }
    }

    #[test]
    fn activity_tells_quiet_from_busy_and_from_half_a_header() {
        let ticks = Arc::new(Ticks::default());
        let activity = Activity::new(Arc::clone(&ticks));
        ticks.advance(5);
        activity.read_moved(7);
        ticks.advance(1);
        activity.read_moved(7);
        assert_eq!(activity.seen(), Seen { open: 0, quiet_since: 1, header_since: 6, blocked_since: 0, stuck_since: 0 });
        assert_eq!(activity.header_bytes(), 14);
        let request = activity.begin();
        assert_eq!(activity.seen(), Seen { open: 1, quiet_since: 1, header_since: 0, blocked_since: 0, stuck_since: 0 });
        activity.read_moved(7);
        assert_eq!(activity.seen().header_since, 0, "a body is not a header");
        ticks.advance(3);
        drop(request);
        assert_eq!(activity.seen(), Seen { open: 0, quiet_since: 10, header_since: 0, blocked_since: 0, stuck_since: 0 });
        activity.read_moved(7);
        assert_eq!(activity.header_bytes(), 7, "each header is counted by itself");
        activity.write_blocked();
        ticks.advance(1);
        activity.write_blocked();
        assert_eq!(activity.seen().blocked_since, 10);
        activity.write_moved();
        assert_eq!(activity.seen().blocked_since, 0);
    }

    #[test]
    fn a_tunnel_keeps_its_request_open_when_the_answer_has_ended() {
        let activity = Activity::new(Arc::default());
        let request = activity.begin();
        let tunnel = request.for_tunnel();
        drop((request, tunnel.clone()));
        assert_eq!(activity.seen().open, 1);
        drop(tunnel);
        assert_eq!(activity.seen().open, 0);
    }

    #[test]
    fn an_answer_is_stuck_until_it_moves() {
        let ticks = Arc::new(Ticks::default());
        let activity = Activity::new(Arc::clone(&ticks));
        assert_eq!(activity.seen().stuck_since, 0);
        ticks.advance(5);
        activity.hand();
        ticks.advance(5);
        activity.wrote(17);
        assert_eq!(activity.seen().stuck_since, 6, "an answer to a ping is no progress");
        activity.wrote(1000);
        assert_eq!(activity.seen().stuck_since, 11);
        activity.take();
        assert_eq!(activity.seen().stuck_since, 0);
    }
}
