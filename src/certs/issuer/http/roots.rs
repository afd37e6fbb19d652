//! Whose signature under the authority's own TLS certificate is believed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::HttpFailure;
use crate::base::{regular_file, task};

/// The roots that were asked for cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file cannot be read.
    #[error("cannot read ca-file {}", .path.display())]
    Read {
        /// As configured.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The file holds no certificate.
    #[error("ca-file {} holds no usable certificate; expected PEM with `-----BEGIN CERTIFICATE-----`", .0.display())]
    Empty(PathBuf),
    /// The crypto library refused its own defaults, or reading them panicked.
    #[error("cannot set up TLS towards the authority")]
    Tls,
}

/// A bundle of every public authority has a quarter of a megabyte.
const MAX_PEM_SIZE: u64 = 16 << 20;

/// Reads the roots, on a thread that may block, and makes a connector of them.
pub(super) async fn connector(ca_file: Option<PathBuf>) -> Result<TlsConnector, HttpFailure> {
    let read = move || match ca_file {
        Some(path) => from_file(path),
        None => Ok(of_the_machine()),
    };
    let roots =
        task::blocking("read roots", read).await.ok_or(HttpFailure::Roots(RootsError::Tls))?.map_err(HttpFailure::Roots)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| HttpFailure::Roots(RootsError::Tls))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn from_file(path: PathBuf) -> Result<RootCertStore, RootsError> {
    let pem = match regular_file::read(&path, MAX_PEM_SIZE) {
        Ok(pem) => pem,
        Err(cause) => return Err(RootsError::Read { path, cause }),
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    if roots.is_empty() { Err(RootsError::Empty(path)) } else { Ok(roots) }
}

/// The machine's roots; the ones that came with the program where the machine has none, as in an empty container.
fn of_the_machine() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
