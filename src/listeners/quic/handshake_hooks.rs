//! What one QUIC client asks for, and what it gets: certificate, question for its own, tickets. One of these for each
//! handshake, because rustls tells a common resolver neither of the address nor of the connection, and shows the hello to
//! nobody else.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};

use crate::certs::catalog::{Catalog, Lookup};
use crate::certs::on_demand::OnDemandHandle;
use crate::listeners::tls::client_auth::ClientAuthSites;
use crate::listeners::tls::{HandshakeError, RejectedHello};
use crate::proxy::client_cert::ClientCertPolicy;

/// See the module.
#[derive(Debug)]
pub(super) struct HandshakeHooks {
    pub(super) catalog: Arc<ArcSwap<Catalog>>,
    pub(super) demand: OnDemandHandle,
    pub(super) guarded: Option<Arc<ClientAuthSites>>,
    pub(super) tickets: Arc<dyn ProducesTickets>,
    pub(super) local: SocketAddr,
    pub(super) seen: OnceLock<ClientHelloFacts>,
}

#[derive(Debug)]
pub(super) struct ClientHelloFacts {
    server_name: Option<String>,
    missing: Option<Missing>,
    client_certs: Option<Arc<ClientCertPolicy>>,
}

#[derive(Clone, Debug)]
enum Missing {
    Coming(String),
    Unknown,
}

impl HandshakeHooks {
    /// Why there was no certificate for it, or else what `error` says.
    pub(super) fn refused(&self, error: HandshakeError) -> RejectedHello {
        let seen = self.seen.get();
        let why = match seen.and_then(|seen| seen.missing.clone()) {
            Some(Missing::Coming(why)) => HandshakeError::Coming(why),
            Some(Missing::Unknown) => HandshakeError::UnknownName,
            None => error,
        };
        RejectedHello { server_name: seen.and_then(|seen| seen.server_name.clone()), why }
    }

    /// Who may come to the site that was asked for, if it lets in not everybody. Nobody knows before the hello.
    pub(super) fn client_certs(&self) -> Option<&Arc<ClientCertPolicy>> {
        self.seen.get()?.client_certs.as_ref()
    }

    fn verifier(&self) -> Option<&dyn ClientCertVerifier> {
        self.client_certs().map(|client_certs| &*client_certs.verifier)
    }
}

impl ResolvesServerCert for HandshakeHooks {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let server_name = hello.server_name();
        let (key, missing) = match self.catalog.load().lookup(server_name, Some(self.local.ip())) {
            Lookup::Found(key) => (Some(key), None),
            Lookup::Coming(why) => (None, Some(Missing::Coming(why))),
            Lookup::Demand => {
                // QUIC's handshake is one call and cannot wait; the client comes again, over TCP at first.
                server_name.inspect(|name| self.demand.knock(name));
                (None, Some(Missing::Coming("it is asked for on demand; over TCP the handshake waits for it".to_owned())))
            }
            Lookup::Unknown => (None, Some(Missing::Unknown)),
        };
        let asks = self.guarded.as_ref().and_then(|guarded| guarded.site(server_name, self.local));
        let client_certs = asks.map(|(_, client_certs)| Arc::clone(client_certs));
        let _ = self.seen.set(ClientHelloFacts { server_name: server_name.map(str::to_owned), missing, client_certs });
        key
    }
}

/// The verifier of the site, once the hello has named it.
impl ClientCertVerifier for HandshakeHooks {
    fn offer_client_auth(&self) -> bool {
        self.verifier().is_some_and(ClientCertVerifier::offer_client_auth)
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier().is_some_and(ClientCertVerifier::client_auth_mandatory)
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier().map_or(&[], ClientCertVerifier::root_hint_subjects)
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.verifier().ok_or_else(nobody_asked)?.verify_client_cert(leaf, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier().ok_or_else(nobody_asked)?.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier().ok_or_else(nobody_asked)?.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier().map(ClientCertVerifier::supported_verify_schemes).unwrap_or_default()
    }
}

fn nobody_asked() -> rustls::Error {
    rustls::Error::General("a certificate came that nobody asked for".to_owned())
}

/// No tickets where clients show certificates, as over TCP.
impl ProducesTickets for HandshakeHooks {
    fn enabled(&self) -> bool {
        self.tickets.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.tickets.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        if self.client_certs().is_some() { None } else { self.tickets.encrypt(plain) }
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        if self.client_certs().is_some() { None } else { self.tickets.decrypt(cipher) }
    }
}
