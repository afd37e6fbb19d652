//! The journal: the only file that names sled. It may be lost at any time without losing a certificate or a key.
//!
//! sled 0.34.7 is fenced in: it is opened on a thread of its own, because damaged files make it panic; every step is
//! flushed and then synced through a handle of ours, because its own flush reaches no device; a stray
//! `snap.*.generating` is removed first, because one makes it refuse to open for ever (sled#1527).

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::atomic_file::{self, FileError};

/// Records are a few hundred bytes each; sled's own default is a gigabyte.
const CACHE: u64 = 8 << 20;

/// What sled reads and writes at once, in memory and on the disk; its own default is 512 KiB. Records that do not fit
/// become files of their own.
const SEGMENT: usize = 64 << 10;

/// An open journal.
pub struct Journal {
    db: sled::Db,
    folder: PathBuf,
    /// Inode of the `db` file, to notice that the folder was removed or replaced under us.
    inode: u64,
}

/// One change; `None` removes.
pub type Change = (String, Option<Vec<u8>>);

/// All that a journal held when it was opened.
pub type Entries = Vec<(String, Vec<u8>)>;

/// Why the journal could not be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The folder itself.
    #[error(transparent)]
    File(#[from] FileError),
    /// sled refused.
    #[error("the journal refused")]
    Refused(#[source] sled::Error),
    /// sled panicked, which damaged files make it do.
    #[error("the journal's files are damaged beyond what its reader endures")]
    Panicked,
}

impl JournalError {
    /// Whether another try on the same files can succeed, since only the disk was in the way.
    pub fn is_of_the_disk(&self) -> bool {
        match self {
            Self::File(_) => true,
            Self::Refused(sled::Error::Io(error)) => error.kind() != io::ErrorKind::UnexpectedEof,
            Self::Refused(_) | Self::Panicked => false,
        }
    }
}

impl Journal {
    /// Opens or creates the journal in `folder` and reads all of it.
    pub fn open(folder: &Path) -> Result<(Self, Entries), JournalError> {
        atomic_file::make_folder(folder)?;
        remove_strays(folder);
        let owned = folder.to_owned();
        let opener = std::thread::Builder::new().name("journal-open".to_owned()).spawn(move || open_and_read(&owned));
        let opened = opener.map_err(FileError::of("open", folder))?.join();
        let (db, entries) = opened.map_err(|_| JournalError::Panicked)?.map_err(JournalError::Refused)?;
        // sled makes its files by the umask. The folder keeps others out already; the files are to say so themselves.
        let _found = atomic_file::tighten(folder);
        let inode = fs::metadata(folder.join("db")).map_err(FileError::of("read", folder))?.ino();
        Ok((Self { db, folder: folder.to_owned(), inode }, entries))
    }

    /// Writes the changes and returns when they are on the disk.
    pub fn write(&self, changes: &[Change]) -> Result<(), JournalError> {
        let written = catch_unwind(AssertUnwindSafe(|| {
            let mut batch = sled::Batch::default();
            for (key, value) in changes {
                match value {
                    Some(bytes) => batch.insert(key.as_bytes(), bytes.as_slice()),
                    None => batch.remove(key.as_bytes()),
                }
            }
            self.db.apply_batch(batch)?;
            self.db.flush().map(|_| ())
        }));
        written.map_err(|_| JournalError::Panicked)?.map_err(JournalError::Refused)?;
        let file = self.folder.join("db");
        File::open(&file).and_then(|db| db.sync_all()).map_err(FileError::of("sync", &file))?;
        Ok(())
    }

    /// Whether the files are still where they were opened.
    pub fn is_in_place(&self) -> bool {
        fs::metadata(self.folder.join("db")).is_ok_and(|facts| facts.ino() == self.inode)
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Journal({})", self.folder.display())
    }
}

fn open_and_read(folder: &Path) -> Result<(sled::Db, Entries), sled::Error> {
    // Nothing is written behind our back: each step is flushed by us.
    let db = sled::Config::new()
        .path(folder)
        .cache_capacity(CACHE)
        .segment_size(SEGMENT)
        .flush_every_ms(None)
        .mode(sled::Mode::LowSpace)
        .print_profile_on_drop(false)
        .open()?;
    let mut entries = Vec::new();
    for entry in db.iter() {
        let (key, value) = entry?;
        if let Ok(key) = std::str::from_utf8(&key) {
            entries.push((key.to_owned(), value.to_vec()));
        }
    }
    Ok((db, entries))
}

fn remove_strays(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            let _sled_then_says_why = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(journal: &Journal, key: &str, value: &str) {
        journal.write(&[(key.to_owned(), Some(value.as_bytes().to_vec()))]).unwrap();
    }

    #[test]
    fn what_was_written_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, entries) = Journal::open(dir.path()).unwrap();
        assert!(entries.is_empty());
        put(&journal, "a", "1");
        put(&journal, "b", "2");
        journal.write(&[("a".to_owned(), None)]).unwrap();
        drop(journal);
        let (_journal, entries) = Journal::open(dir.path()).unwrap();
        assert_eq!(entries, [("b".to_owned(), b"2".to_vec())]);
    }

    #[test]
    fn its_files_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (_journal, _) = Journal::open(dir.path()).unwrap();
        for entry in fs::read_dir(dir.path()).unwrap().flatten() {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", entry.path().display());
        }
    }

    #[test]
    fn a_snapshot_left_by_a_crash_does_not_keep_it_shut() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path()).unwrap();
        put(&journal, "a", "1");
        drop(journal);
        fs::write(dir.path().join("snap.00000000000000FF.generating"), "").unwrap();
        assert_eq!(Journal::open(dir.path()).unwrap().1.len(), 1);
    }

    #[test]
    fn a_removed_folder_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("journal");
        let (journal, _) = Journal::open(&folder).unwrap();
        assert!(journal.is_in_place());
        fs::remove_dir_all(&folder).unwrap();
        assert!(!journal.is_in_place());
    }

    #[test]
    fn garbage_is_an_error_and_never_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path()).unwrap();
        put(&journal, "a", "1");
        drop(journal);
        fs::write(dir.path().join("conf"), "garbage instead of its settings").unwrap();
        let error = Journal::open(dir.path()).unwrap_err();
        assert!(!error.is_of_the_disk(), "{error:?}");
    }
}
