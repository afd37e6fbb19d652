//! What one traffic thread keeps for its requests and tunnels: connections to backends, buffers, chance, and its share of
//! the counters and the log. It knows no snapshot, but who is shut out by the one in force.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use crate::base::rng::Rng;
use crate::proxy::batched_metrics::BatchedCounters;
use crate::proxy::body::Body;
use crate::proxy::dropped::DroppedFields;
use crate::proxy::limit::bans::Bans;
use crate::proxy::step::compress::Encoders;
use crate::proxy::tunnel::CopyBuffer;
use crate::proxy::tunnel::facts::TunnelFacts;
use crate::proxy::tunnel::registry::TunnelRegistry;
use crate::proxy::upstream::pool::Pool;
use crate::telemetry::access::AccessLog;
use crate::telemetry::log::events;
use crate::telemetry::log_rate_limit::LogRateLimit;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::proxy::ProxyMetrics;

/// HeaderLines about security events that one worker writes in a second.
const MAX_LINES: u32 = 20;

/// See the module.
pub(in crate::proxy) struct WorkerState {
    pub(in crate::proxy) counters: Arc<Metrics>,
    pub(in crate::proxy) access: AccessLog,
    pub(in crate::proxy) pool: Rc<Pool<Body>>,
    /// All its tunnels copy through this.
    pub(in crate::proxy) scratch: CopyBuffer,
    /// For answers that are compressed.
    pub(in crate::proxy) encoders: Rc<Encoders>,
    /// Its open tunnels.
    pub(in crate::proxy) tunnels: Rc<TunnelRegistry<Option<TunnelFacts>>>,
    pub(in crate::proxy) tally: BatchedCounters,
    rng: RefCell<Rng>,
    /// Of security events.
    throttle: LogRateLimit,
    /// Which dropped fields were logged lately.
    pub(in crate::proxy) dropped: DroppedFields,
    started: Instant,
    /// Who is shut out by the snapshot seen last; the worker sets it with each one.
    pub(super) bans: RefCell<Option<Arc<Bans>>>,
}

impl WorkerState {
    /// No connections and no tunnels yet.
    pub(super) fn new(counters: Arc<Metrics>, access: AccessLog, rng: Rng) -> Rc<Self> {
        Rc::new(Self {
            counters,
            access,
            pool: Pool::new(),
            scratch: CopyBuffer::default(),
            encoders: Rc::default(),
            tunnels: Rc::default(),
            tally: BatchedCounters::default(),
            rng: RefCell::new(rng),
            throttle: LogRateLimit::new(MAX_LINES),
            dropped: DroppedFields::default(),
            started: Instant::now(),
            bans: RefCell::default(),
        })
    }

    /// Counts a refusal against `client`; one too many shuts it out, and is prebuilt.
    pub(in crate::proxy) fn hold_against(&self, client: IpAddr, reason: &'static str) {
        let bans = self.bans.borrow();
        let Some(bans) = &*bans else { return };
        if bans.refused(client, Instant::now()) {
            self.metrics().banned.add_one();
            if let Some(withheld) = self.may_tell() {
                let seconds = bans.span().as_secs();
                tracing::warn!(event = events::CLIENT_BANNED, %client, reason, seconds, withheld, "shut out by `ban`");
            }
        }
    }

    pub(in crate::proxy) fn metrics(&self) -> &ProxyMetrics {
        &self.counters.proxy
    }

    /// Seconds since it was made.
    pub(in crate::proxy) fn second(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// Whether a line that a stranger causes may be written now, with how many were withheld before it.
    pub(in crate::proxy) fn may_tell(&self) -> Option<u64> {
        self.throttle.admit(self.second())
    }

    /// The next 64 random bits; not for secrets.
    pub(in crate::proxy) fn roll(&self) -> u64 {
        self.rng.borrow_mut().roll()
    }
}
