//! Certificates, keys and accounts of another client's store, taken over so that a move costs no order and loses no account.
//! [`look`] reads what is there and touches nothing; [`take`] puts what is sound into the vault.

use std::fs;
use std::path::{Path, PathBuf};

use crate::base::secret::Secret;

mod account_key;
mod acme_sh;
mod caddy;
mod certbot;
mod take;

pub use take::{Kept, Report, Taken, take};

/// Entries of one folder that are looked at.
const MOST_ENTRIES: usize = 20_000;

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
pub struct Stock {
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

/// A folder is no store that is known.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} is no store of certbot, Caddy or acme.sh; name /etc/letsencrypt, ~/.local/share/caddy or ~/.acme.sh, and do it as a \
     user who may read it (sudo)",
    .0.display()
)]
pub struct NoStore(PathBuf);

/// Finds out whose store `path` is (the store itself, or a folder of one certificate in it) and what it holds.
pub fn look(path: &Path) -> Result<Stock, NoStore> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let found = certbot::look(&path).or_else(|| caddy::look(&path)).or_else(|| acme_sh::look(&path));
    found.ok_or(NoStore(path))
}

/// The folders in a folder, sorted; none when it cannot be read.
fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten().take(MOST_ENTRIES);
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// The last part of a path as text.
fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The value of `NAME = value` or `NAME='value'` in a file of such lines.
fn setting(text: &str, wanted: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let value = value.trim().trim_matches(['\'', '"']);
        (name.trim() == wanted && !value.is_empty()).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests;
