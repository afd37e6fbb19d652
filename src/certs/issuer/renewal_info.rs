//! When the authority wants a certificate renewed (ARI, RFC 9773). It gives an answer, not a decision: the random
//! moment inside the window is chosen where the record is settled.

use rustls::pki_types::CertificateDer;

/// The certificate's name in renewal information and in an order's `replaces` (RFC 9773 section 4.1); `None` when it
/// carries no authority key identifier.
pub fn certificate_id(leaf: &CertificateDer<'_>) -> Option<String> {
    instant_acme::CertificateIdentifier::try_from(leaf).ok().map(|id| id.to_string())
}
