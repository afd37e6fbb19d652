//! What is counted on the request path.

use std::sync::Arc;

use super::{Counter, Gauge};

/// Counters of the request path and its tunnels.
#[derive(Debug, Default)]
pub struct ProxyMetrics {
    /// Requests that were answered, by whomever.
    pub requests: Counter,
    /// Requests refused by the gateway itself.
    pub refused: Counter,
    /// Exchanges in progress.
    pub in_flight: Arc<Gauge>,
    /// Open tunnels.
    pub tunnels: Arc<Gauge>,
    /// Tunnels opened so far.
    pub tunnels_opened: Counter,
    /// Upgrades that did not become a tunnel.
    pub upgrades_failed: Counter,
    /// Connections of balancers that did not say whose they are.
    pub proxy_headers_refused: Counter,
    /// WebSockets refused because of the page that asked.
    pub origin_refused: Counter,
    /// Requests beyond a client's rate.
    pub rate_limited: Counter,
    /// Exchanges beyond a client's number.
    pub connections_limited: Counter,
    /// Tunnels closed because of what the client sent.
    pub messages_limited: Counter,
    /// Requests with a wrong or expired proof of who asks.
    pub auth_failed: Counter,
    /// Times that a target was found not to work, by its checks or by requests.
    pub targets_down: Counter,
    /// Failures that were answered because too many requests had been tried again already.
    pub retries_refused: Counter,
    /// Requests that wait for a target.
    pub held: Arc<Gauge>,
    /// Requests that waited for a target so far.
    pub held_total: Counter,
    /// Clients that were shut out.
    pub banned: Counter,
    /// Connections of clients that are shut out.
    pub banned_connections: Counter,
    /// 1 while memory is short, and connections that were closed for it.
    pub memory_short: Gauge,
    /// See [`memory_short`](Self::memory_short).
    pub shed: Counter,
    /// Client connections.
    pub connections: Arc<Gauge>,
}
