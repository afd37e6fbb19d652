//! TLS that takes any certificate, for operators who ask for it by `insecure` and where the certificate is what is to be found
//! out. Named as rustls names it.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

/// Takes any certificate.
#[derive(Debug)]
pub struct NoVerifier {
    provider: Arc<CryptoProvider>,
    signatures: Signatures,
}

/// Whether the server has to prove that it holds the key of the certificate it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signatures {
    Checked,
    Ignored,
}

impl NoVerifier {
    /// Checks the signature of the handshake all the same: the server holds the key of the certificate it shows.
    pub const fn new(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, signatures: Signatures::Checked }
    }

    /// Does not even check the signature of the handshake: rustls reads no certificate with RFC 8737's critical extension, which
    /// that takes. Nothing may be sent over such a connection.
    pub const fn ignoring_signatures(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, signatures: Signatures::Ignored }
    }
}

impl ServerCertVerifier for NoVerifier {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self.signatures {
            Signatures::Checked => {
                verify_tls12_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
            }
            Signatures::Ignored => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self.signatures {
            Signatures::Checked => {
                verify_tls13_signature(message, leaf, signed, &self.provider.signature_verification_algorithms)
            }
            Signatures::Ignored => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
