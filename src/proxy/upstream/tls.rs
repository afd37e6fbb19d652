//! Whom we believe to be a backend, and who we say we are: TLS settings towards backends made of an upstream's words.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::sticky::CookieSigner;
use crate::base::regular_file;
use crate::config::settings::UpstreamTls;
use crate::net::danger::NoVerifier;
use crate::net::system_resolver::SystemResolver;
use crate::net::tls_roots;

/// A bundle of every public authority has a quarter of a megabyte.
const MAX_PEM_SIZE: u64 = 16 << 20;

/// The crypto library, the machine's roots once somebody needs them, the system's resolver, and the key by which we know our own
/// cookies again.
#[derive(Debug)]
pub struct TlsTrust {
    provider: Arc<CryptoProvider>,
    resolver: SystemResolver,
    system_roots: OnceLock<Arc<RootCertStore>>,
    seal: Option<CookieSigner>,
}

/// Why TLS towards backends cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file is missing or may not be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file holds something else than it should.
    #[error("{} holds no usable {expected} in PEM form", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// Key and certificate do not belong together, or the crypto library cannot use them.
    #[error("the client certificate {} cannot be used with its key", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// What the TLS library said.
        #[source]
        source: rustls::Error,
    },
    /// The crypto library offers no TLS version.
    #[error("the crypto library cannot be used for TLS")]
    Provider(#[source] rustls::Error),
}

/// Versions of HTTP that a backend may choose of in the TLS handshake (RFC 7301). In the clear nothing is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alpn {
    Http1,
    Http2,
    Both,
}

impl Alpn {
    fn names(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::Http1 => &[b"http/1.1"],
            Self::Http2 => &[b"h2"],
            Self::Both => &[b"h2", b"http/1.1"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

/// TLS settings towards one cluster's backends.
#[derive(Debug)]
pub(super) struct TlsTowards {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    both: Arc<ClientConfig>,
    /// Changes when a file that was read changes; not a secret and not for security.
    pub(super) print: u64,
}

impl TlsTowards {
    pub(super) fn offering(&self, offer: Alpn) -> Arc<ClientConfig> {
        Arc::clone(match offer {
            Alpn::Http1 => &self.http1,
            Alpn::Http2 => &self.http2,
            Alpn::Both => &self.both,
        })
    }
}

impl TlsTrust {
    /// TlsTrust that computes with `provider`, and writes no cookies.
    pub fn new(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, resolver: SystemResolver::default(), system_roots: OnceLock::new(), seal: None }
    }

    /// Has it write cookies with `seal`.
    pub fn sealing(self, seal: CookieSigner) -> Self {
        Self { seal: Some(seal), ..self }
    }

    /// Shared by all clusters, so that the number of lookups is bounded for all of them.
    pub(super) const fn resolver(&self) -> &SystemResolver {
        &self.resolver
    }

    pub(super) const fn seal(&self) -> Option<&CookieSigner> {
        self.seal.as_ref()
    }

    /// TLS towards a server that is asked outside of any cluster, over HTTP/1.1.
    pub fn client(&self, settings: &UpstreamTls) -> Result<Arc<ClientConfig>, TrustError> {
        self.towards(settings).map(|tls| tls.http1)
    }

    /// The crypto library.
    pub(in crate::proxy) const fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    /// Roots of one's own, and in `print` what changes when they change.
    pub(in crate::proxy) fn roots(&self, path: &Path, print: &mut DefaultHasher) -> Result<RootCertStore, TrustError> {
        roots_of(path, &read(path, print)?)
    }

    pub(super) fn towards(&self, settings: &UpstreamTls) -> Result<TlsTowards, TrustError> {
        let mut print = DefaultHasher::new();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Provider)?;
        let builder = match &settings.ca_file {
            _ if settings.insecure => {
                let verifier = Arc::new(NoVerifier::new(Arc::clone(&self.provider)));
                builder.dangerous().with_custom_certificate_verifier(verifier)
            }
            Some(path) => builder.with_root_certificates(self.roots(path, &mut print)?),
            None => builder.with_root_certificates(self.system_roots()),
        };
        let config = match &settings.client {
            Some((chain_path, key_path)) => {
                let chain = certificates(chain_path, &read(chain_path, &mut print)?)?;
                let key = PrivateKeyDer::from_pem_slice(&read(key_path, &mut print)?)
                    .map_err(|_not_said| TrustError::NotPem { path: key_path.clone(), expected: "private key" })?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|source| TrustError::Unusable { path: chain_path.clone(), source })?
            }
            None => builder.with_no_client_auth(),
        };
        let offering = |offer: Alpn| {
            let mut config = config.clone();
            config.alpn_protocols = offer.names();
            Arc::new(config)
        };
        let (http1, http2, both) = (offering(Alpn::Http1), offering(Alpn::Http2), offering(Alpn::Both));
        Ok(TlsTowards { http1, http2, both, print: print.finish() })
    }

    /// The machine's roots, or the bundled ones where the machine has none, as in an image made of one file.
    fn system_roots(&self) -> Arc<RootCertStore> {
        Arc::clone(self.system_roots.get_or_init(|| Arc::new(tls_roots::of_the_machine())))
    }
}

fn read(path: &Path, print: &mut DefaultHasher) -> Result<Vec<u8>, TrustError> {
    let bytes =
        regular_file::read(path, MAX_PEM_SIZE).map_err(|source| TrustError::Unreadable { path: path.to_owned(), source })?;
    bytes.hash(print);
    Ok(bytes)
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let not_pem = || TrustError::NotPem { path: path.to_owned(), expected: "certificate" };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_not_said| not_pem())?;
    if chain.is_empty() { Err(not_pem()) } else { Ok(chain) }
}

fn roots_of(path: &Path, pem: &[u8]) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        roots.add(certificate).map_err(|_not_said| TrustError::NotPem { path: path.to_owned(), expected: "root certificate" })?;
    }
    Ok(roots)
}
