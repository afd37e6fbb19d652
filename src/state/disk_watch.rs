//! Which calls the disk of the state folder has not answered yet. A network share or a dying disk may hold a call for ever; it
//! is then named, and later calls are refused at once, so that threads do not pile up behind it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::atomic_file::FileError;
use crate::base::mutex::lock;

/// From then on a call that has not returned counts as one that hangs. A busy disk takes a second or two for a write.
pub const SLOW: Duration = Duration::from_secs(10);

/// The calls under way. Cloning is cheap; clones share one list, whose lock is never held during a call.
#[derive(Clone, Debug, Default)]
pub struct DiskWatch(Arc<Mutex<Calls>>);

#[derive(Debug, Default)]
struct Calls {
    next: u64,
    running: BTreeMap<u64, Running>,
}

#[derive(Debug)]
struct Running {
    doing: &'static str,
    path: PathBuf,
    since: Instant,
}

/// A call under way; it has returned when this is dropped.
#[derive(Debug)]
pub struct DiskCall {
    watch: DiskWatch,
    number: u64,
}

impl DiskWatch {
    /// Notes a call that begins now; `doing` is `read`, `write`, ...
    ///
    /// # Errors
    /// While another one hangs: this one would hang as well.
    pub fn begin(&self, doing: &'static str, path: &Path) -> Result<DiskCall, FileError> {
        match self.hanging() {
            Some(hanging) => Err(FileError::of(doing, path)(io::Error::new(io::ErrorKind::TimedOut, hanging))),
            None => Ok(self.note(doing, path)),
        }
    }

    /// As [`DiskWatch::begin`], for a call that is made in any case.
    pub fn note(&self, doing: &'static str, path: &Path) -> DiskCall {
        self.note_since(doing, path, Instant::now())
    }

    /// The call that has hung for longest, in words, if one does.
    pub fn hanging(&self) -> Option<String> {
        let calls = self.calls();
        let eldest = calls.running.values().min_by_key(|call| call.since)?;
        let taken = eldest.since.elapsed();
        (taken >= SLOW).then(|| {
            let (doing, path) = (eldest.doing, eldest.path.display());
            format!("the disk of the state folder does not answer: to {doing} {path} takes {} s so far", taken.as_secs())
        })
    }

    /// A call that began in the past.
    pub(super) fn note_since(&self, doing: &'static str, path: &Path, since: Instant) -> DiskCall {
        let mut calls = self.calls();
        let number = calls.next;
        calls.next += 1;
        calls.running.insert(number, Running { doing, path: path.to_owned(), since });
        DiskCall { watch: self.clone(), number }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        lock(&self.0)
    }
}

impl Drop for DiskCall {
    fn drop(&mut self) {
        self.watch.calls().running.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_hangs_is_named_and_refuses_others_until_it_returns() {
        let watch = DiskWatch::default();
        let path = Path::new("/state/journal");
        let quick = watch.begin("write", path).unwrap();
        assert_eq!(watch.hanging(), None);
        let since = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        let slow = watch.note_since("write", path, since);
        let said = watch.hanging().unwrap();
        assert!(said.starts_with("the disk of the state folder does not answer: to write /state/journal takes 6"), "{said}");
        let refused = watch.begin("read", Path::new("/state/a")).unwrap_err();
        assert!(!refused.is_damage(), "nothing is set aside for it");
        assert_eq!(refused.to_string(), "cannot read /state/a");
        drop(slow);
        assert_eq!(watch.hanging(), None);
        assert!(watch.begin("read", path).is_ok());
        drop(quick);
    }
}
