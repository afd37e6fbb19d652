//! What a connection and the body of its present request share: the stream, what was read from it and not yet used, and how
//! much of the body is still to come.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::proxy::body::{BodyError, Fault};
use crate::proxy::client_io::ClientIo;
use crate::proxy::h1::framing::{Framing, Next};

/// Bytes that are read of a head at once. They lie on the stack until there are some, so that a connection at rest holds no
/// buffer.
const HEAD_PIECE: usize = 8 * 1024;
/// Bytes that are read of a body at once: first, and for one that keeps filling them.
const MIN_PIECE: usize = 8 * 1024;
const MAX_PIECE: usize = 128 * 1024;
/// Bytes that are discarded at once.
const DISCARDED_PIECE: usize = 16 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// See the module.
pub(super) struct Wire {
    /// `None` once it was handed over.
    pub(super) io: Option<ClientIo>,
    /// Read and not yet used.
    pub(super) bytes: BytesMut,
    /// What is still to come of the present request's body.
    pub(super) framing: Framing,
    /// Whether the client waits for 100 before it sends the body, and nothing of the body was received.
    pub(super) owes_continue: bool,
    /// What was begun to be written of a 100 and not yet taken.
    pub(super) interim: &'static [u8],
    /// Whether the client has ended its half of the connection behind a whole request.
    pub(super) is_half_closed: bool,
    /// Whether the body still has an owner, and whether that waits for bytes.
    pub(super) has_reader: bool,
    reader_waits: bool,
    /// Counts requests: a body of an earlier one reads nothing more.
    pub(super) serial: u64,
    /// Bytes asked for next.
    want: usize,
    /// Whether the connection's own task is in the middle of its work, and how it is woken otherwise.
    pub(super) is_polled: bool,
    pub(super) owner: Option<Waker>,
}

/// A client that is looked after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientState {
    /// As far as is known.
    Open,
    /// It sends nothing more, and may read on. One that has closed both halves looks alike until something is written.
    HalfClosed,
    /// It reads no answer.
    Gone,
}

