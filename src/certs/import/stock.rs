//! What the store of another client holds.

use std::path::PathBuf;

use crate::base::secret::Secret;

/// Whose store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `/etc/letsencrypt`.
    Certbot,
    /// `~/.local/share/caddy`, `/var/lib/caddy/.local/share/caddy`.
    Caddy,
    /// `~/.acme.sh`.
    AcmeSh,
}

impl Tool {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certbot => "certbot",
            Self::Caddy => "Caddy",
            Self::AcmeSh => "acme.sh",
        }
    }
}

/// What a store holds.
#[derive(Debug)]
pub struct ForeignStore {
    /// Whose it is.
    pub tool: Tool,
    /// Its certificates.
    pub certificates: Vec<Found>,
    /// Its accounts.
    pub accounts: Vec<FoundAccount>,
}

/// A certificate that was found, not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What its store calls it.
    pub title: String,
    /// The directory of the authority that issued it, if the store says so.
    pub directory: Option<String>,
    /// The chain's file, leaf first.
    pub chain: PathBuf,
    /// The key's file.
    pub key: PathBuf,
}

/// An account that was found.
#[derive(Debug)]
pub struct FoundAccount {
    /// Where it is.
    pub directory: String,
    /// Its key as PKCS#8, or why it cannot be ours.
    pub key: Result<Secret<String>, String>,
    /// Its URL, if the store says so.
    pub url: Option<String>,
}
