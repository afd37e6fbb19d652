//! The TLS side of a connection: one look at the client's hello decides between the challenge certificate, a site's
//! certificate and a refusal. A handshake waits for the client only, never for disk, network or a lock.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::{Acceptor, ClientHello, NoServerSessionStorage, ProducesTickets};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::{StartHandshake, TlsStream};

use super::quic::keys::Keys;
use crate::certs::catalog::{Catalog, Lookup};
use crate::certs::challenge::ChallengeBoard;
use crate::certs::challenge::tls_alpn01::{self, ProofResolver};
use crate::certs::resolver::{CatalogResolver, PinnedResolver};
use crate::config::settings::Protocols;
use crate::proxy::client_io::Socket;

/// What a handshake needs; rebuilt at a reload, but for the tickets' keys.
pub struct TlsFront {
    sites: Arc<ServerConfig>,
    challenge: Arc<ServerConfig>,
    catalog: Arc<ArcSwap<Catalog>>,
}

/// What outlives reloads: the cryptography and the keys of session tickets, without which a reload would end every
/// resumption.
pub struct TlsRoots {
    /// The one crypto library.
    pub provider: Arc<CryptoProvider>,
    /// Session tickets; rotates its keys by itself.
    pub ticketer: Arc<dyn ProducesTickets>,
    /// Keys of QUIC's own.
    pub quic: Keys,
}

/// Why a handshake came to nothing. All of it is the client's doing or the configuration's, none of it ours.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Longer than `timeouts { handshake }`.
    #[error("the handshake took too long")]
    TooSlow,
    /// No site has that name.
    #[error("no site is configured for this name")]
    UnknownName,
    /// The name is ours, its certificate is on its way.
    #[error("its certificate is still being obtained ({0})")]
    Coming(String),
    /// What TLS or the socket said.
    #[error(transparent)]
    Tls(io::Error),
}

/// A failed handshake with the name that was asked for, where it came that far.
#[derive(Debug)]
pub struct Refused {
    /// The client's SNI (RFC 6066 section 3), as far as it was sent.
    pub server_name: Option<String>,
    /// Why.
    pub why: HandshakeError,
}

impl TlsRoots {
    /// One for the life of the process.
    pub fn new() -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Ok(Self { provider, ticketer: rustls::crypto::aws_lc_rs::Ticketer::new()?, quic: Keys::new()? })
    }
}

impl TlsFront {
    /// Puts the two configurations together.
    pub fn new(
        protocols: Protocols,
        roots: &TlsRoots,
        catalog: &Arc<ArcSwap<Catalog>>,
        board: &Arc<ChallengeBoard>,
    ) -> Result<Self, rustls::Error> {
        let with_versions = || {
            ServerConfig::builder_with_provider(Arc::clone(&roots.provider))
                .with_protocol_versions(&[&version::TLS13, &version::TLS12])
                .map(|builder| builder.with_no_client_auth())
        };
        let mut sites = with_versions()?.with_cert_resolver(Arc::new(CatalogResolver::new(Arc::clone(catalog))));
        sites.alpn_protocols = alpn(protocols);
        sites.ticketer = Arc::clone(&roots.ticketer);
        // Tickets resume both versions; a table of sessions in memory would only add a lock.
        sites.session_storage = Arc::new(NoServerSessionStorage {});
        let mut challenge = with_versions()?.with_cert_resolver(Arc::new(ProofResolver(Arc::clone(board))));
        challenge.alpn_protocols = vec![tls_alpn01::ALPN.to_vec()];
        Ok(Self { sites: Arc::new(sites), challenge: Arc::new(challenge), catalog: Arc::clone(catalog) })
    }

    /// Brings a connection from its first byte to the end of its handshake, by `deadline`. `None` when it was an
    /// authority's validation, which ends with the handshake.
    pub async fn accept(&self, tcp: TcpStream, local: IpAddr, deadline: Instant) -> Result<Option<TlsStream<Socket>>, Refused> {
        let unnamed = |why| Refused { server_name: None, why };
        let started = LazyConfigAcceptor::new(Acceptor::default(), Socket(tcp));
        let start = match tokio::time::timeout_at(deadline, started).await {
            Ok(Ok(start)) => start,
            Ok(Err(error)) => return Err(unnamed(HandshakeError::Tls(error))),
            Err(_) => return Err(unnamed(HandshakeError::TooSlow)),
        };
        let hello = start.client_hello();
        let server_name = hello.server_name().map(str::to_owned);
        let config = match self.choose(&hello, local) {
            Choice::Site => Arc::clone(&self.sites),
            Choice::Address(key) => self.for_address(key),
            Choice::Challenge => Arc::clone(&self.challenge),
            Choice::Refuse(why) => {
                refuse(start, deadline).await;
                return Err(Refused { server_name, why });
            }
        };
        let mut stream = match tokio::time::timeout_at(deadline, start.into_stream(Arc::clone(&config))).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(Refused { server_name, why: HandshakeError::Tls(error) }),
            Err(_) => return Err(Refused { server_name, why: HandshakeError::TooSlow }),
        };
        if !Arc::ptr_eq(&config, &self.challenge) {
            return Ok(Some(stream));
        }
        tracing::info!(event = "challenge_shown", kind = "tls-alpn-01", name = server_name.as_deref().unwrap_or(""));
        // The validation has seen what it came for (RFC 8737 section 3); whether the close arrives is its affair.
        let _ = tokio::time::timeout_at(deadline, stream.shutdown()).await;
        Ok(None)
    }

    /// What rustls shows its resolver says nothing of the address, so these clients get a configuration of their own.
    fn for_address(&self, key: Arc<CertifiedKey>) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&self.sites);
        config.cert_resolver = Arc::new(PinnedResolver::new(key));
        Arc::new(config)
    }

    fn choose(&self, hello: &ClientHello<'_>, local: IpAddr) -> Choice {
        if tls_alpn01::asks_for_proof(hello) {
            return Choice::Challenge;
        }
        match self.catalog.load().lookup(hello.server_name(), Some(local)) {
            Lookup::Found(key) if hello.server_name().is_none() => Choice::Address(key),
            Lookup::Found(_) => Choice::Site,
            Lookup::Coming(why) => Choice::Refuse(HandshakeError::Coming(why)),
            Lookup::Unknown => Choice::Refuse(HandshakeError::UnknownName),
        }
    }
}

enum Choice {
    Site,
    /// A client that names nobody, as clients of an address do (RFC 6066 section 3).
    Address(Arc<CertifiedKey>),
    Challenge,
    Refuse(HandshakeError),
}

/// Says `unrecognized_name` (RFC 6066 section 3) in the clear, as nothing is encrypted before our own hello.
async fn refuse(start: StartHandshake<Socket>, deadline: Instant) {
    const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
    let mut tcp = start.io;
    // A client that does not take seven bytes is not owed them.
    let _ = tokio::time::timeout_at(deadline, async {
        tcp.write_all(&ALERT).await?;
        tcp.shutdown().await
    })
    .await;
}

fn alpn(protocols: Protocols) -> Vec<Vec<u8>> {
    let offered = [(protocols.h2, b"h2".as_slice()), (protocols.h1, b"http/1.1")];
    offered.into_iter().filter(|(on, _)| *on).map(|(_, name)| name.to_vec()).collect()
}
