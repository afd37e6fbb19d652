//! Versions and cipher suites: the configuration's words as the TLS library has them.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::quic::Suite;
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

use crate::config::settings::{Cipher, Tls};

/// The cryptography with no other suites than those of `tls`.
pub fn provider(tls: &Tls, all: &Arc<CryptoProvider>) -> Arc<CryptoProvider> {
    if tls.ciphers.is_empty() {
        return Arc::clone(all);
    }
    let mut provider = CryptoProvider::clone(all);
    provider.cipher_suites.retain(|suite| cipher(suite).is_some_and(|cipher| tls.ciphers.contains(&cipher)));
    Arc::new(provider)
}

fn cipher(suite: &SupportedCipherSuite) -> Option<Cipher> {
    suite.suite().as_str().and_then(Cipher::named)
}

/// The versions of `tls`, newest first.
pub fn versions(tls: &Tls) -> Vec<&'static SupportedProtocolVersion> {
    let all = [(tls.versions.tls13, &version::TLS13), (tls.versions.tls12, &version::TLS12)];
    all.into_iter().filter(|(on, _)| *on).map(|(_, version)| version).collect()
}

/// The suite that protects QUIC's first packets (RFC 9001 section 5.2), whatever is agreed on afterwards.
pub fn initial() -> Option<Suite> {
    rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13()?.quic_suite()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::TlsVersions;

    fn tls(ciphers: &[&str]) -> Tls {
        let ciphers = ciphers.iter().map(|name| Cipher::named(name).unwrap()).collect();
        Tls { versions: TlsVersions { tls12: true, tls13: true }, ciphers, default_certificate: None }
    }

    #[test]
    fn the_words_of_the_language_are_the_suites_of_the_library() {
        let all = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut theirs: Vec<&str> = all.cipher_suites.iter().filter_map(cipher).map(Cipher::name).collect();
        let mut ours: Vec<&str> = Cipher::all().map(Cipher::name).collect();
        theirs.sort_unstable();
        ours.sort_unstable();
        assert_eq!((theirs, all.cipher_suites.len()), (ours, 9));
        let one = provider(&tls(&["TLS13_CHACHA20_POLY1305_SHA256"]), &all);
        assert_eq!(one.cipher_suites.len(), 1);
    }

    #[test]
    fn the_key_exchange_that_withstands_quantum_computers_comes_first() {
        let all = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        assert_eq!(provider(&tls(&[]), &all).kx_groups[0].name(), rustls::NamedGroup::X25519MLKEM768);
    }
}
