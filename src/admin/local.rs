//! What commands do without a running gateway: find the local authority's root, explain a configuration, write certificates
//! out of a state folder, take another client's over, and make one self-signed certificate for other programs.

use std::path::{Path, PathBuf};

use crate::certs::issuer::local_ca;
pub use crate::proxy::explain;
pub use crate::proxy::step::told;
use crate::state::vault::Vault;

pub mod export;
pub mod import;
pub mod self_signed;

/// The PEM file of the local authority's root below a state folder, whether or not it is there yet.
pub fn root_file(state: &Path) -> PathBuf {
    local_ca::root_file(&Vault::new(state.to_owned()))
}
