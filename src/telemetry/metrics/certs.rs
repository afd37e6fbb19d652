//! What is counted about certificates.

/// Counters of the certificate keeper.
#[derive(Debug, Default)]
pub struct CertMetrics {}
