//! Sends what one wake-up of an HTTP/2 connection made ready as one write and in full TLS records. The codec flushes
//! after every frame with a body, which costs a record, a system call and a packet for each answer. And reads no more in one
//! wake-up than leaves others their turn, nor from a client that floods.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use tokio::time::Instant;

use super::connections::Finish;
use super::flood_guard::FloodGuard;
use super::http2::filter::{Breach, Filter};
use super::http2::hpack::Found;

/// What is gathered before it is sent all the same: one TLS record's worth (RFC 8446 section 5.1).
const MAX_WRITE: usize = 16 * 1024;
/// What is read in one wake-up before it is others' turn: thousands of small frames, which the codec would else take for as
/// long as there are any.
const TURN: usize = 32 * 1024;

/// What a client may still send behind a connection's end, and how long it may take over its own.
const MAX_DISCARDED: usize = 256 * 1024;
const PARTING_TIMEOUT: Duration = Duration::from_secs(1);

/// A stream whose flushes are put off until [`Gathered`] has polled the connection over it. Clones are one stream.
pub struct WriteCoalescer<T>(Rc<RefCell<Inner<T>>>);

struct Inner<T> {
    io: T,
    /// Written and not yet sent; without memory whenever the connection rests.
    held: Vec<u8>,
    unflushed: bool,
    /// Read in this wake-up.
    taken: usize,
    calm: FloodGuard,
    filter: Filter,
    /// Behind what was read last, and other than it came.
    ahead: Bytes,
    breach: Option<Breach>,
}

impl<T> WriteCoalescer<T> {
    /// Holds nothing yet. Header sections may be of `room` bytes.
    pub fn new(io: T, room: usize) -> Self {
        let calm = FloodGuard::new(Instant::now());
        Self(Rc::new(RefCell::new(Inner {
            io,
            held: Vec::new(),
            unflushed: false,
            taken: 0,
            calm,
            filter: Filter::new(room),
            ahead: Bytes::new(),
            breach: None,
        })))
    }

    /// The rules that the client broke, where it was not the h2 library that found it; nothing more is read from it.
    pub fn breach(&self) -> Option<Breach> {
        self.0.borrow().breach
    }

    /// What is odd about the request that came by this stream; of those before it nothing is asked any more.
    pub fn found(&self, stream: u32) -> Option<Found> {
        self.0.borrow_mut().filter.take(stream)
    }

