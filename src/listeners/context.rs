//! What every connection of one worker is received with, over TCP and over QUIC: the settings in force, the thread's share of
//! the request path, counters, and the log at a bounded rate.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio::time::Instant;

use super::cleartext::Cleartext;
use super::http::Unreadable;
use super::http3::date::Dates;
use super::listener_config::ListenerConfig;
use super::proxy_protocol::HeaderError;
use super::tls::RejectedHello;
use super::untrusted;
use crate::base::addr::unmapped_socket;
use crate::base::time::{Clock, SystemClock};
use crate::proxy::worker::Worker;
use crate::telemetry::log::events;
use crate::telemetry::log_rate_limit::LogRateLimit;
use crate::telemetry::metrics::handshakes::Fault;
use crate::telemetry::metrics::{Held, Metrics};

/// Lines a second about refused handshakes and full tables, for each worker.
const LINES: u32 = 10;
/// While memory is short, fewer than so many connections are taken all the same: then it is not clients that fill it, and to
/// refuse them would only lock people out.
const FEW: u64 = 64;

/// See the module.
pub struct ConnectionContext {
    front: Arc<ArcSwap<ListenerConfig>>,
    worker: Rc<Worker>,
    metrics: Arc<Metrics>,
    throttle: LogRateLimit,
    started: Instant,
    dates: Rc<Dates>,
}

impl ConnectionContext {
    pub(super) fn new(front: Arc<ArcSwap<ListenerConfig>>, worker: Rc<Worker>, metrics: Arc<Metrics>) -> Rc<Self> {
        Rc::new(Self {
            front,
            worker,
            metrics,
            throttle: LogRateLimit::new(LINES),
            started: Instant::now(),
            dates: Rc::default(),
        })
    }

    /// What connections are received with now.
    pub(super) fn front(&self) -> Arc<ListenerConfig> {
        self.front.load_full()
    }

    /// The thread's share of the request path.
    pub(super) const fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    /// Where all of it is counted.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The `Date` of an answer that has none.
    pub(super) fn date(&self) -> HeaderValue {
        self.dates.line(SystemClock.now())
    }

    /// The thread's `Date`.
    pub(super) fn dates(&self) -> Rc<Dates> {
        Rc::clone(&self.dates)
    }

    /// Counts one more connection; `None` when there are enough.
    pub(super) fn room(&self, peer: SocketAddr) -> Option<Held> {
        let proxy = &self.metrics.proxy;
        if self.worker.shuts_out(unmapped_socket(peer).ip()) {
            proxy.banned_connections.add_one();
            return None;
        }
        let limit = self.front.load().connections;
        let held = proxy.connections.hold();
        // A tunnel is a connection whose first part is over.
        let open = proxy.connections.read() + proxy.tunnels.read();
        if open > limit {
            proxy.refused.add_one();
            if self.may_say() {
                tracing::warn!(event = "too_many_connections", limit, peer = %peer.ip(), "`limit connections` reached");
            }
            return None;
        }
        if proxy.memory_short.read() != 0 && open > FEW {
            proxy.shed.add_one();
            return None;
        }
        Some(held)
    }

    /// A balancer did not say whose connection it is; nothing is served to somebody unknown.
    pub(super) fn unintroduced(&self, error: &HeaderError, peer: SocketAddr) {
        self.metrics.proxy.proxy_headers_refused.add_one();
        if self.may_say() {
            let (reason, remedy) = (error, error.remedy());
            let peer = peer.ip();
            tracing::warn!(event = events::PROXY_HEADER_REFUSED, %peer, %reason, remedy, "{peer} sent no usable PROXY header: {reason}; {remedy}");
        }
    }

    /// No TLS came where it is spoken.
    pub(super) fn uncovered(&self, seen: Option<Cleartext>, peer: SocketAddr, port: u16) {
        self.metrics.handshakes.failed(Fault::NotTls);
        if self.may_say() {
            let code = Fault::NotTls.code();
            match seen {
                Some(seen) => {
                    tracing::info!(event = "handshake_refused", peer = %peer.ip(), code, "{}", seen.in_words(peer, port));
                }
                None => {
                    let reason = "what came is neither TLS nor HTTP";
                    tracing::info!(event = "handshake_refused", peer = %peer.ip(), name = "", reason, code);
                }
            }
        }
    }

    /// What came was no request; where it comes from and why is told, at a bounded rate.
    pub(super) fn unreadable(&self, what: Unreadable, peer: SocketAddr) {
        self.metrics.proxy.refused.add_one();
        self.worker.hold_against(peer.ip(), "request-unreadable");
        if self.may_say() {
            let peer = peer.ip();
            tracing::info!(event = "request_unreadable", %peer, reason = %what, "what {peer} sent is not a request: {what}");
        }
    }

    /// A refused handshake is the commonest sign of a missing name or certificate, so it is named, at a bounded rate.
    pub(super) fn note(&self, refused: &RejectedHello, peer: SocketAddr) {
        let code = refused.why.fault();
        self.metrics.handshakes.failed(code);
        if untrusted::remark(&self.front.load(), refused, peer.ip(), &self.metrics.remarks) {
            return;
        }
        if self.may_say() {
            let name = refused.server_name.as_deref().unwrap_or("");
            let (name, peer) = (name.escape_default().to_string(), peer.ip());
            let asked = if name.is_empty() { String::new() } else { format!(" for {name}") };
            let (reason, code) = (refused.in_words(), code.code());
            tracing::info!(event = "handshake_refused", %peer, name, reason, code, "the TLS handshake of {peer}{asked} failed: {reason}");
        }
    }

    pub(super) fn may_say(&self) -> bool {
        let admitted = self.throttle.admit(self.started.elapsed().as_secs());
        if let Some(withheld) = admitted.filter(|n| *n > 0) {
            tracing::info!(event = "lines_withheld", count = withheld, "{withheld} lines like the next one were withheld");
        }
        admitted.is_some()
    }
}
