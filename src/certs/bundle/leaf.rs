//! What a leaf certificate says of itself.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::BundleError;
use crate::base::hex;
use crate::base::name::Identifier;
use crate::base::time::{Timestamp, Validity};

/// The facts of a leaf, in our own types.
pub(super) struct Leaf {
    pub(super) identifiers: Vec<Identifier>,
    pub(super) validity: Validity,
    pub(super) issuer: String,
    pub(super) serial: String,
    subject: String,
}

impl Leaf {
    pub(super) fn read(der: &CertificateDer<'_>) -> Result<Self, BundleError> {
        let cert = parse(der, 1)?;
        let leaf = Self {
            identifiers: identifiers(&cert),
            validity: validity(&cert),
            issuer: spoken(cert.issuer()),
            serial: hex::encode(cert.tbs_certificate.raw_serial()),
            subject: spoken(cert.subject()),
        };
        if cert.is_ca() && cert.issuer() != cert.subject() {
            return Err(BundleError::LeafIsAuthority { subject: leaf.subject });
        }
        let usage = cert.extended_key_usage().ok().flatten();
        if usage.is_some_and(|usage| !usage.value.server_auth && !usage.value.any) {
            return Err(BundleError::NotForServers { subject: leaf.name() });
        }
        Ok(leaf)
    }

    /// What people call this certificate: its first name, else its subject.
    pub(super) fn name(&self) -> String {
        self.identifiers.first().map_or_else(|| self.subject.clone(), ToString::to_string)
    }

    /// Whether the certificate vouches for `wanted`; a wildcard takes the place of exactly one label (RFC 9525 section 6.3).
    pub(super) fn covers(&self, wanted: &Identifier) -> bool {
        self.identifiers.iter().any(|held| match (held, wanted) {
            (Identifier::Wildcard(parent), Identifier::Dns(name)) => name.parent() == Some(parent.as_str()),
            (held, wanted) => held == wanted,
        })
    }

    pub(super) fn holds_at(&self, now: Timestamp) -> Result<(), BundleError> {
        let Validity { not_before, not_after } = self.validity;
        if not_after <= not_before {
            Err(BundleError::Inverted { subject: self.name() })
        } else if not_after < now {
            Err(BundleError::Expired { subject: self.name(), at: not_after })
        } else if now < not_before {
            Err(BundleError::NotYetValid { subject: self.name(), from: not_before })
        } else {
            Ok(())
        }
    }
}

/// Whether a certificate is for this public key (SubjectPublicKeyInfo in DER). One that cannot be read is not.
pub(super) fn has_key(der: &CertificateDer<'_>, public_key: &[u8]) -> bool {
    parse(der, 1).is_ok_and(|cert| cert.public_key().raw == public_key)
}

/// Reads one certificate; `number` counts from 1 and is for the complaint.
pub(super) fn parse<'a>(der: &'a CertificateDer<'_>, number: usize) -> Result<X509Certificate<'a>, BundleError> {
    match X509Certificate::from_der(der.as_ref()) {
        Ok(([], cert)) => Ok(cert),
        Ok(_) => Err(BundleError::Damaged { number, problem: "bytes follow the certificate".into() }),
        Err(_) => Err(BundleError::Damaged { number, problem: "not a certificate".into() }),
    }
}

/// The common name of whoever issued the last certificate, or its whole name if it has none.
pub(super) fn root_name(chain: &[CertificateDer<'_>]) -> Result<String, BundleError> {
    let Some(top) = chain.last() else { return Err(BundleError::NoCertificate) };
    let top = parse(top, chain.len())?;
    let common = top.issuer().iter_common_name().next().and_then(|part| part.as_str().ok());
    Ok(common.map_or_else(|| spoken(top.issuer()), str::to_owned))
}

pub(super) fn validity(cert: &X509Certificate<'_>) -> Validity {
    let validity = cert.validity();
    Validity {
        not_before: Timestamp::from_unix(validity.not_before.timestamp()),
        not_after: Timestamp::from_unix(validity.not_after.timestamp()),
    }
}

fn identifiers(cert: &X509Certificate<'_>) -> Vec<Identifier> {
    let Ok(Some(names)) = cert.subject_alternative_name() else { return Vec::new() };
    let read = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(text) => Identifier::parse(text).ok(),
        GeneralName::IPAddress(bytes) => address(bytes).map(Identifier::Ip),
        _ => None,
    };
    names.value.general_names.iter().filter_map(read).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// A distinguished name as people say it: organisation and common name, without saying the same word twice.
pub(super) fn spoken(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|part| part.as_str().ok());
    let organisation = name.iter_organization().next().and_then(|part| part.as_str().ok());
    match (organisation, common) {
        (Some(organisation), Some(common)) if !common.contains(organisation) => format!("{organisation} {common}"),
        (_, Some(common)) => common.to_owned(),
        (Some(organisation), None) => organisation.to_owned(),
        (None, None) => name.to_string(),
    }
}
