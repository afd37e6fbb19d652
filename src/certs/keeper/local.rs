//! The keeper's dealings with what needs no network: the local authority and certificate files.

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::chain::Chain;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::certs::alarm;
use crate::certs::bundle::CertBundle;
use crate::certs::issuer::files::{self, FilesError, FromFiles};
use crate::certs::issuer::local_ca::{LocalCa, LocalCaError};
use crate::certs::need::{Need, Source};
use crate::certs::shelf::Shelved;
use crate::state::store::Store;

/// The local authority, opened when a need first asks for it.
#[derive(Default)]
pub(super) struct LocalDesk {
    ca: Option<LocalCa>,
    /// When it was last said that the root comes to its end.
    told: Option<Timestamp>,
}

impl LocalDesk {
    /// Makes a leaf. It is not stored: the next start makes another one in less time than reading this one would take.
    pub(super) fn make(&mut self, store: &Store, need: &Need, now: Timestamp) -> Result<Shelved, String> {
        let made = self.open(store, now).and_then(|ca| ca.make(&need.names, now));
        let (chain, key) = made.map_err(|error| Chain(&error).to_string())?;
        self.tell_of_the_end(now);
        let bundle = CertBundle::build(&chain, &key, &need.names, now).map_err(|error| Chain(&error).to_string())?;
        Ok(Shelved::new(Arc::new(bundle), Arc::new(key), None))
    }

    /// Writes those of the authority's files that are not in the vault. Blocks; a vault that refuses is asked again later.
    pub(super) fn keep(&self) {
        if let Some(Err(error)) = self.ca.as_ref().map(LocalCa::keep) {
            tracing::debug!(event = "local_authority_unkept", error = %Chain(&error), "the local authority is in memory only: {}", Chain(&error));
        }
    }

    /// A root is trusted by hand, so its end is told of every day of its last year.
    fn tell_of_the_end(&mut self, now: Timestamp) {
        let ends = self.ca.as_ref().and_then(LocalCa::ending).filter(|_| alarm::is_due(self.told, now));
        if let Some(ends) = ends {
            self.told = Some(now);
            tracing::warn!(
                event = "local_root_ending",
                %ends,
                "the local authority's root ends, and its successor lies ready; `doorward trust` has this machine trust both"
            );
        }
    }

    fn open(&mut self, store: &Store, now: Timestamp) -> Result<&mut LocalCa, LocalCaError> {
        if self.ca.is_none() {
            let (ca, opened) = LocalCa::open(store.vault(), now)?;
            if let Some((files, why)) = opened.damaged {
                let there = files.iter().filter(|file| file.symlink_metadata().is_ok());
                let aside: Vec<_> = there.map(|file| store.set_aside(file, &why, now)).collect();
                super::tell::findings(&aside);
            }
            if opened.new_root {
                tracing::info!(
                    event = "local_root_made",
                    "a new local authority was made; `doorward trust` makes this machine trust it"
                );
            }
            self.ca = Some(ca);
            self.keep();
        }
        Ok(self.ca.as_mut().expect("opened above"))
    }
}

/// What reading a need's files came to.
pub(super) struct FilesRead {
    pub(super) shelved: Shelved,
    pub(super) warning: Option<String>,
}

/// The files of a need, if it comes from files.
pub(super) fn files_of(need: &Need) -> Option<(&PathBuf, &PathBuf)> {
    match &need.source {
        Source::Files { chain, key, .. } => Some((chain, key)),
        Source::Acme(_) | Source::Local => None,
    }
}

/// Why a need's files are not served, and what to do.
#[derive(Debug)]
pub(super) struct FilesRefused {
    pub(super) words: String,
    pub(super) remedy: Option<String>,
    /// A moment from which they may be right as they are.
    pub(super) right_from: Option<Timestamp>,
}

impl FilesRefused {
    pub(super) fn of_ours() -> Self {
        Self { words: "doorward itself failed".to_owned(), remedy: Some("report it".to_owned()), right_from: None }
    }

    /// A file system that does not answer; it is asked again.
    pub(super) fn unanswered() -> Self {
        let remedy = "see whether the file system they lie on answers".to_owned();
        Self { words: "they could not be read within 5 s".to_owned(), remedy: Some(remedy), right_from: None }
    }
}

/// Reads a need's files. An expired certificate is taken only when nothing is held. Blocks.
pub(super) fn read_files(need: &Need, nothing_held: bool, now: Timestamp) -> Result<FilesRead, FilesRefused> {
    let Source::Files { chain, key, at } = &need.source else { return Err(FilesRefused::of_ours()) };
    let read = files::read(chain, key, &need.names, now, nothing_held);
    let refused = |error: FilesError| FilesRefused {
        words: Chain(&error).to_string(),
        remedy: error.remedy(&at.0),
        right_from: error.right_from(),
    };
    let FromFiles { bundle, warning } = read.map_err(refused)?;
    // The files stay where they are: their key is not ours to store.
    let shelved = Shelved::new(Arc::new(bundle), Arc::new(Secret::new(String::new())), None);
    Ok(FilesRead { shelved, warning })
}
