//! The state folder as its owner uses it: the vault and the journal together, degraded but never in the way.
//!
//! A mirror of the journal lives in memory. What cannot be written now is written later: [`Store::tend`] is called now
//! and then, and brings a disk that was full, read-only or gone up to date again. Serving never waits for any of this: what is
//! known is read and changed in memory, also while the disk hangs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::atomic_file::{self, FileError};
use super::finding::Finding;
use super::journal::{Journal, JournalError};
use super::lock::{LockError, StateLock};
use super::pem_store::PemStore;
use super::quarantine;
use super::schema::{self, Key};
use crate::base::error_chain::ErrorChain;
use crate::base::mutex::lock;
use crate::base::time::Timestamp;

/// How long a starting process waits for its predecessor to let go of the state.
pub const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The state folder in use.
#[derive(Debug)]
pub struct Store {
    vault: PemStore,
    /// What is known and what of it is to be written. Never held during a call to the disk.
    memory: Mutex<Memory>,
    /// Held during calls to the disk, which may hang: taken on threads that may block, and before `memory`.
    disk: Mutex<Disk>,
}

#[derive(Debug, Default)]
struct Disk {
    lock: Option<StateLock>,
    journal: Option<Journal>,
}

#[derive(Debug, Default)]
struct Memory {
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
        let store = Self { vault: PemStore::new(root.to_owned()), memory: Mutex::default(), disk: Mutex::default() };
        let mut findings = Vec::new();
        let mut disk = store.disk();
        match StateLock::take(root, patience) {
            Ok(lock) => {
                disk.lock = Some(lock);
                tighten(root, &mut findings);
                store.open_journal(&mut disk, now, &mut findings);
            }
            Err(in_use @ LockError::InUse { .. }) => return Err(in_use),
            Err(LockError::File(error)) => store.memory().note_trouble(&error, &mut findings),
        }
        drop(disk);
        Ok((store, findings))
    }

    /// The files.
    pub const fn vault(&self) -> &PemStore {
        &self.vault
    }

    /// Why the folder cannot be written, as far as is known. Does not block.
    pub fn trouble(&self) -> Option<String> {
        let known = self.memory().trouble.clone();
        known.or_else(|| self.hanging())
    }

    /// The call that the disk has not answered for longest, in words, if it hangs. Does not block.
    pub fn hanging(&self) -> Option<String> {
        self.vault.watch().hanging()
    }

    /// Every key of the journal. Does not block.
    pub fn keys(&self) -> Vec<Key> {
        self.memory().mirror.keys().filter_map(|text| Key::parse(text)).collect()
    }

    /// A record; a damaged one counts as none and is dropped at the next [`Store::put`] under its key. Does not block.
    pub fn get<T: DeserializeOwned>(&self, key: &Key) -> Option<T> {
        let memory = self.memory();
        schema::decode(key, memory.mirror.get(&key.to_text())?).ok()
    }

    /// Keeps a record in memory, to be written by the next [`Store::save`]. Does not block.
    pub fn note<T: Serialize>(&self, key: &Key, record: &T) {
        self.memory().put(key, record);
    }

    /// Changes a record in memory as [`Store::update`] does, to be written by the next [`Store::save`]. Does not block.
    pub fn amend<T: Serialize + DeserializeOwned + Default>(&self, key: &Key, change: impl FnOnce(&mut T)) -> T {
        let mut memory = self.memory();
        let known = memory.mirror.get(&key.to_text()).and_then(|bytes| schema::decode(key, bytes).ok());
        let mut record: T = known.unwrap_or_default();
        change(&mut record);
        memory.put(key, &record);
        record
    }

    /// Removes a record from memory, and with the next [`Store::save`] from the disk. Does not block.
    pub fn forget(&self, key: &Key) {
        let mut memory = self.memory();
        if memory.mirror.remove(&key.to_text()).is_some() {
            memory.unsaved.insert(key.to_text());
        }
    }

    /// Writes a record and returns when it is on the disk. On an error it is kept in memory and written later.
    pub fn put<T: Serialize>(&self, key: &Key, record: &T) -> Result<(), StoreError> {
        self.note(key, record);
        self.save()
    }

    /// Changes a record, or the default of one that is not there, with nobody in between; as [`Store::put`] otherwise.
    pub fn update<T: Serialize + DeserializeOwned + Default>(
        &self,
        key: &Key,
        change: impl FnOnce(&mut T),
    ) -> Result<T, StoreError> {
        let record = self.amend(key, change);
        self.save().map(|()| record)
    }

    /// Removes a record, durably.
    pub fn remove(&self, key: &Key) -> Result<(), StoreError> {
        self.forget(key);
        self.save()
    }

    /// Writes all that is in memory only. Blocks.
    pub fn save(&self) -> Result<(), StoreError> {
        if self.memory().unsaved.is_empty() {
            return Ok(());
        }
        let _call = self.vault.watch().begin("write", &self.journal_folder())?;
        self.save_to(&mut self.disk())
    }

    /// Proves that the folder can be written, with a file as large as a certificate and its key. Blocks.
    pub fn probe(&self) -> Result<(), StoreError> {
        let path = self.vault.root().join("probe");
        let _call = self.vault.watch().begin("write", &path)?;
        let _alone = self.disk();
        if let Some(why) = &self.memory().trouble {
            return Err(StoreError::Standing(why.clone()));
        }
        atomic_file::write(&path, &[b'.'; 16 * 1024])?;
        Ok(atomic_file::remove(&path)?)
    }

    /// Looks whether all is still in place and written, and repairs what is not. Cheap when all is well. Blocks, unless the
    /// disk is known to hang: then it does nothing.
    pub fn tend(&self, now: Timestamp) -> Vec<Finding> {
        let mut findings = Vec::new();
        let root = self.vault.root();
        let Ok(_call) = self.vault.watch().begin("look at", &self.journal_folder()) else { return findings };
        let mut disk = self.disk();
        let in_place = disk.journal.as_ref().is_some_and(Journal::is_in_place);
        let had_trouble = {
            let mut memory = self.memory();
            if in_place && memory.trouble.is_none() && memory.unsaved.is_empty() {
                return findings;
            }
            memory.trouble.take().is_some()
        };
        if !in_place {
            *disk = Disk::default();
            match StateLock::take(root, Duration::ZERO) {
                Ok(lock) => disk.lock = Some(lock),
                Err(error) => self.memory().note_trouble(&error, &mut findings),
            }
            if disk.lock.is_some() {
                self.open_journal(&mut disk, now, &mut findings);
            }
        }
        let troubled = self.memory().trouble.is_some();
        if !troubled && self.save_to(&mut disk).is_ok() {
            findings.push(Finding::Healed);
        }
        if had_trouble {
            findings.retain(|finding| !matches!(finding, Finding::NotWritable(_)));
        }
        findings
    }

    /// Moves something damaged out of the way.
    pub fn set_aside(&self, what: &Path, why: &str, now: Timestamp) -> Finding {
        let _call = self.vault.watch().note("set aside", what);
        let now_at = quarantine::set_aside(self.vault.root(), what, now).ok().flatten();
        Finding::SetAside { what: what.to_owned(), now_at, why: why.to_owned() }
    }

    /// Closes the journal and lets go of the folder. Blocks; what is put afterwards is in memory only.
    pub fn close(&self) {
        *self.disk() = Disk::default();
    }

    /// The disk as one that answers no write any more, until this is dropped. With `known` it is seen to hang already.
    #[cfg(test)]
    pub(crate) fn hang(&self, known: bool) -> impl Sized + use<'_> {
        let since = tokio::time::Instant::now().checked_sub(if known { super::disk_watch::SLOW * 2 } else { Duration::ZERO });
        let call = self.vault.watch().note_since("write", &self.journal_folder(), since.expect("the machine runs for longer"));
        (self.disk(), call)
    }

    fn journal_folder(&self) -> PathBuf {
        self.vault.root().join("journal")
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Every change below is complete in memory before anything that could panic.
        lock(&self.memory)
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        lock(&self.disk)
    }

    /// Opens the journal, setting a damaged one aside and starting a new one. Records in memory win over those read.
    fn open_journal(&self, disk: &mut Disk, now: Timestamp, findings: &mut Vec<Finding>) {
        let (root, folder) = (self.vault.root(), self.journal_folder());
        let opened = match Journal::open(&folder) {
            // What reads it panics as well when it can open no file.
            Err(error) if !error.is_of_the_disk() && !atomic_file::is_out_of_files(root) => {
                let why = ErrorChain(&error).to_string();
                let now_at = quarantine::set_aside(root, &folder, now).ok().flatten();
                findings.push(Finding::SetAside { what: folder.clone(), now_at, why });
                Journal::open(&folder)
            }
            opened => opened,
        };
        match opened {
            Ok((journal, entries)) => {
                disk.journal = Some(journal);
                self.memory().take_in(entries, findings);
            }
            Err(error) => self.memory().note_trouble(&error, findings),
        }
    }

    fn save_to(&self, disk: &mut Disk) -> Result<(), StoreError> {
        let changes: Vec<_> = {
            let memory = self.memory();
            if memory.unsaved.is_empty() {
                return Ok(());
            }
            if disk.journal.is_none() {
                let why = memory.trouble.clone().unwrap_or_else(|| "there is no journal".to_owned());
                return Err(StoreError::Standing(why));
            }
            memory.unsaved.iter().map(|key| (key.clone(), memory.mirror.get(key).cloned())).collect()
        };
        let written = disk.journal.as_ref().map_or(Ok(()), |journal| journal.write(&changes));
        let mut memory = self.memory();
        match written {
            Ok(()) => {
                // What changed meanwhile is written by the next save.
                for (key, value) in &changes {
                    if memory.mirror.get(key) == value.as_ref() {
                        memory.unsaved.remove(key);
                    }
                }
                Ok(())
            }
            Err(error) => {
                memory.trouble = Some(ErrorChain(&error).to_string());
                // A journal that failed once is opened anew by `tend`.
                disk.journal = None;
                Err(StoreError::Journal(error))
            }
        }
    }
}

