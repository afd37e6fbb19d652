//! Keys of QUIC's own, which outlive reloads: a client that was asked to prove its address is recognised afterwards.

use std::sync::Arc;

use aws_lc_rs::{hkdf, rand};
use quinn::crypto::HandshakeTokenKey;

/// See the module.
#[derive(Clone)]
pub struct Keys {
    /// Seals the tokens of RETRY packets (RFC 9000 section 8.1).
    pub(super) token: Arc<dyn HandshakeTokenKey>,
}

impl Keys {
    /// For the life of the process.
    pub fn new() -> Result<Self, rustls::Error> {
        let mut secret = [0; 64];
        rand::fill(&mut secret).map_err(|_| rustls::Error::FailedToGetRandomBytes)?;
        Ok(Self { token: Arc::new(hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&secret)) })
    }
}
