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
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::contents::{self, BACKDATED};
use crate::base::chain::Chain;
use crate::base::name::Identifier;
use crate::base::secret::Secret;
use crate::base::time::{Timestamp, Validity};
use crate::state::durable::{self, FileError};
use crate::state::vault::Vault;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Ten years: as long as a laptop is trusted by its owner, and what other local authorities chose.
const ROOT_LIFE: Duration = Duration::from_secs(3_652 * 86_400);
/// A week: whoever steals a backup of the intermediate has it for days.
const INTERMEDIATE_LIFE: Duration = Duration::from_secs(7 * 86_400);
/// Half a day: a stolen leaf is worthless tomorrow.
const LEAF_LIFE: Duration = Duration::from_secs(12 * 3_600);

/// The local authority, ready to sign. Cloning is cheap.
#[derive(Clone)]
pub struct LocalCa {
    root: Authority,
    /// The root to come, once the present one is near its end.
    next: Option<Authority>,
    intermediate: Authority,
    vault: Vault,
}

#[derive(Clone)]
struct Authority {
    pem: String,
    key: Arc<KeyPair>,
    validity: Validity,
}

/// The local authority could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum LocalCaError {
    /// Key generation or signing failed.
    #[error("the local authority cannot sign")]
    Sign(#[source] rcgen::Error),
    /// A name that no certificate can carry.
    #[error("the local authority cannot put `{0}` into a certificate")]
    Name(String),
    /// The disk, or the lack of file descriptors, keeps us from reading what may be whole: nothing is made in its place.
    #[error("the local authority's files cannot be read now")]
    Read(#[source] FileError),
    /// Its root's time is over, or has not come, and no other one was found.
    #[error("the local authority's root cannot sign now, and its files were not searched for another one")]
    Over,
    /// What it signed cannot be kept.
    #[error("the local authority's files cannot be kept")]
    Keep(#[source] FileError),
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
pub fn root_file(vault: &Vault) -> PathBuf {
    vault.authority_file("local", "root.pem")
}

impl LocalCa {
    /// Takes the authority from the vault, or makes one. Damaged files are reported and left for the caller to set aside
    /// before anything is written over them.
    pub fn open(vault: &Vault, now: Timestamp) -> Result<(Self, Opened), LocalCaError> {
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
        self.keep_root()
            .and_then(|()| keep(&self.vault, "intermediate", &self.intermediate))
            .and_then(|()| self.keep_successor())
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

impl Authority {
    fn issuer(&self) -> Result<Issuer<'_, &KeyPair>, LocalCaError> {
        Issuer::from_ca_cert_pem(&self.pem, &*self.key).map_err(LocalCaError::Sign)
    }
}

/// Name of the root's files.
const ROOT: &str = "root";

/// An intermediate is replaced at half its life, so that it always outlives its leaves.
fn is_fresh(intermediate: &Authority, now: Timestamp) -> bool {
    let Validity { not_before, not_after } = intermediate.validity;
    not_before <= now && now < not_after - INTERMEDIATE_LIFE / 2
}

fn make_root(now: Timestamp) -> Result<Authority, LocalCaError> {
    let key = KeyPair::generate().map_err(LocalCaError::Sign)?;
    let made = now.to_string();
    let name = format!("doorward local authority, made {}", made.split('T').next().unwrap_or(&made));
    let validity = Validity { not_before: now - DAY, not_after: now + ROOT_LIFE };
    let params = authority_params(&name, 1, validity);
    let pem = params.self_signed(&key).map_err(LocalCaError::Sign)?.pem();
    Ok(Authority { pem, key: Arc::new(key), validity })
}

fn make_intermediate(root: &Authority, now: Timestamp) -> Result<Authority, LocalCaError> {
    let key = KeyPair::generate().map_err(LocalCaError::Sign)?;
    let validity = Validity { not_before: now - HOUR, not_after: now + INTERMEDIATE_LIFE };
    let params = authority_params("doorward local intermediate", 0, validity);
    let pem = params.signed_by(&key, &root.issuer()?).map_err(LocalCaError::Sign)?.pem();
    Ok(Authority { pem, key: Arc::new(key), validity })
}

fn authority_params(name: &str, below: u8, validity: Validity) -> CertificateParams {
    let mut params = contents::of(name, validity);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf_params(names: &[Identifier], now: Timestamp) -> Result<CertificateParams, LocalCaError> {
    let validity = Validity { not_before: now - BACKDATED, not_after: now + LEAF_LIFE };
    let title = names.first().map(ToString::to_string).filter(|title| title.len() <= 64).unwrap_or_default();
    let mut params = contents::server(&title, names, validity)?;
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn keep(vault: &Vault, which: &str, authority: &Authority) -> Result<(), FileError> {
    let (cert, key) = files(vault, which);
    // Two files cannot change in one step; a pair that does not fit is noticed by `load`.
    if durable::read(&cert).ok().flatten().as_deref() == Some(&authority.pem) {
        return Ok(());
    }
    durable::write(&key, authority.key.serialize_pem().as_bytes())?;
    durable::write(&cert, authority.pem.as_bytes())
}

fn files(vault: &Vault, which: &str) -> (PathBuf, PathBuf) {
    let file = |suffix: &str| vault.authority_file("local", &format!("{which}{suffix}.pem"));
    (file(""), file("-key"))
}

/// Why files of an authority cannot be used.
#[derive(Debug)]
enum LoadError {
    /// They do not belong together, or are no certificate and key.
    Damaged(String),
    /// They may be whole, and cannot be read now.
    Unreadable(FileError),
}

impl From<FileError> for LoadError {
    fn from(error: FileError) -> Self {
        if error.is_damage() { Self::Damaged(Chain(&error).to_string()) } else { Self::Unreadable(error) }
    }
}

/// `None` when there is none yet.
fn load(vault: &Vault, which: &str) -> Result<Option<Authority>, LoadError> {
    let (cert, key) = files(vault, which);
    let (pem, key) = match (durable::read(&cert)?, durable::read_secret(&key)?) {
        (None, _) => return Ok(None),
        (Some(_), None) => return Err(LoadError::Damaged(format!("the {which}'s key is missing"))),
        (Some(pem), Some(key)) => (pem, key),
    };
    parse(which, pem, &key).map(Some).map_err(LoadError::Damaged)
}

fn parse(which: &str, pem: String, key: &Secret<String>) -> Result<Authority, String> {
    let key = KeyPair::from_pem(key.expose()).map_err(|_| format!("the {which}'s key cannot be read"))?;
    let (_, der) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|_| format!("the {which} is not PEM"))?;
    let (_, cert) = X509Certificate::from_der(&der.contents).map_err(|_| format!("the {which} is not a certificate"))?;
    if cert.public_key().raw != key.subject_public_key_info() {
        return Err(format!("the {which}'s key does not belong to its certificate"));
    }
    let validity = Validity {
        not_before: Timestamp::from_unix(cert.validity().not_before.timestamp()),
        not_after: Timestamp::from_unix(cert.validity().not_after.timestamp()),
    };
    Ok(Authority { pem, key: Arc::new(key), validity })
}

fn signed_by(pem: &str, authority: &Authority) -> bool {
    let parse = |pem: &str| x509_parser::pem::parse_x509_pem(pem.as_bytes()).map(|(_, der)| der).ok();
    let verified = |child: &Pem, parent: &Pem| {
        let child = X509Certificate::from_der(&child.contents).ok()?.1;
        let parent = X509Certificate::from_der(&parent.contents).ok()?.1;
        child.verify_signature(Some(parent.public_key())).ok()
    };
    parse(pem).zip(parse(&authority.pem)).is_some_and(|(child, parent)| verified(&child, &parent).is_some())
}

mod aside;
mod succession;

use aside::stand_in;
pub use succession::next_root_file;
use succession::{can_sign, is_successor, wants_successor};

#[cfg(test)]
mod tests;
