//! Certificates given as files, which somebody else renews. They are looked at every few seconds, because a watch of the
//! kernel's is lost when a folder is replaced or mounted, and taken over only when they are right.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::file_watch::{FileStamp, Schedule};
use crate::base::name::Identifier;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::certs::bundle::{BundleError, CertBundle, Piece};
use crate::certs::file_messages;
use crate::config::settings::Place;
use crate::state::atomic_file::{self, FileError};

/// Between two looks, for this many certificates: two seconds, and two more for each full thousand, so that looking never
/// takes more than a five-hundredth of a core. Without any there is nothing to look at.
pub fn every(certificates: usize) -> Duration {
    const CHECK_INTERVAL: Duration = Duration::from_secs(2);
    const THOUSAND: usize = 1000;
    match certificates {
        0 => Duration::MAX,
        some => CHECK_INTERVAL.saturating_mul(u32::try_from(1 + some / THOUSAND).unwrap_or(u32::MAX)),
    }
}

/// What can be seen of both files without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileVersion {
    chain: Option<FileStamp>,
    key: Option<FileStamp>,
}

/// Looks at the files; links are followed.
pub fn look(chain: &Path, key: &Path) -> FileVersion {
    FileVersion { chain: FileStamp::of(chain), key: FileStamp::of(key) }
}

/// When they are read: once both hold still, because whoever renews them replaces one file after the other; and again while
/// they are refused, at the latest when the certificate becomes valid.
pub type Watch = Schedule<FileVersion>;

/// Files that were read and are right.
#[derive(Debug)]
pub struct FromFiles {
    /// What to serve.
    pub bundle: CertBundle,
    /// What a person should know nevertheless.
    pub warning: Option<String>,
}

/// Why the files are not served.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// One cannot be read.
    #[error(transparent)]
    Unreadable(#[from] FileError),
    /// One is not there.
    #[error("there is no file {}", .0.display())]
    Missing(PathBuf),
    /// The key is another certificate's.
    #[error("{} does not belong to {} ({subject}; the public keys differ)", key.display(), chain.display())]
    Mismatch {
        /// The chain's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The leaf's first name.
        subject: String,
    },
    /// They are no bundle.
    #[error("{} is not usable", file.display())]
    Wrong {
        /// The one at fault.
        file: PathBuf,
        /// What is wrong.
        #[source]
        cause: BundleError,
    },
}

impl FilesError {
    /// What to do, where the text does not say it; `at` is where `tls` stands.
    pub fn remedy(&self, at: &Place) -> Option<String> {
        match self {
            Self::Mismatch { chain, key, subject } => Some(file_messages::mismatch(subject, chain, key, at).remedy),
            Self::Missing(file) => Some(format!("put {} there, or correct its name ({at})", file.display())),
            Self::Unreadable(_) => Some(format!("let the gateway's user read the file ({at})")),
            Self::Wrong { .. } => None,
        }
    }

    /// The moment from which they may be right as they are.
    pub const fn right_from(&self) -> Option<Timestamp> {
        match self {
            Self::Wrong { cause: BundleError::NotYetValid { from, .. }, .. } => Some(*from),
            Self::Wrong { .. } | Self::Mismatch { .. } | Self::Unreadable(_) | Self::Missing(_) => None,
        }
    }
}

/// Reads both files and proves them. An expired certificate is taken only with `any_time`, when there is nothing else.
pub fn read(chain: &Path, key: &Path, wanted: &[Identifier], now: Timestamp, any_time: bool) -> Result<FromFiles, FilesError> {
    let chain_pem = atomic_file::read(chain)?.ok_or_else(|| FilesError::Missing(chain.to_owned()))?;
    let key_pem = atomic_file::read_secret(key)?.ok_or_else(|| FilesError::Missing(key.to_owned()))?;
    let wrong = |cause: BundleError| {
        if let BundleError::KeyMismatch { subject } = cause {
            return FilesError::Mismatch { chain: chain.to_owned(), key: key.to_owned(), subject };
        }
        let file = match cause.piece() {
            Piece::ErrorChain => chain.to_owned(),
            Piece::Key => key.to_owned(),
        };
        FilesError::Wrong { file, cause }
    };
    let (bundle, warning) = match CertBundle::build_of_files(&chain_pem, &key_pem, wanted, now) {
        Err(cause @ BundleError::Expired { .. }) if any_time => {
            (restore(&chain_pem, &key_pem).map_err(wrong)?, Some(cause.to_string()))
        }
        built => built.map_err(wrong)?,
    };
    let warning = warning.or_else(|| readable_by_others(key));
    Ok(FromFiles { bundle, warning })
}

fn restore(chain_pem: &str, key_pem: &Secret<String>) -> Result<CertBundle, BundleError> {
    CertBundle::restore(chain_pem, key_pem)
}

fn readable_by_others(key: &Path) -> Option<String> {
    let mode = fs::metadata(key).ok()?.mode() & 0o7777;
    (mode & 0o007 != 0).then(|| {
        format!(
            "the key {} has mode {mode:04o} and can be used by everybody on this machine; `chmod o= {0}` ends that",
            key.display()
        )
    })
}

#[cfg(test)]
mod tests;
