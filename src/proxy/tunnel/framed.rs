//! Tunnels of sites that ask for limits on messages, for pings, or for a polite end: their frames are walked and never
//! rewritten. As in a raw tunnel nothing is held while nothing moves; what is decided is [`state_machine`]'s concern, here bytes
//! are read and written.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};

use super::takeover::Handover;
use super::{CopyBuffer, HALF_OPEN, Side, TunnelEnd, TunnelReason};
use io::FramedIo;
use parser::FrameParser;
use state_machine::{Closed, End, FramedRelay, POLITE, Rules};

pub mod injected;
mod io;
pub mod limits;
pub mod parser;
pub mod state_machine;

/// BoundedSemaphore in a row before other tasks get theirs.
const ROUNDS: usize = 16;

/// A tunnel with rules, to be awaited to its end by whoever owns the exchange.
pub struct FramedTunnel<C, B> {
    client: FramedIo<C>,
    backend: FramedIo<B>,
    relay: FramedRelay,
    scratch: CopyBuffer,
    timer: Option<Pin<Box<Sleep>>>,
    /// What it will have ended by if nothing worse comes.
    end: Option<TunnelReason>,
    /// When it is cut, once its end has begun.
    cut: Option<Instant>,
}

impl<C, B> FramedTunnel<C, B>
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    /// The backend's side.
    pub const fn backend(&self) -> &B {
        self.backend.stream()
    }

    /// Goes on where a tunnel without rules stood; the walkers, the client's first, know where that was.
    pub fn taking_over(
        client: Handover<C>,
        backend: Handover<B>,
        walkers: (FrameParser, FrameParser),
        scratch: &CopyBuffer,
        seed: u32,
    ) -> Self {
        Self {
            client: FramedIo::taking_over(client),
            backend: FramedIo::taking_over(backend),
            relay: FramedRelay::resume(walkers, Instant::now(), seed),
            scratch: scratch.clone(),
            timer: None,
            end: None,
            cut: None,
        }
    }

    /// Joins two sides. Nothing moves before it is polled. `seed` is any number, another one for each tunnel.
    pub fn new(client: Side<C>, backend: Side<B>, scratch: &CopyBuffer, rules: Rules, seed: u32) -> Self {
        Self {
            client: FramedIo::new(client),
            backend: FramedIo::new(backend),
            relay: FramedRelay::new(rules, Instant::now(), seed),
            scratch: scratch.clone(),
            timer: None,
            end: None,
            cut: None,
        }
    }

    /// Ends it politely, as for a drain: both sides get a close frame, and a moment to answer it. To be polled on.
    pub fn leave(&mut self, why: Closed) {
        self.relay.close(why, Instant::now());
    }

    /// Ends it here and now. Both connections close when the tunnel is dropped.
    pub fn cut(&self) -> TunnelEnd {
        self.result(TunnelReason::Cut)
    }

    fn result(&self, reason: TunnelReason) -> TunnelEnd {
        TunnelEnd {
            bytes_in: self.client.bytes,
            bytes_out: self.backend.bytes,
            close_code: self.relay.close_code(),
            reason: match self.relay.why() {
                Some(Closed::Idle) => TunnelReason::Idle,
                Some(why) => TunnelReason::Closed(why),
                None => reason,
            },
        }
    }

    /// Moves what can be moved, both ways.
    fn move_all(&mut self, now: Instant, cx: &mut Context<'_>) {
        let buffer = &mut **self.scratch.0.borrow_mut();
        // Who has broken a limit may go on for as long as its end takes, and is not to have the machine for that.
        let rounds = if self.relay.why().is_some() { 1 } else { ROUNDS };
        for _ in 0..rounds {
            let inward = io::pump(&mut self.client, &mut self.backend, End::Client, &mut self.relay, buffer, now, cx);
            let outward = io::pump(&mut self.backend, &mut self.client, End::Backend, &mut self.relay, buffer, now, cx);
            if !inward && !outward {
                return;
            }
        }
        cx.waker().wake_by_ref();
    }

    /// Notes how the end begins, and how long it may last from there.
    fn note_end(&mut self, now: Instant) {
        let (client, backend) = (&self.client, &self.backend);
        let Some(first) = self.relay.first_to_end() else { return };
        let end = match (client.broke, backend.broke, first) {
            (Some(kind), _, _) => TunnelReason::ClientBroke(kind),
            (_, Some(kind), _) => TunnelReason::BackendBroke(kind),
            (None, None, End::Client) => TunnelReason::ClientClosed,
            (None, None, End::Backend) => TunnelReason::BackendClosed,
        };
        let short = self.relay.is_over() || client.broke.is_some() || backend.broke.is_some();
        self.end = Some(end);
        let cut = now + if short { POLITE } else { HALF_OPEN };
        self.cut = Some(self.cut.map_or(cut, |before| before.min(cut)));
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = [self.relay.wake(), self.cut].into_iter().flatten().min() else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        // A deadline that moves away with every frame is looked at again when the timer fires, not before.
        if timer.is_elapsed() || deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    }
}

impl<C, B> Future for FramedTunnel<C, B>
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    type Output = TunnelEnd;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TunnelEnd> {
        let this = &mut *self;
        loop {
            let now = Instant::now();
            if this.relay.tick(now) {
                return Poll::Ready(this.result(TunnelReason::Cut));
            }
            this.move_all(now, cx);
            this.note_end(now);
            let is_cut_off = this.client.has_cut(&this.backend) || this.backend.has_cut(&this.client);
            if is_cut_off && !this.relay.is_over() {
                return Poll::Ready(this.result(this.end.unwrap_or(TunnelReason::Cut)));
            }
            if this.client.is_done() && this.backend.is_done() {
                return Poll::Ready(this.result(this.end.unwrap_or(TunnelReason::Cut)));
            }
            if this.cut.is_some_and(|cut| now >= cut) {
                let settled = this.relay.is_over() || this.client.broke.is_some() || this.backend.broke.is_some();
                let end = this.end.filter(|_| settled).unwrap_or(TunnelReason::HalfOpen);
                return Poll::Ready(this.result(end));
            }
            if this.poll_timer(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests;
