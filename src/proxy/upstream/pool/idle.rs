//! What one worker keeps of its connections to backends: those that rest, the one that rests longest first, and the shared
//! ones.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::endpoint_state::EndpointState;
use super::super::lease::Lease;
use super::RequestBody;
use super::h1::H1Connection;
use super::h2::connections::H2Pool;
use crate::base::task;

/// Resting connections kept for one target. More would be a burst's leavings, each with a buffer and a descriptor.
const MOST_RESTING: usize = 1024;

/// Between two looks at resting connections, however long they may be kept: their target may be gone from its name.
const LOOK: Duration = Duration::from_secs(5);

/// One worker's connections to backends. Belongs to its thread.
pub struct Pool<B: RequestBody> {
    /// By the address in memory of the target's state.
    slots: RefCell<BTreeMap<usize, Slot<B>>>,
    pub(super) trunks: H2Pool,
    sweeping: Cell<bool>,
    sweeper: RefCell<Option<JoinHandle<Option<()>>>>,
}

/// The resting connections of one target, the one that rests longest first.
struct Slot<B: RequestBody> {
    /// Held so that no other target can come to lie at the same address.
    target: Arc<EndpointState>,
    resting: Vec<Resting<B>>,
}

struct Resting<B: RequestBody> {
    wire: Box<H1Connection<B>>,
    until: Instant,
}

impl<B: RequestBody> Pool<B> {
    /// No connections yet. To be used on a runtime that has local tasks.
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            slots: RefCell::default(),
            trunks: H2Pool::default(),
            sweeping: Cell::new(false),
            sweeper: RefCell::default(),
        })
    }

    /// The connection that came to rest last and still stands.
    pub(super) fn checkout(&self, lease: &Lease) -> Option<Box<H1Connection<B>>> {
        if lease.is_introduced() {
            return None;
        }
        let key = lease.state().key();
        loop {
            let mut wire = self.slots.borrow_mut().get_mut(&key)?.resting.pop()?.wire;
            if wire.is_quiet() {
                return Some(wire);
            }
        }
    }

    fn put_back(self: &Rc<Self>, target: &Arc<EndpointState>, mut wire: Box<H1Connection<B>>, keep_alive: Duration) {
        if keep_alive.is_zero() || target.is_gone() {
            return;
        }
        let mut slots = self.slots.borrow_mut();
        let slot = slots.entry(target.key()).or_insert_with(|| Slot { target: Arc::clone(target), resting: Vec::new() });
        if slot.resting.len() < MOST_RESTING {
            wire.rest();
            slot.resting.push(Resting { wire, until: Instant::now() + keep_alive });
        }
        drop(slots);
        self.keep_swept();
    }

    pub(super) fn keep_swept(self: &Rc<Self>) {
        if !self.sweeping.replace(true) {
            let sweep = sweep(Rc::downgrade(self));
            self.sweeper.replace(Some(task::spawn_local("backend connection sweep", sweep)));
        }
    }

    /// Closes what has rested long enough or was closed from the other side; says when the next one is due.
    pub(super) fn close_overdue(&self, now: Instant) -> Option<Instant> {
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
pub(super) struct PoolGuard<B: RequestBody> {
    pub(super) pool: Rc<Pool<B>>,
    pub(super) target: Arc<EndpointState>,
    pub(super) keep_alive: Duration,
}

impl<B: RequestBody> PoolGuard<B> {
    pub(super) fn take_back(&self, wire: Box<H1Connection<B>>) {
        self.pool.put_back(&self.target, wire, self.keep_alive);
    }
}
