//! One traffic thread's share of the request path. What is in it belongs to the thread; what it shares with others is a
//! snapshot, counters and the log.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::body::Body;
use super::cluster::pool::Pool;
use super::dropped::DroppedFields;
use super::event;
use super::snapshot::{Live, Snapshot};
use super::step::compress::Encoders;
use super::tally::Tally;
use super::tunnel::Scratch;
use super::tunnel::facts::TunnelFacts;
use super::tunnel::roll::Roll;
use crate::base::dice::Dice;
use crate::telemetry::access::AccessLog;
use crate::telemetry::log::events;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::throttle::Throttle;

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
pub(super) struct InForce(pub(super) Arc<Snapshot>);

/// See the module.
pub struct Worker {
    pub(super) shared: Shared,
    pub(super) pool: Rc<Pool<Body>>,
    /// All its tunnels copy through this.
    pub(super) scratch: Scratch,
    /// For answers that are compressed.
    pub(super) encoders: Rc<Encoders>,
    /// Its open tunnels.
    pub(super) tunnels: Rc<Roll<Option<TunnelFacts>>>,
    /// The snapshot seen last: other threads' reference counts are left alone while nothing is reloaded.
    seen: RefCell<Rc<InForce>>,
    pub(super) tally: Tally,
    dice: RefCell<Dice>,
    /// Of security events.
    throttle: Throttle,
    /// Which dropped fields were logged lately.
    pub(super) dropped: DroppedFields,
    started: Instant,
}

impl Worker {
    /// A worker without connections. To be used on the thread and runtime that made it.
    pub fn new(shared: Shared) -> Rc<Self> {
        Self::with_dice(shared, Dice::from_os())
    }

    /// As [`new`](Self::new), with chance given.
    pub fn with_dice(shared: Shared, dice: Dice) -> Rc<Self> {
        let seen = RefCell::new(Rc::new(InForce(shared.live.load_full())));
        Rc::new(Self {
            shared,
            pool: Pool::new(),
            scratch: Scratch::default(),
            encoders: Rc::default(),
            tunnels: Rc::default(),
            seen,
            tally: Tally::default(),
            dice: RefCell::new(dice),
            throttle: Throttle::new(event::LINES),
            dropped: DroppedFields::default(),
            started: Instant::now(),
        })
    }

    /// Ends every open tunnel and each one to come, as at the end of a drain: at once, with a goodbye where there is one in
    /// its protocol. They are gone when the gauge says so.
    pub fn end_tunnels(&self) {
        self.tunnels.end();
    }

    /// Has tunnels leave whose route or backend is not in the snapshot in force, over `span` at the most.
    pub fn review_tunnels(&self, span: Duration) {
        let in_force = self.snapshot();
        self.send_off("their route or backend is gone", span, |tunnel| tunnel.is_some_and(|tunnel| !in_force.0.still_serves(tunnel)));
    }

    /// Has all tunnels leave, over `span` at the most.
    pub fn drain_tunnels(&self, span: Duration) {
        self.send_off("the gateway ends", span, |_| true);
    }

    fn send_off(&self, why: &'static str, span: Duration, must: impl Fn(Option<&TunnelFacts>) -> bool) {
        let tunnels = self.tunnels.call(span, |tunnel| must(tunnel.as_ref()), || self.roll());
        if tunnels > 0 {
            tracing::info!(event = events::TUNNELS_LEAVE, tunnels, why, "tunnels get close 1001, one after the other");
        }
    }

    /// The snapshot in force, for a request that begins now.
    pub(super) fn snapshot(&self) -> Rc<InForce> {
        let mut seen = self.seen.borrow_mut();
        let live = self.shared.live.load();
        if !Arc::ptr_eq(&live, &seen.0) {
            *seen = Rc::new(InForce(Arc::clone(&live)));
        }
        Rc::clone(&seen)
    }

    /// Whether `client` is shut out by `ban`.
    pub fn shuts_out(&self, client: IpAddr) -> bool {
        self.snapshot().0.bans.as_ref().is_some_and(|bans| bans.is_out(client, Instant::now()))
    }

    /// Counts a refusal against `client`; one too many shuts it out, and is told.
    pub fn hold_against(&self, client: IpAddr, reason: &'static str) {
        let in_force = self.snapshot();
        let Some(bans) = &in_force.0.bans else { return };
        if bans.refused(client, Instant::now()) {
            self.metrics().banned.add_one();
            if let Some(withheld) = self.may_tell() {
                let seconds = bans.span().as_secs();
                tracing::warn!(event = events::CLIENT_BANNED, %client, reason, seconds, withheld, "shut out by `ban`");
            }
        }
    }

    pub(super) fn metrics(&self) -> &crate::telemetry::metrics::proxy::ProxyMetrics {
        &self.shared.metrics.proxy
    }

    /// Seconds since it was made.
    pub(super) fn second(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// Whether a line that a stranger causes may be written now, with how many were withheld before it.
    pub(super) fn may_tell(&self) -> Option<u64> {
        self.throttle.admit(self.second())
    }

    /// The next 64 random bits; not for secrets.
    pub(super) fn roll(&self) -> u64 {
        self.dice.borrow_mut().roll()
    }
}
