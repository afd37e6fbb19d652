//! What a QUIC connection is received with: TLS and transport. Rebuilt at a reload, but for the keys.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{IdleTimeout, ServerConfig, TransportConfig, VarInt};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};

use super::handshake_hooks::HandshakeHooks;
use super::keys::Keys;
use crate::certs::catalog::Catalog;
use crate::certs::manager::CertManagerHandle;
use crate::certs::on_demand::OnDemandHandle;
use crate::certs::resolver::CatalogResolver;
use crate::config::settings::{Settings, Tls, TlsVersions};
use crate::listeners::tls::cert_compression;
use crate::listeners::tls::client_auth::ClientAuthSites;
use crate::listeners::tls::{TlsRoots, versions, with};

/// The protocol's name in the handshake (RFC 9114 section 3.1).
const ALPN: &[u8] = b"h3";
/// Flow control of one stream, as HTTP/2 has it: an upload may be this far ahead of its backend.
const STREAM_WINDOW: u32 = 256 << 10;
/// Flow control of one connection.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// What is sent and not yet acknowledged, for each connection: 80 Mbit/s to a client 100 ms away. TCP keeps as much, in the
/// kernel.
const SEND_WINDOW: u64 = 1 << 20;
/// The client's control stream and QPACK's two, and some it may want to try us with.
const UNIDIRECTIONAL: u32 = 8;
/// Handshakes that wait to be looked at, for each socket. They never wait for more than a turn of their worker.
const WAITING: usize = 1024;
/// Bytes kept of one that waits, beyond its first packet, and of all of them.
const WAITING_BYTES: (u64, u64) = (16 << 10, 4 << 20);

/// See the module.
pub struct QuicFront {
    tls: rustls::ServerConfig,
    transport: Arc<TransportConfig>,
    pub(super) keys: Keys,
    catalog: Arc<ArcSwap<Catalog>>,
    demand: OnDemandHandle,
    guarded: Option<Arc<ClientAuthSites>>,
}

impl QuicFront {
    /// Puts a front together; fails only if the crypto library lacks what every handshake needs.
    pub fn new(
        settings: &Settings,
        roots: &TlsRoots,
        certs: &CertManagerHandle,
        guarded: Option<Arc<ClientAuthSites>>,
    ) -> Result<Self, rustls::Error> {
        let versions = TlsVersions { tls12: false, tls13: true };
        let spoken = Tls { versions, ..settings.tls.clone() };
        let mut tls = with(&spoken, roots, WebPkiClientVerifier::no_client_auth())?
            .with_cert_resolver(Arc::new(CatalogResolver::new(Arc::clone(&certs.catalog))));
        tls.alpn_protocols = vec![ALPN.to_vec()];
        tls.cert_compressors = cert_compression::compressors();
        tls.ticketer = Arc::clone(&roots.ticketer);
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        let transport = Arc::new(transport(settings));
        let (catalog, demand) = (Arc::clone(&certs.catalog), certs.demand.clone());
        Ok(Self { tls, transport, keys: roots.quic.clone(), catalog, demand, guarded })
    }

    /// For an endpoint; each connection gets what is in force when it comes.
    pub(super) fn for_endpoint(&self) -> Result<ServerConfig, rustls::Error> {
        self.config(self.tls.clone())
    }

    /// For a connection that came to `local`, with what its handshake will ask for.
    pub(super) fn for_connection(&self, local: SocketAddr) -> Result<(Arc<ServerConfig>, Arc<HandshakeHooks>), rustls::Error> {
        let (catalog, demand, guarded) = (Arc::clone(&self.catalog), self.demand.clone(), self.guarded.clone());
        let (tickets, seen) = (Arc::clone(&self.tls.ticketer), OnceLock::new());
        let asked = Arc::new(HandshakeHooks { catalog, demand, guarded, tickets, local, seen });
        let mut tls = if self.guarded.is_some() { self.asking(&asked)? } else { self.tls.clone() };
        tls.cert_resolver = Arc::<HandshakeHooks>::clone(&asked);
        Ok((Arc::new(self.config(tls)?), asked))
    }

    /// One that may ask the client for a certificate, as its site wants it.
    fn asking(&self, asked: &Arc<HandshakeHooks>) -> Result<rustls::ServerConfig, rustls::Error> {
        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::clone(self.tls.crypto_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::<HandshakeHooks>::clone(asked))
            .with_cert_resolver(Arc::<HandshakeHooks>::clone(asked));
        tls.alpn_protocols.clone_from(&self.tls.alpn_protocols);
        // The cache too: this is made anew for each connection, and would compress anew for each.
        tls.cert_compressors.clone_from(&self.tls.cert_compressors);
        tls.cert_compression_cache = Arc::clone(&self.tls.cert_compression_cache);
        tls.ticketer = Arc::<HandshakeHooks>::clone(asked);
        tls.session_storage = Arc::clone(&self.tls.session_storage);
        Ok(tls)
    }

    fn config(&self, tls: rustls::ServerConfig) -> Result<ServerConfig, rustls::Error> {
        let lacking = || rustls::Error::General("the crypto library lacks what begins every QUIC connection".to_owned());
        let crypto = QuicServerConfig::with_initial(Arc::new(tls), versions::initial().ok_or_else(lacking)?);
        let crypto = crypto.map_err(|error| rustls::Error::General(error.to_string()))?;
        let mut config = ServerConfig::new(Arc::new(crypto), Arc::clone(&self.keys.token));
        config.transport_config(Arc::clone(&self.transport)).max_incoming(WAITING);
        config.incoming_buffer_size(WAITING_BYTES.0).incoming_buffer_size_total(WAITING_BYTES.1);
        Ok(config)
    }
}

fn transport(settings: &Settings) -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(settings.limits.streams))
        .max_concurrent_uni_streams(VarInt::from_u32(UNIDIRECTIONAL))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        // HTTP has no datagrams here.
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(idle(settings.timeouts.idle)));
    transport
}

/// A client that is silent for longer is gone. Our own limit comes first, and says farewell.
fn idle(limit: Duration) -> IdleTimeout {
    const LATER: Duration = Duration::from_secs(5);
    IdleTimeout::try_from(limit.saturating_add(LATER)).unwrap_or_else(|_| VarInt::MAX.into())
}