impl Wire {
    pub(super) fn new(io: ClientIo) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self {
            io: Some(io),
            bytes: BytesMut::new(),
            framing: Framing::Sized(0),
            owes_continue: false,
            interim: b"",
            is_half_closed: false,
            has_reader: false,
            reader_waits: false,
            serial: 0,
            want: MIN_PIECE,
            is_polled: false,
            owner: None,
        }))
    }

    /// The stream.
    pub(super) fn io(&mut self) -> io::Result<&mut ClientIo> {
        self.io.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Reads once, no more than a head usually takes. No bytes mean the stream's end.
    pub(super) fn poll_read_little(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = [const { MaybeUninit::uninit() }; HEAD_PIECE];
        let mut piece = ReadBuf::uninit(&mut room);
        ready!(Pin::new(self.io()?).poll_read(cx, &mut piece))?;
        self.bytes.extend_from_slice(piece.filled());
        Poll::Ready(Ok(piece.filled().len()))
    }

    /// Reads once, as much as a body that comes fast may fill.
    fn poll_read_much(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        self.bytes.reserve(self.want);
        let polled = pin!(io.read_buf(&mut self.bytes)).poll(cx);
        if let Poll::Ready(Ok(read)) = polled
            && read >= self.want
        {
            self.want = (self.want * 2).min(MAX_PIECE);
        }
        polled
    }

    /// Discards what the stream has, as it came over the network. No bytes mean the stream's end.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = [const { MaybeUninit::uninit() }; DISCARDED_PIECE];
        let mut piece = ReadBuf::uninit(&mut room);
        ready!(self.io()?.poll_discard(cx, &mut piece))?;
        Poll::Ready(Ok(piece.filled().len()))
    }

    /// Looks after the client while something else is waited for: only while there is nothing to read that somebody else waits
    /// for, and it reads ahead no more than one piece.
    pub(super) fn look_after_client(&mut self, cx: &mut Context<'_>) -> ClientState {
        if self.is_half_closed {
            return ClientState::HalfClosed;
        }
        if !self.bytes.is_empty() || (self.has_reader && self.reader_waits) {
            return ClientState::Open;
        }
        match self.poll_read_little(cx) {
            Poll::Pending | Poll::Ready(Ok(1..)) => ClientState::Open,
            // Without the rest of its body a request has no answer.
            Poll::Ready(Ok(0)) if self.framing.is_over() && self.io.as_ref().is_some_and(ClientIo::may_be_half_closed) => {
                self.is_half_closed = true;
                ClientState::HalfClosed
            }
            Poll::Ready(Ok(0) | Err(_)) => ClientState::Gone,
        }
    }

    /// Writes what is left of a 100.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.interim.is_empty() {
            let interim = self.interim;
            let written = ready!(Pin::new(self.io()?).poll_write(cx, interim))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.interim = &interim[written..];
            if self.interim.is_empty() {
                return Pin::new(self.io()?).poll_flush(cx);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.reader_waits = false;
        loop {
            let next = self.framing.next(&mut self.bytes);
            // A client that sends its body does not wait for 100 (RFC 9110 section 10.1.1).
            self.owes_continue &= matches!(next, Ok(Next::Lacking));
            match next {
                Ok(Next::Frame(frame)) => {
                    if frame.is_trailers() {
                        self.framing = Framing::Sized(0);
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Ok(Next::End) => {
                    self.framing = Framing::Sized(0);
                    return Poll::Ready(None);
                }
                Ok(Next::Lacking) => (),
                Err(error) => return Poll::Ready(Some(Err(failed(Fault::ClientMalformed, error)))),
            }
            if std::mem::take(&mut self.owes_continue) {
                self.interim = CONTINUE;
            }
            if let Poll::Ready(Err(error)) = self.poll_interim(cx) {
                return Poll::Ready(Some(Err(failed(Fault::ClientLeft, error))));
            }
            match self.poll_read_much(cx) {
                Poll::Ready(Ok(0)) => {
                    let error = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Poll::Ready(Some(Err(failed(Fault::ClientLeft, error))));
                }
                Poll::Ready(Ok(_)) => (),
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(failed(Fault::ClientLeft, error)))),
                Poll::Pending => {
                    self.reader_waits = true;
                    return Poll::Pending;
                }
            }
        }
    }

    /// Begins to rest: holds no buffer but what belongs to the next request.
    pub(super) fn rest(&mut self) {
        self.want = MIN_PIECE;
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
    }
}

fn failed(fault: Fault, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BodyError {
    BodyError { fault, cause: Some(cause.into()) }
}

/// A request's body, which reads from the connection while it is asked for more.
pub(super) struct RequestBody {
    wire: Rc<RefCell<Wire>>,
    serial: u64,
}

impl RequestBody {
    /// The body of the present request.
    pub(super) fn new(wire: &Rc<RefCell<Wire>>) -> Self {
        let serial = {
            let mut wire = wire.borrow_mut();
            wire.has_reader = true;
            wire.reader_waits = false;
            wire.serial
        };
        Self { wire: Rc::clone(wire), serial }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut wire = self.wire.borrow_mut();
        if wire.serial != self.serial {
            return Poll::Ready(Some(Err(Fault::ClientLeft.into())));
        }
        wire.poll_body(cx)
    }

    fn is_end_stream(&self) -> bool {
        let wire = self.wire.borrow();
        wire.serial == self.serial && wire.framing.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.wire.borrow().framing.size_hint()
    }
}

/// Its connection may wait for that: what is left of the body is discarded, or the client's close looked for.
impl Drop for RequestBody {
    fn drop(&mut self) {
        let mut wire = self.wire.borrow_mut();
        if wire.serial != self.serial {
            return;
        }
        (wire.has_reader, wire.reader_waits) = (false, false);
        if !wire.is_polled
            && let Some(owner) = &wire.owner
        {
            owner.wake_by_ref();
        }
    }
}
