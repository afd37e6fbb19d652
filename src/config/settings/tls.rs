//! TLS with clients: what is spoken, what strangers are shown, who must prove itself.

use std::path::PathBuf;

use super::At;
use crate::base::name::Identifier;

/// TLS with clients, for the gateway as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// What is spoken.
    pub versions: TlsVersions,
    /// The only suites that are spoken; all sane ones when empty. Each version in use has one among them.
    pub ciphers: Vec<Cipher>,
    /// What clients get that name nobody or nobody we know; an alert when there is none.
    pub default_certificate: Option<DefaultCertificate>,
}

/// Versions of TLS; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsVersions {
    /// RFC 5246.
    pub tls12: bool,
    /// RFC 8446; QUIC speaks nothing else.
    pub tls13: bool,
}

/// A cipher suite by its name in IANA's registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cipher(&'static str);

/// What clients get that no site's certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultCertificate {
    /// The certificate of a site's host.
    Host(Identifier),
    /// A pair of files, watched.
    Files {
        /// PEM chain, leaf first.
        chain: PathBuf,
        /// PEM key.
        key: PathBuf,
        /// Where both are named.
        at: At,
    },
}

/// Who may come to a site at all: holders of a certificate of somebody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// PEM file of the authorities that vouch for clients.
    pub ca_file: PathBuf,
    /// Whether clients without a certificate are served too.
    pub optional: bool,
    /// Whether the backend is told whose certificate it is.
    pub headers: bool,
}

/// All that are spoken. Those of TLS 1.2 have forward secrecy and authenticate what they encrypt.
const CIPHERS: [&str; 9] = [
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

impl Cipher {
    /// Every suite there is.
    pub fn all() -> impl Iterator<Item = Self> {
        CIPHERS.into_iter().map(Self)
    }

    /// By its name in the registry, or as rustls writes it: `TLS13_` before those of TLS 1.3.
    pub fn named(text: &str) -> Option<Self> {
        Self::all().find(|cipher| text == cipher.0 || text.strip_prefix("TLS13_") == cipher.0.strip_prefix("TLS_"))
    }

    /// Its name in the registry.
    pub const fn name(self) -> &'static str {
        self.0
    }

    /// Whether it is one of TLS 1.3; the others are of 1.2.
    pub fn is_tls13(self) -> bool {
        !self.0.contains("_WITH_")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cipher_has_its_name_in_the_registry_and_that_of_rustls() {
        let check = |text, expected: Option<&str>| assert_eq!(Cipher::named(text).map(Cipher::name), expected, "for {text}");
        check("TLS_AES_128_GCM_SHA256", Some("TLS_AES_128_GCM_SHA256"));
        check("TLS13_AES_128_GCM_SHA256", Some("TLS_AES_128_GCM_SHA256"));
        check("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Some("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"));
        check("TLS_RSA_WITH_AES_128_CBC_SHA", None);
        check("", None);
    }
}
