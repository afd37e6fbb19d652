//! The state folder as its owner uses it: the vault and the journal together, degraded but never in the way.
//!
//! A mirror of the journal lives in memory. What cannot be written now is written later: [`Store::tend`] is called now
//! and then, and brings a disk that was full, read-only or gone up to date again. Serving never waits for any of this.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::durable::{self, FileError};
use super::finding::Finding;
use super::heal;
use super::journal::{Journal, JournalError};
use super::lock::{LockError, StateLock};
use super::schema::{self, Key};
use super::vault::Vault;
use crate::base::chain::Chain;
use crate::base::time::Timestamp;

/// How long a starting process waits for its predecessor to let go of the state.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The state folder in use.
#[derive(Debug)]
pub struct Store {
    vault: Vault,
    /// Everything but the files of the vault. Held across disk writes: callers are on blocking threads.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    lock: Option<StateLock>,
    journal: Option<Journal>,
    mirror: BTreeMap<String, Vec<u8>>,
    /// Keys whose latest value is not on the disk.
    unsaved: BTreeSet<String>,
    /// The mirror holds all that the journal held: a key it lacks was removed.
    whole: bool,
    trouble: Option<String>,
}

/// Nothing was written, for now; what it was is kept in memory and written later.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The journal.
    #[error("cannot write the journal")]
    Journal(#[source] JournalError),
    /// An earlier failure that still stands.
    #[error("the state folder cannot be written: {0}")]
    Standing(String),
}

impl Store {
    /// Opens the state folder. A folder that cannot be written is a finding, not an error.
    ///
    /// # Errors
    /// Only when another process uses the folder.
    pub fn open(root: &Path, patience: Duration, now: Timestamp) -> Result<(Self, Vec<Finding>), LockError> {
        let store = Self { vault: Vault::new(root.to_owned()), inner: Mutex::default() };
        let mut findings = Vec::new();
        let mut inner = store.inner();
        match StateLock::take(root, patience) {
            Ok(lock) => {
                inner.lock = Some(lock);
                tighten(root, &mut findings);
                inner.open_journal(root, now, &mut findings);
            }
            Err(in_use @ LockError::InUse { .. }) => return Err(in_use),
            Err(LockError::File(error)) => inner.note_trouble(&error, &mut findings),
        }
        drop(inner);
        Ok((store, findings))
    }

    /// The files.
    pub const fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Why the folder cannot be written, as far as is known.
    pub fn trouble(&self) -> Option<String> {
        self.inner().trouble.clone()
    }

    /// Every key of the journal.
    pub fn keys(&self) -> Vec<Key> {
        self.inner().mirror.keys().filter_map(|text| Key::parse(text)).collect()
    }

    /// A record; a damaged one counts as none and is dropped at the next [`Store::put`] under its key.
    pub fn get<T: DeserializeOwned>(&self, key: &Key) -> Option<T> {
        let inner = self.inner();
        schema::decode(key, inner.mirror.get(&key.to_text())?).ok()
    }

    /// Writes a record and returns when it is on the disk. On an error it is kept in memory and written later.
    pub fn put<T: Serialize>(&self, key: &Key, record: &T) -> Result<(), StoreError> {
        self.inner().put(key, record)
    }

    /// Changes a record, or the default of one that is not there, with nobody in between; as [`Store::put`] otherwise.
    pub fn update<T: Serialize + DeserializeOwned + Default>(
        &self,
        key: &Key,
        change: impl FnOnce(&mut T),
    ) -> Result<T, StoreError> {
        let mut inner = self.inner();
        let known = inner.mirror.get(&key.to_text()).and_then(|bytes| schema::decode(key, bytes).ok());
        let mut record: T = known.unwrap_or_default();
        change(&mut record);
        inner.put(key, &record).map(|()| record)
    }

    /// Removes a record, durably.
    pub fn remove(&self, key: &Key) -> Result<(), StoreError> {
        let mut inner = self.inner();
        if inner.mirror.remove(&key.to_text()).is_none() {
            return Ok(());
        }
        inner.unsaved.insert(key.to_text());
        inner.save()
    }

    /// Proves that the folder can be written, with a file as large as a certificate and its key.
    pub fn probe(&self) -> Result<(), StoreError> {
        let inner = self.inner();
        if let Some(why) = &inner.trouble {
            return Err(StoreError::Standing(why.clone()));
        }
        let path = self.vault.root().join("probe");
        durable::write(&path, &[b'.'; 16 * 1024])?;
        Ok(durable::remove(&path)?)
    }

    /// Looks whether all is still in place and written, and repairs what is not. Cheap when all is well.
    pub fn tend(&self, now: Timestamp) -> Vec<Finding> {
        let mut findings = Vec::new();
        let root = self.vault.root();
        let mut inner = self.inner();
        let in_place = inner.journal.as_ref().is_some_and(Journal::is_in_place);
        if in_place && inner.trouble.is_none() && inner.unsaved.is_empty() {
            return findings;
        }
        let had_trouble = inner.trouble.take().is_some();
        if !in_place {
            inner.journal = None;
            inner.lock = None;
            match StateLock::take(root, Duration::ZERO) {
                Ok(lock) => inner.lock = Some(lock),
                Err(error) => inner.note_trouble(&error, &mut findings),
            }
            if inner.lock.is_some() {
                inner.open_journal(root, now, &mut findings);
            }
        }
        if inner.trouble.is_none() && inner.save().is_ok() {
            findings.push(Finding::Healed);
        }
        if had_trouble {
            findings.retain(|finding| !matches!(finding, Finding::NotWritable(_)));
        }
        findings
    }

