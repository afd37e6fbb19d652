//! What a connection is received with: limits, TLS and protocols. Written by a reload only; a connection keeps the one
//! it was accepted with.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::http::Http;
use super::tls::{TlsFront, TlsRoots};
use crate::certs::catalog::Catalog;
use crate::certs::challenge::ChallengeBoard;
use crate::config::settings::{Settings, Timeouts};

/// See the module.
pub struct Front {
    /// Limits on a client's slowness.
    pub timeouts: Timeouts,
    /// Most client connections at a time.
    pub connections: u64,
    /// The TLS side.
    pub tls: TlsFront,
    /// The protocols.
    pub http: Http,
    /// Challenges in progress.
    pub board: Arc<ChallengeBoard>,
}

impl Front {
    /// Puts a front together; fails only if the crypto library lacks what every handshake needs.
    pub fn new(
        settings: &Settings,
        roots: &TlsRoots,
        catalog: &Arc<ArcSwap<Catalog>>,
        board: &Arc<ChallengeBoard>,
    ) -> Result<Self, rustls::Error> {
        Ok(Self {
            timeouts: settings.timeouts,
            connections: u64::from(settings.limits.connections),
            tls: TlsFront::new(settings.protocols, roots, catalog, board)?,
            http: Http::new(&settings.limits),
            board: Arc::clone(board),
        })
    }
}
