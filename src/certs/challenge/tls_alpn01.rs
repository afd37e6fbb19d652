//! tls-alpn-01 (RFC 8737, for addresses RFC 8738): the proof certificate, the name it is asked for by, and the resolver
//! that shows it. The resolver is for a configuration of its own that speaks `acme-tls/1` only, so that no visitor can
//! ever be shown a proof.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair, SanType};
use rustls::crypto::aws_lc_rs::sign::any_ecdsa_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use time::OffsetDateTime;

use super::ChallengeBoard;
use crate::base::name::Identifier;
use crate::base::time::Timestamp;

/// The protocol name an authority offers, alone.
pub const ALPN: &[u8] = b"acme-tls/1";

/// The proof certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// tls-alpn-01 cannot prove a wildcard (RFC 8737 section 3).
    #[error("tls-alpn-01 cannot prove the wildcard *.{0}")]
    Wildcard(crate::base::name::HostName),
    /// Making or signing it failed.
    #[error("cannot make the proof certificate")]
    Make(#[source] rcgen::Error),
    /// The key made for it was not accepted.
    #[error("cannot use the proof certificate's key")]
    Key(#[source] rustls::Error),
}

/// The server name an authority sends for an identifier: the name itself, or the reverse-lookup name of an address
/// (RFC 8738 section 6).
pub fn server_name(identifier: &Identifier) -> String {
    match identifier {
        Identifier::Dns(name) | Identifier::Wildcard(name) => name.as_str().to_owned(),
        Identifier::Ip(IpAddr::V4(ip)) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        Identifier::Ip(IpAddr::V6(ip)) => {
            let mut name = String::with_capacity(72);
            for byte in ip.octets().iter().rev() {
                // Writing to a String cannot fail.
                let _ = write!(name, "{:x}.{:x}.", byte & 0xf, byte >> 4);
            }
            name + "ip6.arpa"
        }
    }
}

/// Makes the proof certificate for the SHA-256 `digest` of a key authorization. It is good for a week around `now`:
/// authorities do not look at the dates, but a stray copy should not live to the year 4096.
pub fn certificate(identifier: &Identifier, digest: &[u8; 32], now: Timestamp) -> Result<Arc<CertifiedKey>, ProofError> {
    let san = match identifier {
        Identifier::Dns(name) => SanType::DnsName(name.as_str().try_into().map_err(ProofError::Make)?),
        Identifier::Ip(ip) => SanType::IpAddress(*ip),
        Identifier::Wildcard(parent) => return Err(ProofError::Wildcard(parent.clone())),
    };
    self_signed(san, vec![CustomExtension::new_acme_identifier(digest)], now)
}

/// A certificate signed by its own key, good for a week around `now`.
pub(super) fn self_signed(
    san: SanType,
    extensions: Vec<CustomExtension>,
    now: Timestamp,
) -> Result<Arc<CertifiedKey>, ProofError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![san];
    params.custom_extensions = extensions;
    let day = |offset: i64| OffsetDateTime::from_unix_timestamp(now.unix().saturating_add(offset * 86_400));
    if let (Ok(before), Ok(after)) = (day(-1), day(6)) {
        (params.not_before, params.not_after) = (before, after);
    }
    let key = KeyPair::generate().map_err(ProofError::Make)?;
    let certificate = params.self_signed(&key).map_err(ProofError::Make)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signing = any_ecdsa_type(&key).map_err(ProofError::Key)?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signing)))
}

/// Shows proofs to authorities, and nothing to anybody else.
#[derive(Debug)]
pub struct ProofResolver(pub Arc<ChallengeBoard>);

impl ResolvesServerCert for ProofResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        asks_for_proof(&hello).then(|| self.0.alpn(hello.server_name()?)).flatten()
    }
}

/// Whether this hello is an authority's: it offers `acme-tls/1` and nothing else (RFC 8737 section 3).
pub fn asks_for_proof(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut offered| offered.next() == Some(ALPN) && offered.next().is_none())
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    #[test]
    fn addresses_are_asked_for_by_their_reverse_name() {
        let check = |text: &str, expected: &str| assert_eq!(server_name(&Identifier::parse(text).unwrap()), expected);
        check("example.com", "example.com");
        check("192.0.2.1", "1.2.0.192.in-addr.arpa");
        check("2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    }

    #[test]
    fn the_proof_carries_one_name_and_the_critical_digest() {
        let now = Timestamp::from_unix(1_795_219_200);
        let proof = certificate(&Identifier::parse("example.com").unwrap(), &[7; 32], now).unwrap();
        let (_, cert) = X509Certificate::from_der(&proof.cert[0]).unwrap();
        let digest = cert.extensions().iter().find(|ext| ext.oid.to_id_string() == "1.3.6.1.5.5.7.1.31").unwrap();
        assert!(digest.critical);
        assert_eq!(digest.value, [&[4, 32][..], &[7; 32]].concat());
        assert_eq!(cert.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 1);
        assert!(cert.validity().not_after.timestamp() < now.unix() + 8 * 86_400);
    }

    #[test]
    fn a_wildcard_is_refused() {
        let wildcard = Identifier::parse("*.example.com").unwrap();
        assert!(matches!(certificate(&wildcard, &[0; 32], Timestamp::from_unix(0)), Err(ProofError::Wildcard(_))));
    }
}
