//! One side's stream in a tunnel with rules, and the copying from one to the other.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::state_machine::{End, FramedRelay};
use crate::proxy::tunnel::Side;
use crate::proxy::tunnel::takeover::Handover;

/// See the module.
pub(super) struct FramedIo<S> {
    stream: S,
    /// Read before the tunnel stood, and not looked at yet.
    leftover: Bytes,
    /// What the stream has not taken yet. Empty, and without memory, while the tunnel rests.
    out: Vec<u8>,
    /// Bytes were written that may still be in the stream's own buffers.
    unflushed: bool,
    /// The stream took nothing when it was last asked.
    blocked: bool,
    /// Whether it has been prebuilt that nothing more will come, or cannot be prebuilt any more.
    shut: bool,
    /// It will send nothing more.
    pub(super) ended: bool,
    /// Whether it broke while it was read, and not only for what it was to get.
    is_cut_off: bool,
    /// How it broke, if it did.
    pub(super) broke: Option<io::ErrorKind>,
    /// Bytes read from it.
    pub(super) bytes: u64,
}

impl<S> FramedIo<S> {
    pub(super) const fn stream(&self) -> &S {
        &self.stream
    }

    pub(super) fn new(side: Side<S>) -> Self {
        Self {
            stream: side.stream,
            leftover: side.leftover,
            out: Vec::new(),
            unflushed: false,
            blocked: false,
            shut: false,
            ended: false,
            is_cut_off: false,
            broke: None,
            bytes: 0,
        }
    }

    pub(super) fn taking_over(side: Handover<S>) -> Self {
        let leftover = Bytes::new();
        let port = Self::new(Side { stream: side.stream, leftover });
        Self { out: side.unsent, unflushed: true, bytes: side.bytes, ..port }
    }

    /// Whether it broke, and `other` has all that came before.
    pub(super) const fn has_cut<T>(&self, other: &FramedIo<T>) -> bool {
        self.is_cut_off && other.out.is_empty() && !other.unflushed
    }

    /// Whether nothing will move here any more.
    pub(super) const fn is_done(&self) -> bool {
        self.ended && self.shut
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> FramedIo<S> {
    /// Writes as much as the stream takes now and keeps the rest. What a broken stream was to get is dropped: it may still
    /// have sent something, a close code among it.
    fn write(&mut self, mut bytes: &[u8], cx: &mut Context<'_>) {
        if self.shut {
            return;
        }
        while self.out.is_empty() && !bytes.is_empty() {
            match self.poll_write(bytes, cx) {
                Poll::Ready(Some(taken)) => bytes = &bytes[taken..],
                Poll::Ready(None) => return,
                Poll::Pending => break,
            }
        }
        self.out.extend_from_slice(bytes);
    }

    /// Sends on what was kept; whether all has gone.
    fn drain(&mut self, me: End, relay: &mut FramedRelay, now: Instant, cx: &mut Context<'_>) -> bool {
        let (mut sent, blocked) = (0, self.blocked);
        let mut out = std::mem::take(&mut self.out);
        while sent < out.len() {
            match self.poll_write(&out[sent..], cx) {
                Poll::Ready(Some(taken)) => sent += taken,
                Poll::Ready(None) => return true,
                Poll::Pending => break,
            }
        }
        if blocked && sent > 0 {
            relay.heard(me, now);
        }
        if sent < out.len() {
            out.drain(..sent);
            self.out = out;
            return false;
        }
        if self.unflushed {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => self.break_off(&error),
                Poll::Pending => return false,
            }
        }
        true
    }

    /// `None` when the stream has broken.
    fn poll_write(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<Option<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.blocked = result.is_pending();
        result.map(|result| match result {
            Ok(taken) if taken > 0 => {
                self.unflushed = true;
                Some(taken)
            }
            Ok(_) => {
                self.break_off(&io::ErrorKind::WriteZero.into());
                None
            }
            Err(error) => {
                self.break_off(&error);
                None
            }
        })
    }

    fn break_off(&mut self, error: &io::Error) {
        self.broke = self.broke.or_else(|| Some(error.kind()));
        self.out = Vec::new();
        self.shut = true;
    }

    fn shutdown(&mut self, cx: &mut Context<'_>) {
        if !self.shut
            && let Poll::Ready(result) = Pin::new(&mut self.stream).poll_shutdown(cx)
        {
            self.shut = true;
            // A peer that is gone already need not be prebuilt.
            drop(result);
        }
    }

    /// Reads once. `None` when nothing is there now; no bytes when nothing more will come.
    fn read<'a>(&mut self, buffer: &'a mut [u8], cx: &mut Context<'_>) -> Option<&'a [u8]> {
        let mut read = ReadBuf::new(buffer);
        match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
            Poll::Pending => return None,
            Poll::Ready(Ok(())) => (),
            Poll::Ready(Err(error)) => {
                if !is_abrupt_end(&error) {
                    self.is_cut_off = true;
                    self.break_off(&error);
                }
            }
        }
        let length = read.filled().len();
        self.ended = length == 0;
        Some(&buffer[..length])
    }
}

/// Moves bytes from one port to the other until one of them has to wait; whether anything moved.
pub(super) fn pump<R, W>(
    from: &mut FramedIo<R>,
    to: &mut FramedIo<W>,
    end: End,
    relay: &mut FramedRelay,
    buffer: &mut [u8],
    now: Instant,
    cx: &mut Context<'_>,
) -> bool
where
    R: AsyncRead + AsyncWrite + Unpin,
    W: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        if !to.drain(end.other(), relay, now, cx) {
            return false;
        }
        let Some(frame) = relay.aside(end.other(), now) else { break };
        to.write(&frame, cx);
    }
    // What broke is no end, and is not passed on as one.
    if (from.ended && !from.is_cut_off) || relay.is_over() {
        to.shutdown(cx);
    }
    if from.ended {
        return false;
    }
    let leftover = std::mem::take(&mut from.leftover);
    let chunk = if leftover.is_empty() {
        match from.read(buffer, cx) {
            Some(chunk) => chunk,
            None => return false,
        }
    } else {
        &leftover
    };
    if chunk.is_empty() {
        relay.ended(end);
    } else {
        from.bytes += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        relay.received(end, chunk, now, |bytes| to.write(bytes, cx));
    }
    true
}

/// A peer that closes its socket without ending TLS first, see the raw tunnel.
fn is_abrupt_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}
