//! The manager's dealings with what needs no network: the local authority and certificate files.

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::error_chain::ErrorChain;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::certs::alert;
use crate::certs::bundle::CertBundle;
use crate::certs::cert_cache::CachedCert;
use crate::certs::desired::{DesiredCert, Source};
use crate::certs::issuer::files::{self, FilesError, FromFiles};
use crate::certs::issuer::local_ca::{self, LocalCa, LocalCaError};
use crate::state::store::Store;

/// The local authority, opened when a need first asks for it. Its files are read and written on threads that may block; leaves
/// are made from memory.
#[derive(Default)]
pub(super) struct LocalIssuers {
    ca: Option<LocalCa>,
    /// Why it could not be made ready, the last time.
    failed: Option<String>,
    /// When it was last said that the root comes to its end.
    told: Option<Timestamp>,
}

impl LocalIssuers {
    /// Whether it can make leaves without its files.
    pub(super) fn is_ready(&self, now: Timestamp) -> bool {
        self.ca.as_ref().is_some_and(|ca| !ca.is_due(now))
    }

    /// Work that makes it ready, which blocks; its result is for [`LocalIssuers::take`].
    pub(super) fn preparation(
        &self,
        store: &Arc<Store>,
        now: Timestamp,
    ) -> impl FnOnce() -> Result<LocalCa, String> + Send + 'static {
        let (ca, store) = (self.ca.clone(), Arc::clone(store));
        move || {
            let folder = local_ca::root_file(store.vault());
            let _call = store.vault().watch().begin("read", &folder).map_err(|error| ErrorChain(&error).to_string())?;
            let prepared = match ca {
                Some(mut ca) => ca.prepare(now).map(|()| ca),
                None => open(&store, now),
            };
            prepared.map_err(|error| ErrorChain(&error).to_string())
        }
    }

    /// Takes in what the preparation came to; `None` when it did not come back in time. An authority that is in use stays so.
    pub(super) fn take(&mut self, prepared: Option<Result<LocalCa, String>>) {
        match prepared {
            Some(Ok(ca)) => (self.ca, self.failed) = (Some(ca), None),
            Some(Err(words)) => self.failed = Some(words),
            None => self.failed = Some("the local authority's files could not be read within 5 s".to_owned()),
        }
    }

    /// Makes a leaf from memory. It is not stored: the next start makes another one in less time than reading this one would
    /// take.
    pub(super) fn make(&mut self, need: &DesiredCert, now: Timestamp) -> Result<CachedCert, String> {
        let unready = || self.failed.clone().unwrap_or_else(|| "the local authority is not open".to_owned());
        let Some(ca) = &mut self.ca else { return Err(unready()) };
        let (chain, key) = ca.issue(&need.names, now).map_err(|error| match (error, &self.failed) {
            (LocalCaError::Over, Some(words)) => words.clone(),
            (error, _) => ErrorChain(&error).to_string(),
        })?;
        self.tell_of_the_end(now);
        let bundle = CertBundle::build(&chain, &key, &need.names, now).map_err(|error| ErrorChain(&error).to_string())?;
        Ok(CachedCert::new(Arc::new(bundle), Arc::new(key), None))
    }

    /// Work that writes those of the authority's files that are not in the vault, which blocks; a vault that refuses is asked
    /// again later.
    pub(super) fn keeping(&self, store: &Arc<Store>) -> impl FnOnce() + Send + 'static {
        let (ca, store) = (self.ca.clone(), Arc::clone(store));
        move || {
            if let Some(ca) = ca {
                keep(&store, &ca);
            }
        }
    }

    /// A root is trusted by hand, so its end is told of every day of its last year.
    fn tell_of_the_end(&mut self, now: Timestamp) {
        let ends = self.ca.as_ref().and_then(LocalCa::ending).filter(|_| alert::is_due(self.told, now));
        if let Some(ends) = ends {
            self.told = Some(now);
            tracing::warn!(
                event = "local_root_ending",
                %ends,
                "the local authority's root ends, and its successor lies ready; `doorward trust` has this machine trust both"
            );
        }
    }
}

/// Opens the authority and keeps what is new of it. Blocks.
fn open(store: &Store, now: Timestamp) -> Result<LocalCa, LocalCaError> {
    let (ca, opened) = LocalCa::open(store.vault(), now)?;
    if let Some((files, why)) = opened.damaged {
        let there = files.iter().filter(|file| file.symlink_metadata().is_ok());
        let aside: Vec<_> = there.map(|file| store.set_aside(file, &why, now)).collect();
        super::events::findings(&aside);
    }
    if opened.new_root {
        tracing::info!(event = "local_root_made", "a new local authority was made; `doorward trust` makes this machine trust it");
    }
    keep(store, &ca);
    Ok(ca)
}

fn keep(store: &Store, ca: &LocalCa) {
    let _call = store.vault().watch().note("write", &local_ca::root_file(store.vault()));
    if let Err(error) = ca.keep() {
        tracing::debug!(event = "local_authority_unkept", error = %ErrorChain(&error), "the local authority is in memory only: {}", ErrorChain(&error));
    }
}

/// What reading a need's files came to.
pub(super) struct FilesRead {
    pub(super) shelved: CachedCert,
    pub(super) warning: Option<String>,
}

/// The files of a need, if it comes from files.
pub(super) fn files_of(need: &DesiredCert) -> Option<(&PathBuf, &PathBuf)> {
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
pub(super) fn read_files(need: &DesiredCert, nothing_held: bool, now: Timestamp) -> Result<FilesRead, FilesRefused> {
    let Source::Files { chain, key, at } = &need.source else { return Err(FilesRefused::of_ours()) };
    let read = files::read(chain, key, &need.names, now, nothing_held);
    let refused = |error: FilesError| FilesRefused {
        words: ErrorChain(&error).to_string(),
        remedy: error.remedy(&at.0),
        right_from: error.right_from(),
    };
    let FromFiles { bundle, warning } = read.map_err(refused)?;
    // The files stay where they are: their key is not ours to store.
    let shelved = CachedCert::new(Arc::new(bundle), Arc::new(Secret::new(String::new())), None);
    Ok(FilesRead { shelved, warning })
}
