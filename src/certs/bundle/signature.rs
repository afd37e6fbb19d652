//! Whether one certificate signed another. An algorithm that cannot be checked here is not a wrong signature: clients with
//! more algorithms than this program accept it.

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384,
    OID_SIG_ECDSA_WITH_SHA512,
};
use x509_parser::public_key::PublicKey;

/// How a certificate stands to the one that may have signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// The names fit and the signature is right.
    Signed,
    /// The names fit; the signature's algorithm, or the size of its key, is one that cannot be checked here.
    Unchecked,
    /// The names or the signature do not fit.
    Wrong,
}

/// Whether `issuer` signed `cert`.
pub(super) fn link(cert: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Link {
    if cert.issuer().as_raw() != issuer.subject().as_raw() {
        return Link::Wrong;
    }
    if let Some(algorithm) = ecdsa(cert, issuer) {
        let key = UnparsedPublicKey::new(algorithm, &issuer.public_key().subject_public_key.data);
        let signed = key.verify(cert.tbs_certificate.as_ref(), &cert.signature_value.data).is_ok();
        return if signed { Link::Signed } else { Link::Wrong };
    }
    match cert.verify_signature(Some(issuer.public_key())) {
        Ok(()) => Link::Signed,
        Err(X509Error::SignatureUnsupportedAlgorithm) => Link::Unchecked,
        Err(_) if has_odd_size(issuer) => Link::Unchecked,
        Err(_) => Link::Wrong,
    }
}

/// x509-parser knows neither P-521 nor SHA-512 with the smaller curves, which OpenSSL and browsers verify.
fn ecdsa(cert: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Option<&'static dyn VerificationAlgorithm> {
    let curve = issuer.public_key().algorithm.parameters.as_ref()?.as_oid().ok()?;
    let curves = [&OID_EC_P256, &OID_NIST_EC_P384, &OID_NIST_EC_P521];
    let digests = [&OID_SIG_ECDSA_WITH_SHA256, &OID_SIG_ECDSA_WITH_SHA384, &OID_SIG_ECDSA_WITH_SHA512];
    let digest = digests.iter().position(|oid| **oid == cert.signature_algorithm.algorithm)?;
    let table: [[&'static dyn VerificationAlgorithm; 3]; 3] = [
        [&signature::ECDSA_P256_SHA256_ASN1, &signature::ECDSA_P256_SHA384_ASN1, &signature::ECDSA_P256_SHA512_ASN1],
        [&signature::ECDSA_P384_SHA256_ASN1, &signature::ECDSA_P384_SHA384_ASN1, &signature::ECDSA_P384_SHA512_ASN1],
        [&signature::ECDSA_P521_SHA256_ASN1, &signature::ECDSA_P521_SHA384_ASN1, &signature::ECDSA_P521_SHA512_ASN1],
    ];
    Some(table[curves.iter().position(|oid| **oid == curve)?][digest])
}

/// RSA keys outside 2048 to 8192 bits: the library refuses them before it looks at the signature.
fn has_odd_size(issuer: &X509Certificate<'_>) -> bool {
    match issuer.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => !(2_048..=8_192).contains(&key.key_size()),
        Ok(_) | Err(_) => false,
    }
}
