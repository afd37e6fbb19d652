//! What is counted on the request path.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::tunnels::{Gone, Histogram};
use super::upgrades::UpgradeFailures;
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
    /// Of them, those of clients whose tunnel had ended less than a minute before.
    pub reconnects: Counter,
    /// How long tunnels stood.
    pub tunnel_seconds: Histogram,
    /// Upgrades that did not become a tunnel, by reason.
    pub upgrades_failed: UpgradeFailures,
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
    /// Times that a target's circuit opened.
    pub circuits_opened: Counter,
    /// Requests refused because every target's circuit was open.
    pub circuit_refused: Counter,
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
    /// Clients whose tunnel ended lately.
    gone: Gone,
}

impl ProxyMetrics {
    /// A tunnel of this client stands. `second` counts from any fixed moment.
    pub fn tunnel_opened(&self, client: IpAddr, second: u64) {
        self.tunnels_opened.add_one();
        if self.gone.comes_back(client, second) {
            self.reconnects.add_one();
        }
    }

    /// A tunnel of this client has ended, after so long.
    pub fn tunnel_ended(&self, client: IpAddr, stood: Duration, second: u64) {
        self.tunnel_seconds.note(stood);
        self.gone.went(client, second);
    }
}
