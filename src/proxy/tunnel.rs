//! After an upgrade: bytes both ways between a client and a backend, untouched, until both sides are done. Nothing is
//! held while nothing moves: bytes are read into one scratch buffer of the worker and written out at once, and only what
//! the other side does not take is kept, until it does. Until then its source is not read, so a slow side slows the other.
//!
//! A side that ends its half is prebuilt on to the other side, and the opposite direction goes on. A side that stops taking
//! bytes may have sent some before, a close code among them; those are still passed on.
//!
//! Chosen: whole bytes, never messages. Limits, pings and a polite close need frames and are asked for by site
//! ([`framed`]); here frames are only looked at for the close code, and a stream that is no WebSocket not even for that.
//! A polite end that nobody asked for by word, at a drain or after too long a silence, is had by changing over (`parting`).

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};

use copy::{Broken, CopyDirection};

mod close;
mod copy;
pub(super) mod facts;
pub mod framed;
pub mod frames;
pub mod registry;
mod takeover;

/// One worker's buffer through which all its tunnels copy: no copy outlives the poll in which it was made.
#[derive(Clone, Debug)]
pub struct CopyBuffer(Rc<RefCell<Box<[u8]>>>);

/// Four TLS records, or what a socket on a fast path has ready.
const SCRATCH: usize = 64 * 1024;

impl Default for CopyBuffer {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(vec![0; SCRATCH].into_boxed_slice())))
    }
}

/// A WebSocket of which one side has ended can say nothing more that the other would answer for long (RFC 6455
/// section 7.1.1); without this limit a client that vanished afterwards would be kept for ever.
const HALF_OPEN: Duration = Duration::from_secs(60);

/// One side of a tunnel: its stream, and what was read of it already.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Side<S> {
    pub stream: S,
    pub leftover: Bytes,
}

/// How a tunnel behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct TunnelOptions {
    /// Whether the bytes are WebSocket frames, whose close code is looked for.
    pub websocket: bool,
    /// Ended after this long without a byte in either direction; `None` is never.
    pub idle: Option<Duration>,
}

/// What became of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelEnd {
    /// Bytes that came from the client.
    pub bytes_in: u64,
    /// Bytes that came from the backend.
    pub bytes_out: u64,
    /// Code of the first close frame seen in either direction (RFC 6455 section 7.4); 1005 when it carried none.
    pub close_code: Option<u16>,
    /// Why it ended.
    pub reason: TunnelReason,
}

/// Why a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelReason {
    /// Both sides ended properly, the client first.
    ClientClosed,
    /// Both sides ended properly, the backend first.
    BackendClosed,
    /// The client's connection broke.
    ClientBroke(io::ErrorKind),
    /// The backend's connection broke.
    BackendBroke(io::ErrorKind),
    /// Nothing moved for the time that the site allows.
    Idle,
    /// One side had ended and the other stayed silent.
    HalfOpen,
    /// The gateway ended it.
    Cut,
    /// The gateway closed it with a code of its own.
    Closed(framed::state_machine::Closed),
}

impl TunnelReason {
    /// A stable code for the access log; empty for a proper end.
    pub const fn code(self) -> &'static str {
        match self {
            Self::ClientClosed | Self::BackendClosed => "",
            Self::ClientBroke(_) => "client-broke",
            Self::BackendBroke(_) => "backend-broke",
            Self::Idle => "tunnel-idle",
            Self::HalfOpen => "tunnel-half-open",
            Self::Cut => "tunnel-cut",
            Self::Closed(why) => why.reason(),
        }
    }
}

/// A tunnel, to be awaited to its end by whoever owns the exchange.
pub struct Tunnel<C, B> {
    client: C,
    backend: B,
    inward: CopyDirection,
    outward: CopyDirection,
    scratch: CopyBuffer,
    manners: TunnelOptions,
    first_end: Option<TunnelReason>,
    close_code: Option<u16>,
    /// Made when silence has a limit: most tunnels never need it.
    quiet: Option<Box<IdleTimeouts>>,
}

