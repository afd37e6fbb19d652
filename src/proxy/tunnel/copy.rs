//! One direction of a tunnel.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::framed::parser::FrameParser;
use super::frames::CloseWatch;
use super::takeover::Handover;

/// Reads in a row before other tasks get their turn.
const ROUNDS: usize = 16;

/// One direction: from a source to a target.
pub(super) struct CopyDirection {
    /// Bytes read so far.
    pub(super) bytes: u64,
    /// What the target has not taken yet. Empty, and without memory, while the direction rests.
    rest: Bytes,
    stage: Stage,
    watch: Option<CloseWatch>,
}

/// Which end of a direction broke, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// Reading failed: the source is gone, and with it the tunnel.
    Source(io::ErrorKind),
    /// Writing failed: the target takes no more, but what it sent before may still be under way.
    Target(io::ErrorKind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Bytes may come.
    Open,
    /// What was written has to leave the target's own buffers before more is read.
    Flushing,
    /// The source has ended; the rest goes out, then the target is prebuilt.
    Handler,
    /// The source has broken; the rest goes out.
    Failing(io::ErrorKind),
    /// Nothing will move any more.
    Done(Result<(), Broken>),
}

impl CopyDirection {
    pub(super) fn new(leftover: Bytes, websocket: bool) -> Self {
        let mut way = Self { bytes: 0, rest: leftover, stage: Stage::Open, watch: websocket.then(CloseWatch::default) };
        let first = way.rest.clone();
        way.note(&first);
        way
    }

    pub(super) const fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done(_))
    }

    pub(super) const fn is_broken(&self) -> bool {
        matches!(self.stage, Stage::Done(Err(_)))
    }

    /// Whether the source has said that nothing more will come.
    pub(super) const fn end_of_source(&self) -> bool {
        matches!(self.stage, Stage::Handler | Stage::Done(Ok(())))
    }

    pub(super) fn close_code(&self) -> Option<u16> {
        self.watch.as_ref().and_then(CloseWatch::code)
    }

    /// A walker over what its source sends from here on; `None` where there is nothing to walk, or nothing more will come.
    pub(super) fn walker(&self) -> Option<FrameParser> {
        let open = matches!(self.stage, Stage::Open | Stage::Flushing);
        self.watch.as_ref().filter(|_| open).and_then(CloseWatch::walker)
    }

    /// What another tunnel needs to go on at `target`, from which `bytes` were read.
    pub(super) fn hand_over<'a, S>(&self, target: &'a mut S, bytes: u64) -> Handover<&'a mut S> {
        Handover { stream: target, unsent: self.rest.to_vec(), bytes }
    }

    /// Moves what can be moved; ready when nothing will move any more.
    pub(super) fn poll<R, W>(
        &mut self,
        source: &mut R,
        target: &mut W,
        buffer: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        for _ in 0..ROUNDS {
            if let Stage::Done(result) = self.stage {
                return Poll::Ready(result);
            }
            match ready!(self.poll_step(source, target, buffer, cx)) {
                Ok(next) => self.stage = next,
                Err(broken) => {
                    self.rest = Bytes::new();
                    self.stage = Stage::Done(Err(broken));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One step; gives the stage that follows.
    fn poll_step<R, W>(
        &mut self,
        source: &mut R,
        target: &mut W,
        buffer: &mut [u8],
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stage, Broken>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let wrote = !self.rest.is_empty();
        while !self.rest.is_empty() {
            let taken = ready!(poll_write(target, &self.rest, cx))?;
            self.rest.advance(taken);
        }
        if wrote {
            self.rest = Bytes::new();
        }
        if wrote || self.stage == Stage::Flushing {
            ready!(Pin::new(&mut *target).poll_flush(cx)).map_err(|error| Broken::Target(error.kind()))?;
        }
        match self.stage {
            Stage::Open | Stage::Flushing => self.poll_copy(source, target, buffer, cx).map(Ok),
            Stage::Handler => {
                // A target that cannot be prebuilt is one that has gone already, and needs no telling.
                let _gone = ready!(Pin::new(target).poll_shutdown(cx));
                Poll::Ready(Ok(Stage::Done(Ok(()))))
            }
            Stage::Failing(kind) => Poll::Ready(Err(Broken::Source(kind))),
            Stage::Done(result) => Poll::Ready(Ok(Stage::Done(result))),
        }
    }

    /// Reads once and writes what was read; what is not taken becomes the rest.
    fn poll_copy<R, W>(&mut self, source: &mut R, target: &mut W, buffer: &mut [u8], cx: &mut Context<'_>) -> Poll<Stage>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        self.stage = Stage::Open;
        let mut read = ReadBuf::new(buffer);
        match ready!(Pin::new(source).poll_read(cx, &mut read)) {
            Ok(()) => {}
            Err(error) if is_abrupt_end(&error) => return Poll::Ready(Stage::Handler),
            Err(error) => return Poll::Ready(Stage::Failing(error.kind())),
        }
        let mut bytes = read.filled();
        if bytes.is_empty() {
            return Poll::Ready(Stage::Handler);
        }
        self.note(bytes);
        while !bytes.is_empty() {
            match poll_write(target, bytes, cx) {
                Poll::Ready(Ok(taken)) => bytes = &bytes[taken..],
                Poll::Ready(Err(broken)) => return Poll::Ready(Stage::Done(Err(broken))),
                Poll::Pending => {
                    self.rest = Bytes::copy_from_slice(bytes);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Stage::Flushing)
    }

    fn note(&mut self, bytes: &[u8]) {
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if let Some(watch) = &mut self.watch {
            watch.pass(bytes);
        }
    }
}

/// A write that takes nothing is a target that takes nothing more.
fn poll_write<W: AsyncWrite + Unpin>(target: &mut W, bytes: &[u8], cx: &mut Context<'_>) -> Poll<Result<usize, Broken>> {
    Pin::new(target).poll_write(cx, bytes).map(|result| match result {
        Ok(0) => Err(Broken::Target(io::ErrorKind::WriteZero)),
        Ok(taken) => Ok(taken),
        Err(error) => Err(Broken::Target(error.kind())),
    })
}

/// TLS peers that close their socket without saying so first are common (Python's websockets among them), and a
/// tunnel's own protocol knows whether something is missing.
fn is_abrupt_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}
