//! One traffic thread's share of the request path. What is in it belongs to the thread; what it shares with others is a
//! snapshot, counters and the log.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::snapshot::{Live, Snapshot};
use super::tunnel::facts::TunnelFacts;
use crate::base::rng::Rng;
use crate::telemetry::access::AccessLog;
use crate::telemetry::log::events;
use crate::telemetry::metrics::Metrics;

use state::WorkerState;

pub(super) mod state;

/// What all workers share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The snapshot in force.
    pub live: Arc<Live>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The access log; a clone is a lane of its own.
    pub access: AccessLog,
}

/// A worker's own hold on the snapshot in force, to be cloned for each request without touching another thread's memory.
pub(super) struct CurrentSnapshot(pub(super) Arc<Snapshot>);

/// See the module.
pub struct Worker {
    pub(super) live: Arc<Live>,
    pub(super) state: Rc<WorkerState>,
    /// The snapshot seen last: other threads' reference counts are left alone while nothing is reloaded.
    seen: RefCell<Rc<CurrentSnapshot>>,
}

impl Worker {
    /// A worker without connections. To be used on the thread and runtime that made it.
    pub fn new(shared: Shared) -> Rc<Self> {
        Self::with_dice(shared, Rng::from_os())
    }

    /// As [`new`](Self::new), with chance given.
    pub fn with_dice(shared: Shared, rng: Rng) -> Rc<Self> {
        let Shared { live, metrics, access } = shared;
        let seen = CurrentSnapshot(live.load_full());
        let state = WorkerState::new(metrics, access, rng);
        state.bans.replace(seen.0.bans.clone());
        Rc::new(Self { live, state, seen: RefCell::new(Rc::new(seen)) })
    }

    /// Ends every open tunnel and each one to come, as at the end of a drain: at once, with a goodbye where there is one in
    /// its protocol. They are gone when the gauge says so.
    pub fn end_tunnels(&self) {
        self.state.tunnels.end();
    }

    /// Has tunnels leave whose route or backend is not in the snapshot in force, over `span` at the most.
    pub fn review_tunnels(&self, span: Duration) {
        let in_force = self.snapshot();
        self.send_off("their route or backend is gone", span, |tunnel| {
            tunnel.is_some_and(|tunnel| !in_force.0.still_serves(tunnel))
        });
    }

    /// Has all tunnels leave, over `span` at the most.
    pub fn drain_tunnels(&self, span: Duration) {
        self.send_off("the gateway ends", span, |_| true);
    }

    fn send_off(&self, why: &'static str, span: Duration, must: impl Fn(Option<&TunnelFacts>) -> bool) {
        let tunnels = self.state.tunnels.call(span, |tunnel| must(tunnel.as_ref()), || self.state.roll());
        if tunnels > 0 {
            tracing::info!(event = events::TUNNELS_LEAVE, tunnels, why, "tunnels get close 1001, one after the other");
        }
    }

    /// The snapshot in force, for a request that begins now.
    pub(super) fn snapshot(&self) -> Rc<CurrentSnapshot> {
        let mut seen = self.seen.borrow_mut();
        let live = self.live.load();
        if !Arc::ptr_eq(&live, &seen.0) {
            *seen = Rc::new(CurrentSnapshot(Arc::clone(&live)));
            self.state.bans.replace(live.bans.clone());
        }
        Rc::clone(&seen)
    }

    /// Whether `client` is shut out by `ban`.
    pub fn shuts_out(&self, client: IpAddr) -> bool {
        self.snapshot().0.bans.as_ref().is_some_and(|bans| bans.is_out(client, Instant::now()))
    }

    /// Counts a refusal against `client`; one too many shuts it out, and is prebuilt.
    pub fn hold_against(&self, client: IpAddr, reason: &'static str) {
        // Those of the snapshot in force.
        drop(self.snapshot());
        self.state.hold_against(client, reason);
    }
}
