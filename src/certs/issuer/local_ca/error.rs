//! Why the local authority could not do its work.

use crate::state::atomic_file::FileError;

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
