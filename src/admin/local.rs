//! Where a gateway's local authority stands, for commands that work without a running gateway.

use std::path::{Path, PathBuf};

use crate::certs::issuer::local_ca;
use crate::state::vault::Vault;

/// The PEM file of the local authority's root below a state folder, whether or not it is there yet.
pub fn root_file(state: &Path) -> PathBuf {
    local_ca::root_file(&Vault::new(state.to_owned()))
}
