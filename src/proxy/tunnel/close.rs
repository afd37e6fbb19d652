//! How a raw tunnel of WebSocket frames says goodbye. It copies bytes without a thought of frames, but it looks at each
//! header for the close code as it passes, and so knows how much of a frame is still to come. For its last moments a
//! tunnel with rules takes over from there, with a rule that says: leave. A close frame is put behind the frame that is
//! under way, in both directions, and each side gets a moment to answer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use super::framed::FramedTunnel;
use super::framed::state_machine::Closed;
use super::{Tunnel, TunnelEnd};

impl<C, B> Tunnel<C, B>
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    /// Moves what can be moved until it is ready for [`Self::part`]; gives how it ended, if it ended of itself before. A
    /// header that has passed in part has to pass in full, and who has begun to close may finish. What is no WebSocket has
    /// no goodbye, and is ready at once.
    pub fn until_ready_to_part(&mut self) -> impl Future<Output = Option<TunnelEnd>> {
        Ready(self)
    }

    fn is_ready_to_part(&self) -> bool {
        !self.manners.websocket || (self.inward.walker().is_some() && self.outward.walker().is_some())
    }

    /// The tunnel that says goodbye in its place; `None` where nothing can be said. `seed` is any number.
    pub fn part(&mut self, why: Closed, seed: u32) -> Option<FramedTunnel<&mut C, &mut B>> {
        let walkers = (self.inward.walker()?, self.outward.walker()?);
        let client = self.outward.hand_over(&mut self.client, self.inward.bytes);
        let backend = self.inward.hand_over(&mut self.backend, self.outward.bytes);
        let mut parting = FramedTunnel::taking_over(client, backend, walkers, &self.scratch, seed);
        parting.leave(why);
        Some(parting)
    }
}

struct Ready<'a, C, B>(&'a mut Tunnel<C, B>);

impl<C, B> Future for Ready<'_, C, B>
where
    C: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    type Output = Option<TunnelEnd>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TunnelEnd>> {
        let tunnel = &mut *self.0;
        if let Some(reason) = tunnel.poll_move(cx) {
            return Poll::Ready(Some(tunnel.end(reason)));
        }
        if tunnel.is_ready_to_part() { Poll::Ready(None) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests;
