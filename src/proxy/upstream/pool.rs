//! One worker's connections to backends. Those that speak HTTP/2 are the concern of `pool::h2`. One for HTTP/1.1 in use is
//! driven inside the task of the request that uses it: it is polled beside the answer and then beside the answer's body,
//! and comes back here when both messages are complete. A resting one is reused most recent first, and closed by us before
//! a usual backend would close it.
//!
//! Rejected: a task for each connection, as hyper-util's client has it. Every request then pays for two hops between
//! tasks, about 3 of 16 us (one core, HTTP/1.1 over TLS).

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use tokio::time::Instant;

use crate::config::settings::{TargetScheme, UpstreamProtocols};
use crate::proxy::forward::PrebuiltHeaders;
use crate::proxy::upgrade::is_asked;

use super::lease::Lease;
use super::stream::BackendStream;
use super::tls::Alpn;

pub use failure::{SendError, SendFailure};
pub use h2::StreamTunnel;
pub use idle::Pool;
pub use request_body::RequestBody;
pub use response::{BackendBody, BackendBodyError, Upgrade, UpstreamResponse};
pub use upgraded::UpgradedStream;

use failure::SendOutcome;
use h1::H1Connection;
use h2::connections::Line;
use idle::PoolGuard;

mod failure;
mod first_byte_timeout;
mod h1;
mod h2;
mod idle;
mod interim;
mod request_body;
mod response;
mod upgraded;
mod upload_progress;

impl<B: RequestBody> Pool<B> {
    /// Sends the request in `slot` to the lease's target, over a resting connection if there is one, and waits for the
    /// answer's header.
    ///
    /// The slot is empty afterwards, unless sending failed and the request may be sent again: when it certainly never
    /// left; or when the connection was closed before anything was answered and `again` allows a second time, which it may
    /// for a request without a body.
    ///
    /// Dropping the future closes the connection, which is how HTTP/1.1 cancels a request.
    ///
    /// # Errors
    /// [`SendFailure`] says what failed. A resting connection that was closed before anything was written to it is no
    /// failure: the next one is tried.
    pub fn send(
        self: &Rc<Self>,
        lease: &Lease,
        slot: &mut Option<Request<B>>,
        again: fn(&Request<B>) -> bool,
    ) -> impl Future<Output = Result<UpstreamResponse<B>, SendFailure>> {
        self.send_telling(lease, slot, None, again)
    }

