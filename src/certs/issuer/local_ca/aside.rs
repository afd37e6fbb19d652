//! Roots that are not in use: set aside, never overwritten. Clients were told by hand to trust them.

use std::fs;

use aws_lc_rs::digest::{SHA256, digest};

use super::authority::{Authority, LoadError, ROOT, files, keep, load};
use super::error::LocalCaError;
use super::rollover::{can_sign, successor};
use crate::base::hex;
use crate::base::time::Timestamp;
use crate::state::atomic_file::FileError;
use crate::state::pem_store::PemStore;

/// The names of their files begin so; a part of the certificate's digest follows.
const ASIDE: &str = "former-root-";

/// Roots that are looked at. A new one is made only while none of the others is valid, so there are few.
const MAX_ROOTS: usize = 64;

/// A root that can take the place of one that cannot sign at `now`: of those set aside the eldest, because it is the one
/// that clients were told to trust, else the successor that lies ready.
pub(super) fn stand_in(vault: &PemStore, now: Timestamp) -> Result<Option<Authority>, LocalCaError> {
    let mut valid = Vec::new();
    for which in names(vault) {
        match load(vault, &which) {
            Ok(Some(root)) if can_sign(root.validity, now) => valid.push(root),
            Err(LoadError::Unreadable(error)) => return Err(LocalCaError::Read(error)),
            Ok(_) | Err(LoadError::Damaged(_)) => (),
        }
    }
    let eldest = valid.into_iter().min_by_key(|root| root.validity.not_before);
    Ok(eldest.or_else(|| successor(vault, now)))
}

/// Writes the root. Another one that lies there whole is set aside first; a crash in between leaves it in both places.
pub(super) fn keep_root(vault: &PemStore, root: &Authority) -> Result<(), FileError> {
    match load(vault, ROOT) {
        Ok(Some(stored)) if stored.pem != root.pem => keep(vault, &name(&stored), &stored)?,
        Err(LoadError::Unreadable(error)) => return Err(error),
        Ok(_) | Err(LoadError::Damaged(_)) => (),
    }
    keep(vault, ROOT, root)
}

fn name(root: &Authority) -> String {
    let digest = digest(&SHA256, root.pem.as_bytes());
    format!("{ASIDE}{}", hex::encode(&digest.as_ref()[..8]))
}

/// Of every root that was set aside, without the ending of its files.
fn names(vault: &PemStore) -> Vec<String> {
    let folder = files(vault, ROOT).0;
    let entries = folder.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let name = |entry: fs::DirEntry| {
        let file = entry.file_name().into_string().ok()?;
        let name = file.strip_suffix(".pem")?;
        (name.starts_with(ASIDE) && !name.ends_with("-key")).then(|| name.to_owned())
    };
    let mut names: Vec<String> = entries.filter_map(name).take(MAX_ROOTS).collect();
    names.sort();
    names
}
