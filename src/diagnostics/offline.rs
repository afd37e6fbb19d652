//! What commands do without a running gateway: find the local authority's root, explain a configuration, write certificates
//! out of a state folder, take another client's over, and make one self-signed certificate for other programs.

use std::path::{Path, PathBuf};

use crate::certs::issuer::local_ca;
use crate::state::pem_store::PemStore;

pub mod export;
pub mod import;
pub mod self_signed;

/// The PEM file of the local authority's root below a state folder, whether or not it is there yet.
pub fn root_file(state: &Path) -> PathBuf {
    local_ca::root_file(&PemStore::new(state.to_owned()))
}

/// The PEM file of the root that is to follow it, if there is one already.
pub fn next_root_file(state: &Path) -> Option<PathBuf> {
    Some(local_ca::next_root_file(&PemStore::new(state.to_owned()))).filter(|file| file.exists())
}
