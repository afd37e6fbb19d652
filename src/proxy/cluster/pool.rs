//! One worker's connections to backends. Those that speak HTTP/2 are the concern of `pool::h2`. One for HTTP/1.1 in use is
//! driven inside the task of the request that uses it: it is polled beside the answer and then beside the answer's body,
//! and comes back here when both messages are complete. A resting one is reused most recent first, and closed by us before
//! a usual backend would close it.
//!
//! Rejected: a task for each connection, as hyper-util's client has it. Every request then pays for two hops between
//! tasks, about 3 of 16 us (one core, HTTP/1.1 over TLS).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body::Body;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::base::task;
use crate::config::settings::{TargetScheme, UpstreamProtocols};
use crate::proxy::forward::Told;
use crate::proxy::upgrade;

use super::lease::Lease;
use super::state::TargetState;
use super::stream::BackendStream;
use super::trust::Offer;

pub use answered::{Answered, BackendBody, BackendBodyError, Upgrade};
pub use failure::{SendError, SendFailure};
pub use h2::StreamTunnel;
use h2::trunks::{Line, Trunks};
use wire::{Lost, Wire};

mod answered;
mod failure;
mod h2;
mod patience;
mod progress;
mod wire;

/// Resting connections kept for one target. More would be a burst's leavings, each with a buffer and a descriptor.
const MOST_RESTING: usize = 1024;

/// Between two looks at resting connections, however long they may be kept: their target may be gone from its name.
const LOOK: Duration = Duration::from_secs(5);

/// What can be sent to a backend as a request's body.
pub trait RequestBody: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static {}

impl<B> RequestBody for B where B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static {}

/// One worker's connections to backends. Belongs to its thread.
pub struct Pool<B: RequestBody> {
    /// By the address in memory of the target's state.
    slots: RefCell<BTreeMap<usize, Slot<B>>>,
    trunks: Trunks,
    sweeping: Cell<bool>,
    sweeper: RefCell<Option<JoinHandle<Option<()>>>>,
}

/// The resting connections of one target, the one that rests longest first.
struct Slot<B: RequestBody> {
    /// Held so that no other target can come to lie at the same address.
    target: Arc<TargetState>,
    resting: Vec<Resting<B>>,
}

struct Resting<B: RequestBody> {
    wire: Box<Wire<B>>,
    until: Instant,
}