impl<C, B> Tunnel<C, B>
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    /// Joins two sides. Nothing moves before it is polled.
    pub fn new(client: Side<C>, backend: Side<B>, scratch: &CopyBuffer, manners: TunnelOptions) -> Self {
        Self {
            client: client.stream,
            backend: backend.stream,
            inward: CopyDirection::new(client.leftover, manners.websocket),
            outward: CopyDirection::new(backend.leftover, manners.websocket),
            scratch: scratch.clone(),
            manners,
            first_end: None,
            close_code: None,
            quiet: None,
        }
    }

    /// The backend's side.
    pub const fn backend(&self) -> &B {
        &self.backend
    }

    /// Ends it here and now. Both connections close when the tunnel is dropped.
    pub fn cut(&self) -> TunnelEnd {
        self.end(TunnelReason::Cut)
    }

    fn end(&self, reason: TunnelReason) -> TunnelEnd {
        TunnelEnd { bytes_in: self.inward.bytes, bytes_out: self.outward.bytes, close_code: self.close_code, reason }
    }

    /// Moves what can be moved; the reason is there once the tunnel is over.
    fn poll_move(&mut self, cx: &mut Context<'_>) -> Option<TunnelReason> {
        let buffer = &mut **self.scratch.0.borrow_mut();
        let inward = self.inward.poll(&mut self.client, &mut self.backend, buffer, cx);
        let outward = self.outward.poll(&mut self.backend, &mut self.client, buffer, cx);
        self.close_code = self.close_code.or_else(|| self.inward.close_code()).or_else(|| self.outward.close_code());
        if self.first_end.is_none() {
            self.first_end = match (self.inward.end_of_source(), self.outward.end_of_source()) {
                (true, _) => Some(TunnelReason::ClientClosed),
                (_, true) => Some(TunnelReason::BackendClosed),
                (false, false) => None,
            };
        }
        match (inward, outward) {
            (Poll::Ready(Err(Broken::Source(kind))), _) => Some(TunnelReason::ClientBroke(kind)),
            (_, Poll::Ready(Err(Broken::Source(kind)))) => Some(TunnelReason::BackendBroke(kind)),
            // Who has said goodbye may stop listening at once; that the other still spoke is no fault.
            (Poll::Ready(Err(Broken::Target(kind))), Poll::Ready(_)) if self.close_code.is_none() => {
                Some(TunnelReason::BackendBroke(kind))
            }
            (Poll::Ready(_), Poll::Ready(Err(Broken::Target(kind)))) if self.close_code.is_none() => {
                Some(TunnelReason::ClientBroke(kind))
            }
            (Poll::Ready(_), Poll::Ready(_)) => Some(self.first_end.unwrap_or(TunnelReason::ClientClosed)),
            _ => None,
        }
    }

    /// How long it may be silent in its present state, and what it is called when that is over.
    const fn patience(&self) -> Option<(Duration, TunnelReason)> {
        let half_open = self.inward.is_done() || self.outward.is_done();
        match (self.manners.idle, self.inward.is_broken() || self.outward.is_broken() || (half_open && self.manners.websocket)) {
            (_, true) => Some((HALF_OPEN, TunnelReason::HalfOpen)),
            (Some(idle), false) => Some((idle, TunnelReason::Idle)),
            (None, false) => None,
        }
    }
}

impl<C, B> Future for Tunnel<C, B>
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    type Output = TunnelEnd;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TunnelEnd> {
        let this = &mut *self;
        if let Some(reason) = this.poll_move(cx) {
            return Poll::Ready(this.end(reason));
        }
        let Some((limit, reason)) = this.patience() else { return Poll::Pending };
        let seen = this.inward.bytes.wrapping_add(this.outward.bytes);
        this.quiet.get_or_insert_default().poll_over(limit, seen, cx).map(|()| this.end(reason))
    }
}

/// Time without a byte. The timer exists only where a limit does.
#[derive(Default)]
struct IdleTimeouts {
    timer: Option<Pin<Box<Sleep>>>,
    /// When the last byte was noticed, the bytes up to then, and the limit that ran.
    since: Option<(Instant, u64, Duration)>,
}

impl IdleTimeouts {
    /// `seen` is any number that changes when a byte moves.
    fn poll_over(&mut self, limit: Duration, seen: u64, cx: &mut Context<'_>) -> Poll<()> {
        let since = match self.since {
            Some((since, before, running)) if before == seen && running == limit => since,
            _ => Instant::now(),
        };
        self.since = Some((since, seen, limit));
        let deadline = since + limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests;
