//! Who may come to a site: holders of a certificate that somebody vouches for. The handshake asks for it; here is checked
//! that a request came over a connection whose handshake asked for just this site (a connection may carry requests for
//! several, and may be older than a reload).

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::connection::TlsFacts;
use super::refusal::Refusal;
use super::upstream::tls::{TlsTrust, TrustError};
use super::validate::Host;
use crate::config::settings::ClientCertificates;

pub use accepted::ClientCert;

mod accepted;

/// The client's certificate, for the backend (RFC 9440 section 2.2).
pub const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const SUBJECT: HeaderName = HeaderName::from_static("x-client-cert-subject");
const SHA256: HeaderName = HeaderName::from_static("x-client-cert-sha256");

/// Whose holders may come, and what the backend learns of them.
#[derive(Debug)]
pub struct ClientCertPolicy {
    /// Proves a client's certificate.
    pub verifier: Arc<dyn ClientCertVerifier>,
    /// Stands for the authorities that vouch; not a secret and not for security: whoever has it has been verified by them.
    print: u64,
    optional: bool,
    headers: bool,
}

impl ClientCertPolicy {
    /// Reads the file of authorities.
    pub(super) fn new(settings: &ClientCertificates, trust: &TlsTrust) -> Result<Self, TrustError> {
        let mut print = DefaultHasher::new();
        let roots = Arc::new(trust.roots(&settings.ca_file, &mut print)?);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(trust.provider()));
        let builder = if settings.optional { builder.allow_unauthenticated() } else { builder };
        let verifier = builder
            .build()
            .map_err(|_none| TrustError::NotPem { path: settings.ca_file.clone(), expected: "certificate of an authority" })?;
        settings.headers.hash(&mut print);
        Ok(Self { verifier, print: print.finish(), optional: settings.optional, headers: settings.headers })
    }

    /// The facts of a client whose handshake the verifier has passed.
    pub fn client_cert(&self, chain: Option<&[CertificateDer<'_>]>) -> Option<Arc<ClientCert>> {
        let leaf = chain?.first()?;
        let lines = self.headers.then(|| lines(leaf));
        Some(Arc::new(ClientCert { print: self.print, lines }))
    }

    /// Whether a request for `host` may come over this connection. A client that is refused may ask again over another one
    /// (RFC 9110 section 15.5.20).
    pub(super) fn check(&self, tls: Option<&TlsFacts>, host: &Host) -> Result<(), Refusal> {
        let named = tls.and_then(|tls| tls.server_name.as_ref());
        let same = match host {
            Host::Name(name) => named == Some(name),
            // Clients name no address in their handshake (RFC 6066 section 3).
            Host::Ip(_) => named.is_none(),
        };
        if !same {
            return Err(Refusal::OtherServerName);
        }
        let shown = self.of(tls).is_some();
        if shown || self.optional { Ok(()) } else { Err(Refusal::NoClientCertificate) }
    }

    /// Tells the backend who comes, where it is to be prebuilt; what the client says of that itself is gone.
    pub(super) fn tell(&self, tls: Option<&TlsFacts>, headers: &mut HeaderMap) {
        let names = [CLIENT_CERT, SUBJECT, SHA256];
        names.iter().for_each(|name| _ = headers.remove(name));
        if let Some(lines) = self.of(tls).and_then(|client_cert| client_cert.lines.as_ref()) {
            names.into_iter().zip(lines).for_each(|(name, line)| _ = headers.insert(name, line.clone()));
        }
    }

    fn of<'a>(&self, tls: Option<&'a TlsFacts>) -> Option<&'a ClientCert> {
        tls?.client_cert.as_deref().filter(|client_cert| client_cert.print == self.print)
    }
}

fn lines(leaf: &CertificateDer<'_>) -> [HeaderValue; 3] {
    let value = |text: String| HeaderValue::try_from(text).expect("nothing but visible ASCII and blanks was written");
    // A byte sequence (RFC 8941 section 3.3.5).
    let whole = format!(":{}:", STANDARD.encode(leaf));
    let subject = x509_parser::parse_x509_certificate(leaf).map(|(_, parsed)| parsed.subject().to_string()).unwrap_or_default();
    let mut print = String::with_capacity(64);
    for byte in digest::digest(&digest::SHA256, leaf).as_ref() {
        _ = write!(print, "{byte:02x}");
    }
    [value(whole), value(printable(&subject)), value(print)]
}

/// Percent-encodes what is not visible ASCII, and the percent sign, so that one subject never reads as another.
fn printable(subject: &str) -> String {
    let mut out = String::with_capacity(subject.len());
    for byte in subject.bytes().take(1024) {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            other => _ = write!(out, "%{other:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests;