impl Memory {
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

    fn put<T: Serialize>(&mut self, key: &Key, record: &T) {
        let bytes = schema::encode(key, record);
        if self.mirror.get(&key.to_text()) != Some(&bytes) {
            self.mirror.insert(key.to_text(), bytes);
            self.unsaved.insert(key.to_text());
        }
    }

    fn note_trouble(&mut self, error: &(dyn std::error::Error + 'static), findings: &mut Vec<Finding>) {
        let words = ErrorChain(error).to_string();
        findings.push(Finding::NotWritable(words.clone()));
        self.trouble = Some(words);
    }
}

/// Only what is ours: the state folder itself and the folders made here, not what a person keeps beside them.
fn tighten(root: &Path, findings: &mut Vec<Finding>) {
    let ours = ["accounts", "authorities", "certificates", "damaged", "journal", "pending"].map(|name| root.join(name));
    let secrets = ours.iter().any(|path| path.exists());
    let mut found = atomic_file::tighten_one(root).into_iter().collect::<Vec<_>>();
    if !secrets {
        // A fresh checkout or a folder made by the administrator: nothing was exposed, so nothing is said.
        found.retain(|laxer| laxer.failed.is_some());
    }
    found.extend(ours.iter().filter(|path| !path.ends_with("journal")).flat_map(|path| atomic_file::tighten(path)));
    // sled makes its files 0644; its folder is private, so that is no finding.
    atomic_file::tighten(&root.join("journal"));
    findings.extend(found.into_iter().map(|laxer| Finding::LooserMode {
        path: laxer.path,
        mode: laxer.mode,
        failed: laxer.failed.map(|error| error.to_string()),
    }));
}

#[cfg(test)]
mod tests;