    /// Moves something damaged out of the way.
    pub fn set_aside(&self, what: &Path, why: &str, now: Timestamp) -> Finding {
        let now_at = heal::set_aside(self.vault.root(), what, now).ok().flatten();
        Finding::SetAside { what: what.to_owned(), now_at, why: why.to_owned() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Every change below is complete in memory before anything that could panic.
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Inner {
    /// Opens the journal, setting a damaged one aside and starting a new one. Records in memory win over those read.
    fn open_journal(&mut self, root: &Path, now: Timestamp, findings: &mut Vec<Finding>) {
        let folder = root.join("journal");
        let opened = match Journal::open(&folder) {
            // What reads it panics as well when it can open no file.
            Err(error) if !error.is_of_the_disk() && !durable::is_out_of_files(root) => {
                let why = Chain(&error).to_string();
                let now_at = heal::set_aside(root, &folder, now).ok().flatten();
                findings.push(Finding::SetAside { what: folder.clone(), now_at, why });
                Journal::open(&folder)
            }
            opened => opened,
        };
        match opened {
            Ok((journal, entries)) => {
                self.journal = Some(journal);
                self.take_in(entries, findings);
            }
            Err(error) => self.note_trouble(&error, findings),
        }
    }

    fn take_in(&mut self, entries: Vec<(String, Vec<u8>)>, findings: &mut Vec<Finding>) {
        // What is in memory is newer than what is on the disk.
        self.unsaved.extend(self.mirror.keys().cloned());
        let removed = std::mem::replace(&mut self.whole, true);
        for (text, bytes) in entries {
            if self.mirror.contains_key(&text) {
                continue;
            }
            if removed {
                self.unsaved.insert(text);
                continue;
            }
            let why = match Key::parse(&text) {
                // Keys of a newer version stay where they are, unread.
                None => continue,
                Some(key) => schema::decode::<serde_json::Value>(&key, &bytes).err(),
            };
            match why {
                None => _ = self.mirror.insert(text, bytes),
                Some(why) => {
                    findings.push(Finding::RecordDropped { key: text.clone(), why: why.to_string() });
                    self.unsaved.insert(text);
                }
            }
        }
    }

    fn put<T: Serialize>(&mut self, key: &Key, record: &T) -> Result<(), StoreError> {
        let bytes = schema::encode(key, record);
        if self.mirror.get(&key.to_text()) == Some(&bytes) && self.unsaved.is_empty() {
            return Ok(());
        }
        self.mirror.insert(key.to_text(), bytes);
        self.unsaved.insert(key.to_text());
        self.save()
    }

    fn save(&mut self) -> Result<(), StoreError> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        let Some(journal) = &self.journal else {
            return Err(StoreError::Standing(self.trouble.clone().unwrap_or_else(|| "there is no journal".to_owned())));
        };
        let changes: Vec<_> = self.unsaved.iter().map(|key| (key.clone(), self.mirror.get(key).cloned())).collect();
        match journal.write(&changes) {
            Ok(()) => {
                self.unsaved.clear();
                Ok(())
            }
            Err(error) => {
                self.trouble = Some(Chain(&error).to_string());
                // A journal that failed once is opened anew by `tend`.
                self.journal = None;
                Err(StoreError::Journal(error))
            }
        }
    }

    fn note_trouble(&mut self, error: &(dyn std::error::Error + 'static), findings: &mut Vec<Finding>) {
        let words = Chain(error).to_string();
        findings.push(Finding::NotWritable(words.clone()));
        self.trouble = Some(words);
    }
}

/// Only what is ours: the state folder itself and the folders made here, not what a person keeps beside them.
fn tighten(root: &Path, findings: &mut Vec<Finding>) {
    let ours = ["accounts", "authorities", "certificates", "damaged", "journal", "pending"].map(|name| root.join(name));
    let secrets = ours.iter().any(|path| path.exists());
    let mut found = durable::tighten_one(root).into_iter().collect::<Vec<_>>();
    if !secrets {
        // A fresh checkout or a folder made by the administrator: nothing was exposed, so nothing is said.
        found.retain(|laxer| laxer.failed.is_some());
    }
    found.extend(ours.iter().filter(|path| !path.ends_with("journal")).flat_map(|path| durable::tighten(path)));
    // sled makes its files 0644; its folder is private, so that is no finding.
    durable::tighten(&root.join("journal"));
    findings.extend(found.into_iter().map(|laxer| Finding::Laxer {
        path: laxer.path,
        mode: laxer.mode,
        failed: laxer.failed.map(|error| error.to_string()),
    }));
}

#[cfg(test)]
mod tests;