impl<B: RequestBody> Pool<B> {
    /// No connections yet. To be used on a runtime that has local tasks.
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            slots: RefCell::default(),
            trunks: Trunks::default(),
            sweeping: Cell::new(false),
            sweeper: RefCell::default(),
        })
    }

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
    ) -> impl Future<Output = Result<Answered<B>, SendFailure>> {
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
        told: Option<Told<'_>>,
        again: fn(&Request<B>) -> bool,
    ) -> Result<Answered<B>, SendFailure> {
        match offer(lease, slot) {
            Offer::Http1 => self.send_by_wire(lease, slot, told, again).await,
            // Boxed, so that the others need not hold the room for it.
            offer => Box::pin(self.send_by_stream(lease, slot, told, again, offer)).await,
        }
    }

    async fn send_by_wire(
        self: &Rc<Self>,
        lease: &Lease,
        slot: &mut Option<Request<B>>,
        told: Option<Told<'_>>,
        again: fn(&Request<B>) -> bool,
    ) -> Result<Answered<B>, SendFailure> {
        while let Some(wire) = self.checkout(lease) {
            let keep = slot.as_ref().is_some_and(again);
            match self.exchange(lease, wire, slot, told, keep).await {
                Ok(mut answered) => {
                    answered.reused = true;
                    return Ok(answered);
                }
                Err(Lost::Unsent) => {}
                Err(Lost::Failed(error)) => return Err(SendFailure { error, reused: true }),
            }
        }
        // Rare enough to live elsewhere: every open request would hold the room for it.
        Box::pin(self.send_afresh(lease, slot, told, again)).await.map_err(|error| SendFailure { error, reused: false })
    }

    async fn send_afresh(
        self: &Rc<Self>,
        lease: &Lease,
        slot: &mut Option<Request<B>>,
        told: Option<Told<'_>>,
        again: fn(&Request<B>) -> bool,
    ) -> Result<Answered<B>, SendError> {
        let started = Instant::now();
        let stream = lease.cluster().dialer().dial_for(lease.member().place(), lease.ends(), Offer::Http1).await?;
        self.send_on(lease, slot, told, again, stream, started.elapsed()).await
    }

    /// Sends over a connection made for it.
    async fn send_on(
        self: &Rc<Self>,
        lease: &Lease,
        slot: &mut Option<Request<B>>,
        told: Option<Told<'_>>,
        again: fn(&Request<B>) -> bool,
        stream: BackendStream,
        connect: Duration,
    ) -> Result<Answered<B>, SendError> {
        let wire = Box::new(Wire::new(stream));
        let keep = slot.as_ref().is_some_and(again);
        match self.exchange(lease, wire, slot, told, keep).await {
            Ok(mut answered) => {
                answered.connect = Some(connect);
                Ok(answered)
            }
            // Closed as soon as it was made: a fault of the target, not of reuse.
            Err(Lost::Unsent) => Err(SendError::ClosedBeforeAnswer(None)),
            Err(Lost::Failed(error)) => Err(error),
        }
    }

    /// Sends as a stream of a connection that others use as well; or over a wire, where the backend chose that.
    async fn send_by_stream(
        self: &Rc<Self>,
        lease: &Lease,
        slot: &mut Option<Request<B>>,
        told: Option<Told<'_>>,
        again: fn(&Request<B>) -> bool,
        offer: Offer,
    ) -> Result<Answered<B>, SendFailure> {
        loop {
            let afresh = |error| SendFailure { error, reused: false };
            let (seat, connect) = match self.trunks.line(lease, offer).await {
                Ok(Line::Seat(seat, connect)) => (seat, connect),
                Ok(Line::Wire(stream, connect)) => {
                    return self.send_on(lease, slot, told, again, stream, connect).await.map_err(afresh);
                }
                Ok(Line::Wires) => return self.send_by_wire(lease, slot, told, again).await,
                Err(error) => return Err(afresh(error.into())),
            };
            self.keep_swept();
            let reused = seat.reused;
            match h2::ask(seat, slot, told, lease.cluster().settings().timeouts.first_byte).await {
                Ok(response) => return Ok(Answered::by_stream(response, reused, connect)),
                // It was going away; the next one is another.
                Err(Lost::Unsent) if connect.is_none() => {}
                Err(Lost::Unsent) => return Err(afresh(SendError::ClosedBeforeAnswer(None))),
                Err(Lost::Failed(error)) => return Err(SendFailure { error, reused }),
            }
        }
    }

    async fn exchange(
        self: &Rc<Self>,
        lease: &Lease,
        mut wire: Box<Wire<B>>,
        slot: &mut Option<Request<B>>,
        told: Option<Told<'_>>,
        keep: bool,
    ) -> Result<Answered<B>, Lost> {
        let timeouts = &lease.cluster().settings().timeouts;
        let response = wire.ask(slot, told, keep, timeouts.first_byte).await?;
        // What began in one client's name is never another's.
        let keep_alive = if lease.is_introduced() { Duration::ZERO } else { timeouts.keep_alive };
        wire.home = Some(Home { pool: Rc::clone(self), target: Arc::clone(lease.state()), keep_alive });
        Ok(Answered::new(response, wire))
    }

    /// The connection that came to rest last and still stands.
    fn checkout(&self, lease: &Lease) -> Option<Box<Wire<B>>> {
        if lease.is_introduced() {
            return None;
        }
        let key = key_of(lease.state());
        loop {
            let mut wire = self.slots.borrow_mut().get_mut(&key)?.resting.pop()?.wire;
            if wire.is_quiet() {
                return Some(wire);
            }
        }
    }

    fn put_back(self: &Rc<Self>, target: &Arc<TargetState>, mut wire: Box<Wire<B>>, keep_alive: Duration) {
        if keep_alive.is_zero() || target.is_gone() {
            return;
        }
        let mut slots = self.slots.borrow_mut();
        let slot = slots.entry(key_of(target)).or_insert_with(|| Slot { target: Arc::clone(target), resting: Vec::new() });
        if slot.resting.len() < MOST_RESTING {
            wire.rest();
            slot.resting.push(Resting { wire, until: Instant::now() + keep_alive });
        }
        drop(slots);
        self.keep_swept();
    }

    fn keep_swept(self: &Rc<Self>) {
        if !self.sweeping.replace(true) {
            let sweep = sweep(Rc::downgrade(self));
            self.sweeper.replace(Some(task::spawn_local("backend connection sweep", sweep)));
        }
    }

    /// Closes what has rested long enough or was closed from the other side; says when the next one is due.
    fn close_overdue(&self, now: Instant) -> Option<Instant> {
        let mut slots = self.slots.borrow_mut();
        slots.retain(|_, slot| {
            let gone = slot.target.is_gone();
            slot.resting.retain_mut(|resting| !gone && resting.until > now && resting.wire.is_quiet());
            !slot.resting.is_empty()
        });
        let next = slots.values().flat_map(|slot| slot.resting.iter().map(|resting| resting.until)).min();
        let next = next.into_iter().chain(self.trunks.close_overdue(now)).min();
        self.sweeping.set(next.is_some());
        next.map(|next| next.min(now + LOOK))
    }

    /// Connections at rest, over all targets.
    pub fn resting(&self) -> usize {
        self.slots.borrow().values().map(|slot| slot.resting.len()).sum()
    }

    /// Connections that many requests share, over all targets.
    pub fn shared(&self) -> usize {
        self.trunks.len()
    }
}

