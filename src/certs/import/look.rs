//! Finds out whose store a folder is.

use std::path::{Path, PathBuf};

use super::stock::ForeignStore;
use super::{acme_sh, caddy, certbot};

/// A folder is no store that is known.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} is no store of certbot, Caddy or acme.sh; name /etc/letsencrypt, ~/.local/share/caddy or ~/.acme.sh, and do it as a \
     user who may read it (sudo)",
    .0.display()
)]
pub struct NoStore(PathBuf);

/// Finds out whose store `path` is (the store itself, or a folder of one certificate in it) and what it holds.
pub fn look(path: &Path) -> Result<ForeignStore, NoStore> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let found = certbot::look(&path).or_else(|| caddy::look(&path)).or_else(|| acme_sh::look(&path));
    found.ok_or(NoStore(path))
}
