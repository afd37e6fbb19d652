//! Whether each certificate of a chain signed the one before it, and whether the chain is whole.
//!
//! The top's own issuer is not asked for: a root is left out of a chain on purpose. A leaf alone is another matter:
//! no public authority issues from its root, so its issuer was lost on the way.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;

use super::BundleError;
use super::leaf::{parse, spoken, validity};
use crate::base::time::Timestamp;

pub(super) fn check(chain: &[CertificateDer<'static>], roots: &[CertificateDer<'_>]) -> Result<(), BundleError> {
    let parsed: Vec<X509Certificate<'_>> =
        chain.iter().enumerate().map(|(at, der)| parse(der, at + 1)).collect::<Result<_, _>>()?;
    for (at, pair) in parsed.windows(2).enumerate() {
        if !signed_by(&pair[0], &pair[1]) {
            let (found, expected) = (spoken(pair[1].subject()), spoken(pair[0].issuer()));
            return Err(BundleError::Unlinked { number: at + 2, found, expected });
        }
    }
    match &parsed[..] {
        [leaf] if !signed_by(leaf, leaf) && !rooted(leaf, roots) => {
            Err(BundleError::Cut { subject: leaf_name(leaf), issuer: spoken(leaf.issuer()) })
        }
        _ => Ok(()),
    }
}

/// Only the direct issuer must be alive: an expired cross-sign further up is dead weight that clients step over.
pub(super) fn issuer_holds_at(chain: &[CertificateDer<'static>], now: Timestamp) -> Result<(), BundleError> {
    let Some(issuer) = chain.get(1) else { return Ok(()) };
    let issuer = parse(issuer, 2)?;
    let at = validity(&issuer).not_after;
    if at < now { Err(BundleError::Expired { subject: spoken(issuer.subject()), at }) } else { Ok(()) }
}

/// Whether the only certificate of a chain says where its issuer's is (RFC 5280 section 4.2.2.1).
pub(super) fn tells_its_issuer(chain_pem: &str) -> bool {
    use x509_parser::extensions::ParsedExtension;
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(chain_pem.as_bytes()) else { return false };
    let Ok(leaf) = pem.parse_x509() else { return false };
    leaf.extensions().iter().any(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityInfoAccess(access) => access
            .accessdescs
            .iter()
            .any(|one| one.access_method == x509_parser::oid_registry::OID_PKIX_ACCESS_DESCRIPTOR_CA_ISSUERS),
        _ => false,
    })
}

fn rooted(leaf: &X509Certificate<'_>, roots: &[CertificateDer<'_>]) -> bool {
    roots.iter().any(|root| parse(root, 1).is_ok_and(|root| signed_by(leaf, &root)))
}

fn signed_by(cert: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    cert.issuer().as_raw() == issuer.subject().as_raw() && cert.verify_signature(Some(issuer.public_key())).is_ok()
}

fn leaf_name(leaf: &X509Certificate<'_>) -> String {
    let name = leaf.subject_alternative_name().ok().flatten().and_then(|names| names.value.general_names.first().cloned());
    match name {
        Some(x509_parser::extensions::GeneralName::DNSName(name)) => name.to_owned(),
        _ => spoken(leaf.subject()),
    }
}
