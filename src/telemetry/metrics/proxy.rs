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
    /// TLS handshakes that came to nothing.
    pub handshakes_failed: Counter,
    /// Client connections.
    pub connections: Arc<Gauge>,
}