impl<B: RequestBody> Drop for Pool<B> {
    fn drop(&mut self) {
        if let Some(sweeper) = self.sweeper.get_mut() {
            sweeper.abort();
        }
    }
}

/// Lives as long as something rests: a worker without traffic has no timer.
async fn sweep<B: RequestBody>(pool: Weak<Pool<B>>) {
    while let Some(next) = pool.upgrade().and_then(|pool| pool.close_overdue(Instant::now())) {
        tokio::time::sleep_until(next).await;
    }
}

/// Where a connection goes when its exchange is complete.
pub(super) struct Home<B: RequestBody> {
    pool: Rc<Pool<B>>,
    target: Arc<TargetState>,
    keep_alive: Duration,
}

impl<B: RequestBody> Home<B> {
    fn take_back(&self, wire: Box<Wire<B>>) {
        self.pool.put_back(&self.target, wire, self.keep_alive);
    }
}

/// What the target may choose of. An upgrade needs HTTP/1.1 where there is a choice: not every backend takes WebSockets
/// over HTTP/2, and none takes another protocol.
fn offer<B>(lease: &Lease, slot: &Option<Request<B>>) -> Offer {
    let upgrades = || slot.as_ref().is_some_and(|request| upgrade::is_asked(request.headers()));
    match (lease.member().target().scheme, lease.cluster().settings().protocols) {
        (TargetScheme::H2c, _) | (TargetScheme::Https, UpstreamProtocols::Http2) => Offer::Http2,
        (TargetScheme::Https, UpstreamProtocols::Both) if !upgrades() => Offer::Both,
        (TargetScheme::Http, _) | (TargetScheme::Https, UpstreamProtocols::Http1 | UpstreamProtocols::Both) => Offer::Http1,
    }
}

fn key_of(target: &Arc<TargetState>) -> usize {
    Arc::as_ptr(target).addr()
}

#[cfg(test)]
mod tests;
