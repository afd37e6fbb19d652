//! When a root is followed by another, and how the files of both stand. A root is trusted by hand, machine by machine, so
//! its successor is made a year before it is needed.

use std::path::PathBuf;
use std::time::Duration;

use super::authority::{Authority, files, keep, load};
use crate::base::time::{Timestamp, Validity};
use crate::state::atomic_file::{self, FileError};
use crate::state::pem_store::PemStore;

/// From then on a successor lies ready, for machines to be told to trust it beside the old one.
const ANNOUNCED: Duration = Duration::from_secs(365 * 86_400);
/// From then on it is the successor that signs: what the old one signs would outlive it.
const LAST: Duration = Duration::from_secs(14 * 86_400);

/// How far a root's life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RootPhase {
    /// It signs, and nothing is near.
    Fresh,
    /// It signs, and its successor lies ready.
    Ending,
    /// It signs no more.
    Over,
}

pub(super) fn stage(root: Validity, now: Timestamp) -> RootPhase {
    match root.not_after.since(now) {
        left if left < LAST => RootPhase::Over,
        left if left < ANNOUNCED => RootPhase::Ending,
        _ => RootPhase::Fresh,
    }
}

/// Whether what a root signs now is accepted by clients that trust it: neither over, nor made under a clock that was ahead.
pub(super) fn can_sign(root: Validity, now: Timestamp) -> bool {
    root.not_before <= now && stage(root, now) != RootPhase::Over
}

/// Whether a root's successor is to lie ready.
pub(super) fn wants_successor(root: Validity, now: Timestamp) -> bool {
    (LAST..ANNOUNCED).contains(&root.not_after.since(now))
}

/// The root that was made to follow, if it lies there whole and signs.
pub(super) fn successor(vault: &PemStore, now: Timestamp) -> Option<Authority> {
    load(vault, NEXT).ok().flatten().filter(|next| can_sign(next.validity, now))
}

/// Whether this is the root that was made to follow.
pub(super) fn is_successor(vault: &PemStore, root: &Authority) -> bool {
    load(vault, NEXT).ok().flatten().is_some_and(|next| next.pem == root.pem)
}

/// Name of the successor's files.
const NEXT: &str = "next-root";

/// Where the successor's certificate lies once there is one, for `trust`.
pub fn next_root_file(vault: &PemStore) -> PathBuf {
    files(vault, NEXT).0
}

/// Writes the successor, or removes its files once it is the root. They go last: a crash while the root's two files are
/// replaced leaves them to be found.
pub(super) fn keep_successor(vault: &PemStore, root: &Authority, next: Option<&Authority>) -> Result<(), FileError> {
    if let Some(next) = next {
        return keep(vault, NEXT, next);
    }
    let (cert, key) = files(vault, NEXT);
    if atomic_file::read(&cert)?.as_deref() == Some(&root.pem) {
        atomic_file::remove(&cert)?;
        atomic_file::remove(&key)?;
    }
    Ok(())
}
