//! What commands do without a running gateway: where the local authority stands, and which way a request would go.

use std::path::{Path, PathBuf};

use crate::certs::issuer::local_ca;
pub use crate::proxy::explain;
pub use crate::proxy::step::told;
use crate::state::vault::Vault;

/// The PEM file of the local authority's root below a state folder, whether or not it is there yet.
pub fn root_file(state: &Path) -> PathBuf {
    local_ca::root_file(&Vault::new(state.to_owned()))
}
