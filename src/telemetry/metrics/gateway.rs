//! All counters of one gateway.

use super::certs::CertMetrics;
use super::handshakes::HandshakeMetrics;
use super::proxy::ProxyMetrics;
use crate::telemetry::remarks::Remarks;

/// All counters of one running gateway.
#[derive(Debug, Default)]
pub struct Metrics {
    /// The request path's.
    pub proxy: ProxyMetrics,
    /// TLS with clients.
    pub handshakes: HandshakeMetrics,
    /// The certificates'.
    pub certs: CertMetrics,
    /// What was seen and deserves one line.
    pub remarks: Remarks,
}
