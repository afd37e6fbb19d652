//! What is known of an open tunnel, to find out whether a reload has taken its route or its backend away.

use std::sync::Arc;

use crate::proxy::upstream::endpoint::Endpoint;
use crate::proxy::validate::Host;

/// See the module. It holds neither the exchange nor the snapshot, which a tunnel would keep for days.
#[derive(Debug)]
pub(in crate::proxy) struct TunnelFacts {
    /// The port that its client came to.
    pub(in crate::proxy) port: u16,
    pub(in crate::proxy) routed: Box<Routed>,
    /// Where it leads.
    pub(in crate::proxy) backend: Arc<Endpoint>,
}

/// What a route is found by.
#[derive(Debug)]
pub(in crate::proxy) struct Routed {
    pub(in crate::proxy) host: Host,
    /// In the form that `arrive::path` gives.
    pub(in crate::proxy) path: Box<str>,
}
