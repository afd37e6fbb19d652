//! The TLS side of a connection: one look at the client's hello decides between the challenge certificate, a site's
//! certificate, a stand-in for one that is being obtained by http-01, and a refusal. A handshake waits for the client only, never for disk, network or a lock; but for a name on
//! demand it waits for its certificate ([`OnDemandHandle::obtain`]).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{Acceptor, ClientHello, NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, ServerConnection};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::{StartHandshake, TlsStream};

use super::quic::keys::Keys;
use crate::certs::catalog::{Catalog, Lookup};
use crate::certs::challenge::ChallengeBoard;
use crate::certs::challenge::stand_in::StandInResolver;
use crate::certs::challenge::tls_alpn01::{self, ProofResolver};
use crate::certs::manager::CertManagerHandle;
use crate::certs::on_demand::OnDemandHandle;
use crate::certs::resolver::{CatalogResolver, PinnedResolver};
use crate::config::settings::{Protocols, Settings, Tls};
use crate::proxy::client_cert::ClientCertPolicy;
use crate::proxy::client_io::Socket;
use crate::proxy::connection::TlsFacts;
use crate::telemetry::metrics::handshakes::HandshakeMetrics;

pub mod cert_compression;
pub mod client_auth;
pub mod error;
mod tickets;
pub mod versions;

use client_auth::ClientAuthSites;
pub use error::{HandshakeError, RejectedHello};
use tickets::Tickets;

/// What is left for the rest of a handshake that had to wait for its certificate.
const AFTER_WAITING: Duration = Duration::from_secs(5);

/// How long a trusted proxy waits for a certificate on demand before it is shown the stand-in for it, which opens the way to
/// the challenge alone. Authorities give up after about ten seconds.
const PROXY_WAIT: Duration = Duration::from_secs(2);

/// What a handshake needs; rebuilt at a reload, but for the tickets' keys.
pub struct TlsFront {
    sites: Arc<ServerConfig>,
    guarded: Option<Arc<ClientAuthSites>>,
    /// For each site that asks clients for a certificate.
    asking: HashMap<usize, Arc<ServerConfig>>,
    challenge: Arc<ServerConfig>,
    stand_in: Arc<ServerConfig>,
    board: Arc<ChallengeBoard>,
    catalog: Arc<ArcSwap<Catalog>>,
    demand: OnDemandHandle,
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

/// A connection whose handshake is done.
pub struct Handshaken {
    /// What is said over it.
    pub stream: TlsStream<Socket>,
    /// Who came.
    pub facts: TlsFacts,
}

impl TlsRoots {
    /// One for the life of the process, with QUIC's keys.
    pub fn new(quic: Keys) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        Ok(Self { provider, ticketer: Arc::new(Tickets::new()?), quic })
    }
}

impl TlsFront {
    /// Puts the configurations together; `guarded` are the sites that ask clients for a certificate.
    pub fn new(
        settings: &Settings,
        roots: &TlsRoots,
        certs: &CertManagerHandle,
        guarded: Option<Arc<ClientAuthSites>>,
    ) -> Result<Self, rustls::Error> {
        let resolver = Arc::new(CatalogResolver::new(Arc::clone(&certs.catalog)));
        let site = |verifier| {
            let mut config = with(&settings.tls, roots, verifier)?.with_cert_resolver(Arc::<CatalogResolver>::clone(&resolver));
            config.alpn_protocols = alpn(settings.protocols);
            config.cert_compressors = cert_compression::compressors();
            // Tickets resume both versions; a table of sessions in memory would only add a lock.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            Ok::<_, rustls::Error>(config)
        };
        let mut sites = site(WebPkiClientVerifier::no_client_auth())?;
        sites.ticketer = Arc::clone(&roots.ticketer);
        // These have no tickets: who shows a certificate shows it each time, and never after it was taken off the list.
        let asking = guarded.iter().flat_map(|guarded| guarded.sites());
        let asking = asking.map(|(at, client_certs)| Ok((at, Arc::new(site(Arc::clone(&client_certs.verifier))?))));
        let asking = asking.collect::<Result<_, rustls::Error>>()?;
        // Their certificates have ECDSA keys, whatever ciphers are configured.
        let any_cipher = Tls { ciphers: Vec::new(), ..settings.tls.clone() };
        let mut stand_in = with(&any_cipher, roots, WebPkiClientVerifier::no_client_auth())?
            .with_cert_resolver(Arc::new(StandInResolver(Arc::clone(&certs.board))));
        stand_in.alpn_protocols = alpn(settings.protocols);
        // Nothing outlives the stand-in: such a session is never resumed.
        stand_in.session_storage = Arc::new(NoServerSessionStorage {});
        stand_in.send_tls13_tickets = 0;
        let challenge = with(&any_cipher, roots, WebPkiClientVerifier::no_client_auth())?;
        let mut challenge = challenge.with_cert_resolver(Arc::new(ProofResolver(Arc::clone(&certs.board))));
        challenge.cert_compressors = cert_compression::compressors();
        challenge.alpn_protocols = vec![tls_alpn01::ALPN.to_vec()];
        let (catalog, demand) = (Arc::clone(&certs.catalog), certs.demand.clone());
        let (board, stand_in) = (Arc::clone(&certs.board), Arc::new(stand_in));
        Ok(Self { sites: Arc::new(sites), guarded, asking, challenge: Arc::new(challenge), stand_in, board, catalog, demand })
    }

