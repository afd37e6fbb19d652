//! The certificate that stands in while the first one of a host is being obtained by http-01. A CDN that asks its origin by
//! https only passes the authority's validation on over TLS, where no certificate can be shown before the validation has
//! succeeded. CDNs that work this way do not verify the origin's certificate, so one that is signed by its own key opens the
//! path.
//!
//! It is made when the challenge is published, never during a handshake, and falls with the challenge. It is not stored, not
//! in the catalog, and over a connection that was shown it nothing is served but answers to challenges. There is one for a
//! challenge, so their number is bounded as that of challenges is. QUIC does not use it: a CDN asks its origin over TCP.
//! Clients of a name on demand wait for the certificate itself ([`crate::certs::on_demand`]); only a trusted proxy, through which
//! the validation may come, is shown the stand-in.

use std::sync::Arc;

use rcgen::SanType;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::tls_alpn01::{self, ProofError};
use super::{ChallengeBoard, Posted};
use crate::base::name::{HostName, Identifier};
use crate::base::time::Timestamp;

/// Publishes a stand-in certificate for the host of an http-01 challenge, for as long as the guard lives. `None` for what
/// clients cannot name in a handshake, and where none can be made or published: the challenge may succeed without it.
pub fn publish(board: &Arc<ChallengeBoard>, identifier: &Identifier, now: Timestamp) -> Option<Posted> {
    let Identifier::Dns(host) = identifier else { return None };
    let key = board.stand_in(host.as_str()).map_or_else(|| certificate(host, now), Ok);
    let posted = key.map_err(|error| error.to_string()).and_then(|key| {
        let posted = board.post_stand_in(host.as_str(), key);
        posted.map_err(|error| error.to_string())
    });
    posted.inspect_err(|reason| tracing::debug!(event = "no_stand_in", %host, reason)).ok()
}

fn certificate(host: &HostName, now: Timestamp) -> Result<Arc<CertifiedKey>, ProofError> {
    let san = SanType::DnsName(host.as_str().try_into().map_err(ProofError::Make)?);
    tls_alpn01::self_signed(san, Vec::new(), now)
}

/// Shows stand-in certificates, for a configuration that does nothing else.
#[derive(Debug)]
pub struct StandInResolver(pub Arc<ChallengeBoard>);

impl ResolvesServerCert for StandInResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.stand_in(hello.server_name()?)
    }
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);

    #[test]
    fn one_stands_in_for_exactly_its_host_while_a_challenge_of_it_is_published() {
        let board = ChallengeBoard::new();
        let name = Identifier::parse("a.example").unwrap();
        let first = publish(&board, &name, NOW).unwrap();
        let key = board.stand_in("A.Example").unwrap();
        assert!(board.stand_in("b.example").is_none() && board.stand_in("x.a.example").is_none());
        assert!(board.alpn("a.example").is_none(), "it is no proof");
        // Another order of the same host uses the same certificate.
        let second = publish(&board, &name, NOW).unwrap();
        assert!(Arc::ptr_eq(&key, &board.stand_in("a.example").unwrap()));
        drop(first);
        assert!(board.stand_in("a.example").is_some());
        drop(second);
        assert!(board.stand_in("a.example").is_none() && board.is_empty());
    }

    #[test]
    fn it_names_the_host_alone_and_is_no_proof() {
        let key = certificate(&HostName::parse("a.example").unwrap(), NOW).unwrap();
        let (_, cert) = X509Certificate::from_der(&key.cert[0]).unwrap();
        assert_eq!(cert.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 1);
        assert!(cert.extensions().iter().all(|ext| ext.oid.to_id_string() != "1.3.6.1.5.5.7.1.31"));
        assert!(!cert.is_ca());
    }

    #[test]
    fn addresses_and_wildcards_have_none() {
        let board = ChallengeBoard::new();
        for text in ["192.0.2.1", "*.a.example"] {
            assert!(publish(&board, &Identifier::parse(text).unwrap(), NOW).is_none());
        }
    }
}
