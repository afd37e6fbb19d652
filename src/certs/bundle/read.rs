//! Reads the texts of a chain and a key.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::{BundleError, MAX_CERTIFICATES};
use crate::base::secret::Secret;

/// Longest chain text that is looked at; real chains stay below 16 KiB.
pub(super) const MAX_PEM: usize = 256 * 1024;

pub(super) fn read_chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, BundleError> {
    if pem.len() > MAX_PEM {
        return Err(BundleError::TooLarge(pem.len()));
    }
    let mut chain = Vec::new();
    for item in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let number = chain.len() + 1;
        chain.push(item.map_err(|error| BundleError::Damaged { number, problem: format!("{error:?}") })?);
        if chain.len() > MAX_CERTIFICATES {
            return Err(BundleError::TooMany);
        }
    }
    if chain.is_empty() { Err(BundleError::NoCertificate) } else { Ok(chain) }
}

pub(super) fn read_key(pem: &Secret<String>) -> Result<PrivateKeyDer<'static>, BundleError> {
    let text = pem.expose();
    if text.contains("ENCRYPTED") {
        return Err(BundleError::KeyEncrypted);
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| BundleError::NoKey)
}