    /// Brings a connection to `local` from its first byte to the end of its handshake, by `deadline`. `None` when it was an
    /// authority's validation, which ends with the handshake.
    pub async fn accept(
        &self,
        tcp: TcpStream,
        local: SocketAddr,
        peer: Peer,
        mut deadline: Instant,
    ) -> Result<Option<Handshaken>, RejectedHello> {
        let unnamed = |why| RejectedHello { server_name: None, why };
        let started = LazyConfigAcceptor::new(Acceptor::default(), Socket(tcp));
        let start = match tokio::time::timeout_at(deadline, started).await {
            Ok(Ok(start)) => start,
            Ok(Err(error)) => return Err(unnamed(HandshakeError::of_tls(error))),
            Err(_) => return Err(unnamed(HandshakeError::TooSlow)),
        };
        let hello = start.client_hello();
        let server_name = hello.server_name().map(str::to_owned);
        let mut choice = self.choose(&hello, local);
        if let (Choice::Demand, Some(name)) = (&choice, &server_name) {
            // Boxed, for few handshakes need the room.
            choice = match Box::pin(self.obtain(name, peer)).await {
                Ok(Obtained::Certificate) => self.choose(&start.client_hello(), local),
                Ok(Obtained::TempListeners) => Choice::TempListeners,
                Err(words) => Choice::Refuse(HandshakeError::NotGranted(words)),
            };
            deadline = deadline.max(Instant::now() + AFTER_WAITING);
        }
        let (config, client_certs) = match choice {
            Choice::Site => self.for_site(server_name.as_deref(), local),
            Choice::Address(key) => self.for_address(key, local),
            Choice::Challenge => (Arc::clone(&self.challenge), None),
            Choice::TempListeners => (Arc::clone(&self.stand_in), None),
            // It went as soon as it had come.
            Choice::Demand => {
                refuse(start, deadline).await;
                return Err(RejectedHello { server_name, why: HandshakeError::UnknownName });
            }
            Choice::Refuse(why) => {
                refuse(start, deadline).await;
                return Err(RejectedHello { server_name, why });
            }
        };
        let mut stream = match tokio::time::timeout_at(deadline, start.into_stream(Arc::clone(&config))).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(RejectedHello { server_name, why: HandshakeError::of_tls(error) }),
            Err(_) => return Err(RejectedHello { server_name, why: HandshakeError::TooSlow }),
        };
        if !Arc::ptr_eq(&config, &self.challenge) {
            let session = stream.get_ref().1;
            let mut facts = TlsFacts::of(
                session,
                client_certs.and_then(|client_certs| client_certs.client_cert(session.peer_certificates())),
            );
            facts.is_stand_in = Arc::ptr_eq(&config, &self.stand_in);
            return Ok(Some(Handshaken { stream, facts }));
        }
        tracing::info!(event = "challenge_shown", kind = "tls-alpn-01", name = server_name.as_deref().unwrap_or(""));
        // The validation has seen what it came for (RFC 8737 section 3); whether the close arrives is its affair.
        let _ = tokio::time::timeout_at(deadline, stream.shutdown()).await;
        Ok(None)
    }

    /// Waits for the certificate of a name on demand. What a trusted proxy asks for may be the very validation that the
    /// certificate waits for, passed on by a CDN that asks its origin over TLS only: it is not held up by what it brings about.
    /// A client of its own behind such a proxy is told that the certificate is still being obtained.
    async fn obtain(&self, name: &str, peer: Peer) -> Result<Obtained, String> {
        let mut obtained = std::pin::pin!(self.demand.obtain(name));
        loop {
            let waited = tokio::time::timeout(PROXY_WAIT, obtained.as_mut()).await;
            match waited {
                Ok(done) => return done.map(|()| Obtained::Certificate),
                Err(_) if peer == Peer::TrustedProxy && self.board.stand_in(name).is_some() => {
                    return Ok(Obtained::TempListeners);
                }
                Err(_) => (),
            }
        }
    }

    /// What a handshake for this name is shown.
    pub(super) fn lookup(&self, server_name: Option<&str>) -> Lookup {
        self.catalog.load().lookup(server_name, None)
    }

    fn for_site(&self, server_name: Option<&str>, local: SocketAddr) -> (Arc<ServerConfig>, Option<&Arc<ClientCertPolicy>>) {
        let asks = self.guarded.as_ref().and_then(|guarded| guarded.site(server_name, local));
        match asks.and_then(|(site, client_certs)| Some((self.asking.get(&site)?, client_certs))) {
            Some((config, client_certs)) => (Arc::clone(config), Some(client_certs)),
            None => (Arc::clone(&self.sites), None),
        }
    }

    /// What rustls shows its resolver says nothing of the address, so these clients get a configuration of their own.
    fn for_address(&self, key: Arc<CertifiedKey>, local: SocketAddr) -> (Arc<ServerConfig>, Option<&Arc<ClientCertPolicy>>) {
        let (config, client_certs) = self.for_site(None, local);
        let mut config = ServerConfig::clone(&config);
        config.cert_resolver = Arc::new(PinnedResolver::new(key));
        (Arc::new(config), client_certs)
    }

    fn choose(&self, hello: &ClientHello<'_>, local: SocketAddr) -> Choice {
        if tls_alpn01::asks_for_proof(hello) {
            return Choice::Challenge;
        }
        let lookup = self.catalog.load().lookup(hello.server_name(), Some(local.ip()));
        Choice::of(lookup, hello.server_name(), &self.board)
    }
}

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A client, as far as is known.
    Client,
    /// One of `trusted-proxies`.
    TrustedProxy,
}

