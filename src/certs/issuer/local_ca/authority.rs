//! A certificate of an authority with its key: made, kept and loaded.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::error::LocalCaError;
use crate::base::error_chain::ErrorChain;
use crate::base::secret::Secret;
use crate::base::time::{Timestamp, Validity};
use crate::certs::issuer::cert_params;
use crate::state::atomic_file::{self, FileError};
use crate::state::pem_store::PemStore;

pub(super) const HOUR: Duration = Duration::from_secs(3_600);

pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// Ten years: as long as a laptop is trusted by its owner, and what other local authorities chose.
pub(super) const ROOT_LIFE: Duration = Duration::from_secs(3_652 * 86_400);

/// A week: whoever steals a backup of the intermediate has it for days.
const INTERMEDIATE_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// Name of the root's files.
pub(super) const ROOT: &str = "root";

#[derive(Clone)]
pub(super) struct Authority {
    pub(super) pem: String,
    pub(super) key: Arc<KeyPair>,
    pub(super) validity: Validity,
}

impl Authority {
    pub(super) fn issuer(&self) -> Result<Issuer<'_, &KeyPair>, LocalCaError> {
        Issuer::from_ca_cert_pem(&self.pem, &*self.key).map_err(LocalCaError::Sign)
    }
}

/// Why files of an authority cannot be used.
#[derive(Debug)]
pub(super) enum LoadError {
    /// They do not belong together, or are no certificate and key.
    Damaged(String),
    /// They may be whole, and cannot be read now.
    Unreadable(FileError),
}

impl From<FileError> for LoadError {
    fn from(error: FileError) -> Self {
        if error.is_damage() { Self::Damaged(ErrorChain(&error).to_string()) } else { Self::Unreadable(error) }
    }
}

/// An intermediate is replaced at half its life, so that it always outlives its leaves.
pub(super) fn is_fresh(intermediate: &Authority, now: Timestamp) -> bool {
    let Validity { not_before, not_after } = intermediate.validity;
    not_before <= now && now < not_after - INTERMEDIATE_LIFE / 2
}

pub(super) fn make_root(now: Timestamp) -> Result<Authority, LocalCaError> {
    let key = KeyPair::generate().map_err(LocalCaError::Sign)?;
    let made = now.to_string();
    let name = format!("doorward local authority, made {}", made.split('T').next().unwrap_or(&made));
    let validity = Validity { not_before: now - DAY, not_after: now + ROOT_LIFE };
    let params = authority_params(&name, 1, validity);
    let pem = params.self_signed(&key).map_err(LocalCaError::Sign)?.pem();
    Ok(Authority { pem, key: Arc::new(key), validity })
}

pub(super) fn make_intermediate(root: &Authority, now: Timestamp) -> Result<Authority, LocalCaError> {
    let key = KeyPair::generate().map_err(LocalCaError::Sign)?;
    let validity = Validity { not_before: now - HOUR, not_after: now + INTERMEDIATE_LIFE };
    let params = authority_params("doorward local intermediate", 0, validity);
    let pem = params.signed_by(&key, &root.issuer()?).map_err(LocalCaError::Sign)?.pem();
    Ok(Authority { pem, key: Arc::new(key), validity })
}

fn authority_params(name: &str, below: u8, validity: Validity) -> CertificateParams {
    let mut params = cert_params::of(name, validity);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub(super) fn keep(vault: &PemStore, which: &str, authority: &Authority) -> Result<(), FileError> {
    let (cert, key) = files(vault, which);
    // Two files cannot change in one step; a pair that does not fit is noticed by `load`.
    if atomic_file::read(&cert).ok().flatten().as_deref() == Some(&authority.pem) {
        return Ok(());
    }
    atomic_file::write(&key, authority.key.serialize_pem().as_bytes())?;
    atomic_file::write(&cert, authority.pem.as_bytes())
}

pub(super) fn files(vault: &PemStore, which: &str) -> (PathBuf, PathBuf) {
    let file = |suffix: &str| vault.authority_file("local", &format!("{which}{suffix}.pem"));
    (file(""), file("-key"))
}

/// `None` when there is none yet.
pub(super) fn load(vault: &PemStore, which: &str) -> Result<Option<Authority>, LoadError> {
    let (cert, key) = files(vault, which);
    let (pem, key) = match (atomic_file::read(&cert)?, atomic_file::read_secret(&key)?) {
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

pub(super) fn signed_by(pem: &str, authority: &Authority) -> bool {
    let parse = |pem: &str| x509_parser::pem::parse_x509_pem(pem.as_bytes()).map(|(_, der)| der).ok();
    let verified = |child: &Pem, parent: &Pem| {
        let child = X509Certificate::from_der(&child.contents).ok()?.1;
        let parent = X509Certificate::from_der(&parent.contents).ok()?.1;
        child.verify_signature(Some(parent.public_key())).ok()
    };
    parse(pem).zip(parse(&authority.pem)).is_some_and(|(child, parent)| verified(&child, &parent).is_some())
}