    /// As [`send`](Self::send), with what stands beside the request's own fields.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_telling(
        self: &Rc<Self>,
        lease: &Lease,
        slot: &mut Option<Request<B>>,
        prebuilt: Option<PrebuiltHeaders<'_>>,
        again: fn(&Request<B>) -> bool,
    ) -> Result<UpstreamResponse<B>, SendFailure> {
        match offer(lease, slot) {
            Alpn::Http1 => self.send_by_wire(lease, slot, prebuilt, again).await,
            // Boxed, so that the others need not hold the room for it.
            offer => Box::pin(self.send_by_stream(lease, slot, prebuilt, again, offer)).await,
        }
    }

    async fn send_by_wire(
        self: &Rc<Self>,
        lease: &Lease,
        slot: &mut Option<Request<B>>,
        prebuilt: Option<PrebuiltHeaders<'_>>,
        again: fn(&Request<B>) -> bool,
    ) -> Result<UpstreamResponse<B>, SendFailure> {
        while let Some(wire) = self.checkout(lease) {
            let keep = slot.as_ref().is_some_and(again);
            match self.exchange(lease, wire, slot, prebuilt, keep).await {
                Ok(mut answered) => {
                    answered.reused = true;
                    return Ok(answered);
                }
                Err(SendOutcome::Unsent) => {}
                Err(SendOutcome::Failed(error)) => return Err(SendFailure { error, reused: true }),
            }
        }
        // Rare enough to live elsewhere: every open request would hold the room for it.
        Box::pin(self.send_afresh(lease, slot, prebuilt, again)).await.map_err(|error| SendFailure { error, reused: false })
    }

    async fn send_afresh(
        self: &Rc<Self>,
        lease: &Lease,
        slot: &mut Option<Request<B>>,
        prebuilt: Option<PrebuiltHeaders<'_>>,
        again: fn(&Request<B>) -> bool,
    ) -> Result<UpstreamResponse<B>, SendError> {
        let started = Instant::now();
        let stream = lease.cluster().dialer().dial_for(lease.member().place(), lease.ends(), Alpn::Http1).await?;
        self.send_on(lease, slot, prebuilt, again, stream, started.elapsed()).await
    }

    /// Sends over a connection made for it.
    async fn send_on(
        self: &Rc<Self>,
        lease: &Lease,
        slot: &mut Option<Request<B>>,
        prebuilt: Option<PrebuiltHeaders<'_>>,
        again: fn(&Request<B>) -> bool,
        stream: BackendStream,
        connect: Duration,
    ) -> Result<UpstreamResponse<B>, SendError> {
        let wire = Box::new(H1Connection::new(stream));
        let keep = slot.as_ref().is_some_and(again);
        match self.exchange(lease, wire, slot, prebuilt, keep).await {
            Ok(mut answered) => {
                answered.connect = Some(connect);
                Ok(answered)
            }
            // Closed as soon as it was made: a fault of the target, not of reuse.
            Err(SendOutcome::Unsent) => Err(SendError::ClosedBeforeAnswer(None)),
            Err(SendOutcome::Failed(error)) => Err(error),
        }
    }

    /// Sends as a stream of a connection that others use as well; or over a wire, where the backend chose that.
    async fn send_by_stream(
        self: &Rc<Self>,
        lease: &Lease,
        slot: &mut Option<Request<B>>,
        prebuilt: Option<PrebuiltHeaders<'_>>,
        again: fn(&Request<B>) -> bool,
        offer: Alpn,
    ) -> Result<UpstreamResponse<B>, SendFailure> {
        loop {
            let afresh = |error| SendFailure { error, reused: false };
            let (seat, connect) = match self.trunks.line(lease, offer).await {
                Ok(Line::StreamPermit(seat, connect)) => (seat, connect),
                Ok(Line::H1Connection(stream, connect)) => {
                    return self.send_on(lease, slot, prebuilt, again, stream, connect).await.map_err(afresh);
                }
                Ok(Line::Wires) => return self.send_by_wire(lease, slot, prebuilt, again).await,
                Err(error) => return Err(afresh(error.into())),
            };
            self.keep_swept();
            let reused = seat.reused;
            match h2::ask(seat, slot, prebuilt, lease.cluster().settings().timeouts.first_byte).await {
                Ok(response) => return Ok(UpstreamResponse::by_stream(response, reused, connect)),
                // It was going away; the next one is another.
                Err(SendOutcome::Unsent) if connect.is_none() => {}
                Err(SendOutcome::Unsent) => return Err(afresh(SendError::ClosedBeforeAnswer(None))),
                Err(SendOutcome::Failed(error)) => return Err(SendFailure { error, reused }),
            }
        }
    }

    async fn exchange(
        self: &Rc<Self>,
        lease: &Lease,
        mut wire: Box<H1Connection<B>>,
        slot: &mut Option<Request<B>>,
        prebuilt: Option<PrebuiltHeaders<'_>>,
        keep: bool,
    ) -> Result<UpstreamResponse<B>, SendOutcome> {
        let timeouts = &lease.cluster().settings().timeouts;
        let response = wire.ask(slot, prebuilt, keep, timeouts.first_byte).await?;
        // What began in one client's name is never another's.
        let keep_alive = if lease.is_introduced() { Duration::ZERO } else { timeouts.keep_alive };
        let home = PoolGuard { pool: Rc::clone(self), target: Arc::clone(lease.state()), keep_alive };
        Ok(UpstreamResponse::new(response, wire, home))
    }
}

/// What the target may choose of. An upgrade needs HTTP/1.1 where there is a choice: not every backend takes WebSockets
/// over HTTP/2, and none takes another protocol.
fn offer<B>(lease: &Lease, slot: &Option<Request<B>>) -> Alpn {
    let upgrades = || slot.as_ref().is_some_and(|request| is_asked(request.headers()));
    match (lease.member().target().scheme, lease.cluster().settings().protocols) {
        (TargetScheme::H2c, _) | (TargetScheme::Https, UpstreamProtocols::Http2) => Alpn::Http2,
        (TargetScheme::Https, UpstreamProtocols::Both) if !upgrades() => Alpn::Both,
        (TargetScheme::Http, _) | (TargetScheme::Https, UpstreamProtocols::Http1 | UpstreamProtocols::Both) => Alpn::Http1,
    }
}

#[cfg(test)]
mod tests;