/// What a handshake that waited is shown.
enum Obtained {
    Certificate,
    TempListeners,
}

enum Choice {
    Site,
    /// A client that names nobody, as clients of an address do (RFC 6066 section 3).
    Address(Arc<CertifiedKey>),
    Challenge,
    /// Its own certificate is being obtained by http-01.
    TempListeners,
    /// Its certificate may be asked for.
    Demand,
    Refuse(HandshakeError),
}

impl Choice {
    /// For a client that is no authority asking for a proof.
    fn of(lookup: Lookup, server_name: Option<&str>, board: &ChallengeBoard) -> Self {
        match lookup {
            Lookup::Found(key) if server_name.is_none() => Self::Address(key),
            Lookup::Found(_) => Self::Site,
            Lookup::Coming(_) if server_name.is_some_and(|name| board.stand_in(name).is_some()) => Self::TempListeners,
            Lookup::Coming(why) => Self::Refuse(HandshakeError::Coming(why)),
            Lookup::Demand => Self::Demand,
            Lookup::Unknown => Self::Refuse(HandshakeError::UnknownName),
        }
    }
}

/// A configuration that lacks only its certificates.
pub(super) fn with(
    tls: &Tls,
    roots: &TlsRoots,
    verifier: Arc<dyn ClientCertVerifier>,
) -> Result<rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(versions::provider(tls, &roots.provider));
    Ok(builder.with_protocol_versions(&versions::versions(tls))?.with_client_cert_verifier(verifier))
}

/// Counts a handshake that is done.
pub(super) fn count(session: &ServerConnection, metrics: &HandshakeMetrics) {
    match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => metrics.tls12.add_one(),
        _ => metrics.tls13.add_one(),
    }
    if session.handshake_kind() == Some(HandshakeKind::Resumed) {
        metrics.resumed.add_one();
    }
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
    // Some clients offer no more than HTTP/1.0, and are answered in it.
    let offered = [(protocols.h2, b"h2".as_slice()), (protocols.h1, b"http/1.1"), (protocols.h1, b"http/1.0")];
    offered.into_iter().filter(|(on, _)| *on).map(|(_, name)| name.to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::name::Identifier;
    use crate::base::time::Timestamp;
    use crate::certs::challenge::stand_in;

    #[test]
    fn a_stand_in_is_shown_only_for_its_host_without_a_certificate() {
        let board = ChallengeBoard::new();
        let chosen = |lookup, name| match Choice::of(lookup, name, &board) {
            Choice::Site => "site",
            Choice::Address(_) => "address",
            Choice::Challenge => "challenge",
            Choice::TempListeners => "stand-in",
            Choice::Demand => "demand",
            Choice::Refuse(_) => "refused",
        };
        let coming = || Lookup::Coming("being obtained".to_owned());
        assert_eq!(chosen(coming(), Some("a.example")), "refused", "no challenge is published");
        let name = Identifier::parse("a.example").unwrap();
        let posted = stand_in::publish(&board, &name, Timestamp::from_unix(1_795_219_200)).unwrap();
        assert_eq!(chosen(coming(), Some("a.example")), "stand-in");
        assert_eq!(chosen(Lookup::Found(board.stand_in("a.example").unwrap()), Some("a.example")), "site");
        assert_eq!(chosen(coming(), Some("b.example")), "refused");
        assert_eq!(chosen(coming(), None), "refused");
        assert_eq!(chosen(Lookup::Demand, Some("a.example")), "demand");
        assert_eq!(chosen(Lookup::Unknown, Some("a.example")), "refused");
        drop(posted);
        assert_eq!(chosen(coming(), Some("a.example")), "refused");
    }
}
