//! One process for one state folder. The lock is the kernel's, so a crash never leaves a stale one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::atomic_file::{self, FileError};

/// Held for as long as the state is in use.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(
        "the state folder {} is in use by another doorward{}; stop that one, or give this one a `state` folder of its own",
        folder.display(),
        holder(pid)
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// What the other wrote into the lock file.
        pid: Option<u32>,
    },
    /// The lock file could not be made: the folder cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl StateLock {
    /// Takes the lock, trying again for `patience` while another has it: a predecessor may be about to end.
    pub fn take(folder: &Path, patience: Duration) -> Result<Self, LockError> {
        const STEP: Duration = Duration::from_millis(100);
        let mut tries = patience.as_millis() / STEP.as_millis();
        loop {
            match Self::try_take(folder) {
                Err(LockError::InUse { .. }) if tries > 0 => tries -= 1,
                settled => return settled,
            }
            #[expect(clippy::disallowed_methods, reason = "another process's lock announces nothing, and nothing is served yet")]
            std::thread::sleep(STEP);
        }
    }

    fn try_take(folder: &Path) -> Result<Self, LockError> {
        atomic_file::make_folder(folder)?;
        let path = folder.join("lock");
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = opened.map_err(FileError::of("open", &path))?;
        match file.try_lock() {
            Ok(()) => {
                // For people only; the lock itself is what counts.
                let _ignored = file.set_len(0).and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
                Ok(Self { _file: file })
            }
            Err(TryLockError::WouldBlock) => Err(LockError::InUse { folder: folder.to_owned(), pid: read_pid(&mut file) }),
            Err(TryLockError::Error(error)) => Err(FileError::of("lock", &path)(error).into()),
        }
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn holder(pid: &Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_with_the_first_ones_process_and_may_enter_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateLock::take(dir.path(), Duration::ZERO).unwrap();
        let error = StateLock::take(dir.path(), Duration::from_millis(100)).unwrap_err();
        assert!(error.to_string().contains(&format!("(process {})", std::process::id())), "{error}");
        drop(first);
        StateLock::take(dir.path(), Duration::ZERO).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_is_not_taken_for_a_locked_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(StateLock::take(&file.join("state"), Duration::ZERO), Err(LockError::File(_))));
    }
}
