//! The local authority: a root for ten years (and its successor beside it in the last one), an intermediate for a week,
//! leaves for half a day. It vouches for names
//! that no public authority may vouch for, to machines that were told to trust its root.
//!
//! The root's key signs one intermediate a week and nothing else. All of it lies in the vault under
//! `authorities/local`; where that cannot be written, it lives in memory for as long as the process.
//!
//! Clients trust a root by hand, so no root is ever overwritten: one that is over, or that begins in the future because it
//! was made under a wrong clock, is set aside in the same folder, and taken again when it is valid and the newer one is not.

use std::path::PathBuf;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};

use super::cert_params::{self, BACKDATED};
use crate::base::name::Identifier;
use crate::base::secret::Secret;
use crate::base::time::{Timestamp, Validity};
use crate::state::pem_store::PemStore;

mod aside;
mod authority;
mod error;
mod rollover;

pub use error::LocalCaError;
pub use rollover::next_root_file;

use aside::stand_in;
use authority::{Authority, LoadError, ROOT, files, is_fresh, keep, load, make_intermediate, make_root, signed_by};
use rollover::{RootPhase, can_sign, is_successor, stage, successor, wants_successor};

/// Half a day: a stolen leaf is worthless tomorrow.
const LEAF_LIFE: Duration = Duration::from_secs(12 * 3_600);

/// The local authority, ready to sign. Cloning is cheap.
#[derive(Clone)]
pub struct LocalCa {
    root: Authority,
    /// The root to come, once the present one is near its end.
    next: Option<Authority>,
    intermediate: Authority,
    vault: PemStore,
}

/// What happened when the authority was opened, for the log.
#[derive(Debug, Default)]
pub struct Opened {
    /// A new root was made; machines have to be told to trust it.
    pub new_root: bool,
    /// Files of a root that do not belong together, to be set aside, and what was wrong with them.
    pub damaged: Option<(Vec<PathBuf>, String)>,
    /// It lives in memory for now.
    pub unkept: Option<LocalCaError>,
}

/// Where the root's certificate lies, for `trust`.
pub fn root_file(vault: &PemStore) -> PathBuf {
    vault.authority_file("local", "root.pem")
}

impl LocalCa {
    /// Takes the authority from the vault, or makes one. Damaged files are reported and left for the caller to set aside
    /// before anything is written over them.
    pub fn open(vault: &PemStore, now: Timestamp) -> Result<(Self, Opened), LocalCaError> {
        let mut opened = Opened::default();
        let stored = match load(vault, ROOT) {
            Ok(stored) => stored,
            Err(LoadError::Unreadable(error)) => return Err(LocalCaError::Read(error)),
            Err(LoadError::Damaged(why)) => {
                let (cert, key) = files(vault, ROOT);
                opened.damaged = Some((vec![cert, key], why));
                None
            }
        };
        let root = match stored.filter(|root| can_sign(root.validity, now)) {
            Some(root) => root,
            None => match stand_in(vault, now)? {
                Some(root) => {
                    // Perhaps a crash while the successor took its place; its files are written again.
                    opened.damaged = opened.damaged.filter(|_| !is_successor(vault, &root));
                    root
                }
                None => {
                    opened.new_root = true;
                    make_root(now)?
                }
            },
        };
        let stored = if opened.new_root { None } else { load(vault, "intermediate").ok().flatten() };
        let intermediate = match stored.filter(|held| is_fresh(held, now) && signed_by(&held.pem, &root)) {
            Some(intermediate) => intermediate,
            None => make_intermediate(&root, now)?,
        };
        let mut ca = Self { root, next: None, intermediate, vault: vault.clone() };
        ca.follow(now)?;
        Ok((ca, opened))
    }

    /// Writes what is not yet in the vault.
    pub fn keep(&self) -> Result<(), LocalCaError> {
        aside::keep_root(&self.vault, &self.root)
            .and_then(|()| keep(&self.vault, "intermediate", &self.intermediate))
            .and_then(|()| rollover::keep_successor(&self.vault, &self.root, self.next.as_ref()))
            .map_err(LocalCaError::Keep)
    }

    /// Whether its files have to be read, or a root be made, before it signs; see [`LocalCa::prepare`].
    pub fn is_due(&self, now: Timestamp) -> bool {
        !can_sign(self.root.validity, now) || (self.next.is_none() && wants_successor(self.root.validity, now))
    }

