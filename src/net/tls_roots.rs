//! Roots that certificates of servers are verified by: those of a file, or the machine's.

use std::io;
use std::path::PathBuf;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::base::regular_file;

/// A bundle of every public authority has a quarter of a megabyte.
const MAX_PEM_SIZE: u64 = 16 << 20;

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

/// The roots in a PEM file. Blocks.
pub fn from_file(path: PathBuf) -> Result<RootCertStore, RootsError> {
    let pem = match regular_file::read(&path, MAX_PEM_SIZE) {
        Ok(pem) => pem,
        Err(cause) => return Err(RootsError::Read { path, cause }),
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    if roots.is_empty() { Err(RootsError::Empty(path)) } else { Ok(roots) }
}

/// The machine's roots; the ones that came with the program where the machine has none, as in an empty container.
pub fn of_the_machine() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
