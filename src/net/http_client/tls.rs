//! TLS towards a server whose certificate is verified.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio_rustls::TlsConnector;

use super::error::HttpError;
use crate::base::task;
use crate::net::tls_roots::{self, RootsError};

/// Reads the roots, on a thread that may block, and makes a connector of them.
pub async fn connector(ca_file: Option<PathBuf>) -> Result<TlsConnector, HttpError> {
    let read = move || match ca_file {
        Some(path) => tls_roots::from_file(path),
        None => Ok(tls_roots::of_the_machine()),
    };
    let roots = task::blocking("read roots", read).await.ok_or(HttpError::Roots(RootsError::Tls))?.map_err(HttpError::Roots)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| HttpError::Roots(RootsError::Tls))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