    /// Puts another root in the place of one that cannot sign, makes the successor when it is time, and keeps both. Blocks.
    pub fn prepare(&mut self, now: Timestamp) -> Result<(), LocalCaError> {
        self.follow(now)?;
        // Kept best effort: the next start makes what is missing, and tending the state keeps it later.
        let _made_anew_if_lost = self.keep();
        Ok(())
    }

    /// As [`LocalCa::make`], from memory alone: what it makes besides the leaf is written by the next [`LocalCa::keep`].
    pub fn issue(&mut self, names: &[Identifier], now: Timestamp) -> Result<(String, Secret<String>), LocalCaError> {
        if !can_sign(self.root.validity, now) {
            return Err(LocalCaError::Over);
        }
        if !is_fresh(&self.intermediate, now) {
            self.intermediate = make_intermediate(&self.root, now)?;
        }
        let key = KeyPair::generate().map_err(LocalCaError::Sign)?;
        let params = leaf_params(names, now)?;
        let issuer = self.intermediate.issuer()?;
        let leaf = params.signed_by(&key, &issuer).map_err(LocalCaError::Sign)?;
        Ok((format!("{}{}", leaf.pem(), self.intermediate.pem), Secret::new(key.serialize_pem())))
    }

    /// Makes a leaf for these names: its chain (leaf, intermediate) and its key, both PEM. Blocks when the root or the
    /// intermediate is followed by another one.
    pub fn make(&mut self, names: &[Identifier], now: Timestamp) -> Result<(String, Secret<String>), LocalCaError> {
        let (root, was_ending) = (self.root.pem.clone(), self.next.is_some());
        self.follow(now)?;
        let followed = self.root.pem != root || self.next.is_some() != was_ending;
        let renewed = !is_fresh(&self.intermediate, now);
        let made = self.issue(names, now)?;
        if followed || renewed {
            // Kept best effort: the next start makes what is missing, and tending the state keeps it later.
            let _made_anew_if_lost = self.keep();
        }
        Ok(made)
    }

    /// When the root ends, once its successor lies ready.
    pub fn ending(&self) -> Option<Timestamp> {
        self.next.as_ref().map(|_| self.root.validity.not_after)
    }

    /// Makes the successor, or puts it in the root's place, when it is time.
    fn follow(&mut self, now: Timestamp) -> Result<(), LocalCaError> {
        if !can_sign(self.root.validity, now) {
            let ready = self.next.take().filter(|next| can_sign(next.validity, now));
            // One that was set aside goes first: clients trust it already.
            self.root = match stand_in(&self.vault, now)?.or(ready) {
                Some(root) => root,
                None => make_root(now)?,
            };
            self.intermediate = make_intermediate(&self.root, now)?;
        }
        match stage(self.root.validity, now) {
            RootPhase::Ending if self.next.is_none() => {
                self.next = match successor(&self.vault, now).filter(|next| next.pem != self.root.pem) {
                    Some(next) => Some(next),
                    None => Some(make_root(now)?),
                };
            }
            // The end was near by a clock that was ahead. The successor's files stay for the day when it is.
            RootPhase::Fresh => self.next = None,
            RootPhase::Ending | RootPhase::Over => (),
        }
        Ok(())
    }

    /// The root's certificate as PEM.
    pub fn root_pem(&self) -> &str {
        &self.root.pem
    }

    /// Whether a chain found in the vault leads to this root: it may be of a predecessor.
    pub fn vouches_for(&self, chain_pem: &str) -> bool {
        let last = chain_pem.rfind("-----BEGIN CERTIFICATE-----").map(|start| &chain_pem[start..]);
        last.is_some_and(|pem| signed_by(pem, &self.root))
    }
}

fn leaf_params(names: &[Identifier], now: Timestamp) -> Result<CertificateParams, LocalCaError> {
    let validity = Validity { not_before: now - BACKDATED, not_after: now + LEAF_LIFE };
    let title = names.first().map(ToString::to_string).filter(|title| title.len() <= 64).unwrap_or_default();
    let mut params = cert_params::server(&title, names, validity)?;
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

#[cfg(test)]
mod tests;