    /// Whether the client flooded; nothing more is read from it.
    pub fn is_flooded(&self) -> bool {
        self.0.borrow().calm.is_flooded()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> WriteCoalescer<T> {
    /// Ends a connection whose client broke the rules, once what the library had to say is sent: with GOAWAY where it was not
    /// the library that found it (RFC 9113 section 5.4.1), and in stages. A socket that is closed with unread bytes is reset, and the
    /// client never reads why.
    pub async fn part(&mut self, breach: Option<u8>) {
        if let Some(code) = breach {
            let last = self.0.borrow().filter.last().to_be_bytes();
            let goaway = [&[0, 0, 8, 7, 0, 0, 0, 0, 0][..], &last, &[0, 0, 0, code]].concat();
            self.0.borrow_mut().held.extend_from_slice(&goaway);
            self.0.borrow_mut().unflushed = true;
        }
        let leave = async {
            self.shutdown().await?;
            let mut rest = [0; 4096];
            let mut left = MAX_DISCARDED;
            loop {
                let read = std::future::poll_fn(|cx| {
                    let mut buf = ReadBuf::new(&mut rest);
                    let polled = Pin::new(&mut self.0.borrow_mut().io).poll_read(cx, &mut buf);
                    polled.map_ok(|()| buf.filled().len())
                });
                let length = read.await?;
                left = left.saturating_sub(length);
                if length == 0 || left == 0 {
                    return Ok::<_, io::Error>(());
                }
            }
        };
        // A client that goes on sending is cut off then.
        let _cut = tokio::time::timeout(PARTING_TIMEOUT, leave).await;
    }
}

impl<T> Clone for WriteCoalescer<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T: AsyncWrite + Unpin> Inner<T> {
    /// Hands all that is held to the stream.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut sent = 0;
        while sent < self.held.len() {
            match Pin::new(&mut self.io).poll_write(cx, &self.held[sent..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => sent += n,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.held.drain(..sent);
                    return Poll::Pending;
                }
            }
        }
        self.held = Vec::new();
        Poll::Ready(Ok(()))
    }

    /// Sends and flushes what the last wake-up left.
    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(self.poll_send(cx))?;
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WriteCoalescer<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.0.borrow_mut();
        loop {
            if !inner.ahead.is_empty() {
                let length = inner.ahead.len().min(buf.remaining());
                buf.put_slice(&inner.ahead.split_to(length));
                return Poll::Ready(Ok(()));
            }
            if inner.taken >= TURN {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let before = buf.filled().len();
            ready!(Pin::new(&mut inner.io).poll_read(cx, buf))?;
            let read = &buf.filled()[before..];
            if read.is_empty() {
                return Poll::Ready(Ok(()));
            }
            inner.taken += read.len();
            inner.calm.read(read, Instant::now).map_err(io::Error::other)?;
            let mut ahead = Vec::new();
            let kept = inner.filter.read(read, &mut ahead).map_err(|breach| {
                inner.breach = Some(breach);
                io::Error::other(breach)
            })?;
            buf.set_filled(before + kept);
            inner.ahead = ahead.into();
            // Nothing is the end of the stream, and half a header block is not that.
            if kept > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WriteCoalescer<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let inner = &mut *self.0.borrow_mut();
        let total: usize = bufs.iter().map(|part| part.len()).sum();
        inner.unflushed = true;
        inner.calm.wrote(total);
        if inner.held.len() + total > MAX_WRITE {
            ready!(inner.poll_send(cx))?;
        }
        if total > MAX_WRITE {
            return Pin::new(&mut inner.io).poll_write_vectored(cx, bufs);
        }
        if inner.held.capacity() == 0 {
            inner.held.reserve_exact(MAX_WRITE);
        }
        bufs.iter().for_each(|part| inner.held.extend_from_slice(part));
        Poll::Ready(Ok(total))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.0.borrow_mut();
        ready!(inner.poll_settle(cx))?;
        Pin::new(&mut inner.io).poll_shutdown(cx)
    }
}

/// A connection over a [`WriteCoalescer`], which is flushed at the end of each of its wake-ups.
pub struct Gathered<C, T> {
    connection: Pin<Box<C>>,
    io: WriteCoalescer<T>,
}

impl<C, T> Gathered<C, T> {
    /// Both ends of `io`: `connection` writes to it.
    pub fn new(connection: C, io: WriteCoalescer<T>) -> Self {
        Self { connection: Box::pin(connection), io }
    }
}

impl<C: Future, T: AsyncWrite + Unpin> Future for Gathered<C, T> {
    type Output = Option<C::Output>;

    /// `None` when the stream broke at a flush.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.io.0.borrow_mut().taken = 0;
        let polled = self.connection.as_mut().poll(cx);
        let settled = self.io.0.borrow_mut().poll_settle(cx);
        match (polled, settled) {
            (Poll::Ready(output), _) => Poll::Ready(Some(output)),
            (Poll::Pending, Poll::Ready(Err(_))) => Poll::Ready(None),
            (Poll::Pending, _) => Poll::Pending,
        }
    }
}

impl<C: Finish, T: AsyncWrite + Unpin> Finish for Gathered<C, T> {
    fn finish(mut self: Pin<&mut Self>) {
        self.connection.as_mut().finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(flavor = "current_thread")]
    async fn one_wake_up_is_one_write_and_a_slow_reader_loses_nothing() {
        let (near, mut far) = tokio::io::duplex(1000);
        let io = WriteCoalescer::new(near, 1000);
        let mut writer = io.clone();
        let connection = async move {
            for part in 0..20_u8 {
                writer.write_all(&[part; 900]).await.unwrap();
                writer.flush().await.unwrap();
            }
            writer.shutdown().await.unwrap();
        };
        let mut got = Vec::new();
        tokio::join!(Gathered::new(connection, io), async { far.read_to_end(&mut got).await.unwrap() });
        let wanted: Vec<u8> = (0..20_u8).flat_map(|part| [part; 900]).collect();
        assert_eq!(got, wanted);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn others_have_their_turn_while_there_is_more_to_read() {
        let (near, mut far) = tokio::io::duplex(20 * TURN);
        // One frame of an unknown type after another, each of 991 bytes.
        let opening = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
        let frame = [&[0, 3, 0xdf, 0x21, 0, 0, 0, 0, 0][..], &[0; 991]].concat();
        far.write_all(&[opening, frame.repeat(10 * TURN / 1000 + 1)].concat()).await.unwrap();
        let io = WriteCoalescer::new(near, 1000);
        let mut reader = io.clone();
        let read = Rc::new(std::cell::Cell::new(0));
        let count = Rc::clone(&read);
        let connection = async move {
            let mut piece = [0; 1024];
            while count.get() < 10 * TURN {
                count.set(count.get() + reader.read(&mut piece).await.unwrap());
            }
        };
        let mut turns = 0;
        let others = async {
            while read.get() < 10 * TURN {
                turns += 1;
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(Gathered::new(connection, io), others);
        assert!(turns >= 10, "{turns}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_flood_is_an_error() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let ping = [&[0, 0, 8, 6][..], &[0; 13]].concat();
        far.write_all(
            &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), vec![0, 0, 0, 4, 0, 0, 0, 0, 0], ping.repeat(20_000)].concat(),
        )
        .await
        .unwrap();
        let io = WriteCoalescer::new(near, 1000);
        let (mut reader, watched) = (io.clone(), io.clone());
        let connection = async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await };
        let error = Gathered::new(connection, io).await.unwrap().unwrap_err();
        assert!(watched.is_flooded() && error.to_string().contains("flood"), "{error}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_is_written_is_sent_when_the_wake_up_ends() {
        let (near, mut far) = tokio::io::duplex(1000);
        let io = WriteCoalescer::new(near, 1000);
        let mut writer = io.clone();
        let connection = async move {
            writer.write_all(b"one ").await.unwrap();
            writer.write_all(b"two").await.unwrap();
            std::future::pending::<()>().await;
        };
        let mut got = [0; 7];
        tokio::select! {
            _ = Gathered::new(connection, io) => unreachable!("it waits for ever"),
            read = far.read_exact(&mut got) => assert_eq!(read.unwrap(), 7),
        }
        assert_eq!(&got, b"one two");
    }
}
