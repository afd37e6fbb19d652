//! Notices changed configuration files by looking: modification time, length and inode, every two seconds. Looking
//! survives what notification does not: editors that rename, symbolic links that are swapped, bind mounts.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::config::load::Loaded;

/// What is remembered of one file; `None` when it was not there.
type Print = Option<(i64, i64, u64, u64)>;

/// The files of the running configuration as they were last seen.
pub struct Watch {
    seen: Vec<(PathBuf, Print)>,
}

impl Watch {
    /// Watches what `loaded` was read from: its files, and the folders in which a new file would count.
    pub fn of(loaded: &Loaded) -> Self {
        Self::new(loaded.files_read.iter().chain(&loaded.folders_listed).cloned().collect())
    }

    /// Looks at `files` for the first time.
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self { seen: files.into_iter().map(|path| (path.clone(), print(&path))).collect() }
    }

    /// Whether any differs from when it was last looked at. Says yes once for each change.
    pub fn changed(&mut self) -> bool {
        let mut changed = false;
        for (path, seen) in &mut self.seen {
            let now = print(path);
            changed |= now != *seen;
            *seen = now;
        }
        changed
    }
}

fn print(path: &PathBuf) -> Print {
    fs::metadata(path).ok().map(|m| (m.mtime(), m.mtime_nsec(), m.len(), m.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_is_seen_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("doorward.conf");
        fs::write(&path, "a").unwrap();
        let mut watch = Watch::new(vec![path.clone()]);
        assert!(!watch.changed());
        fs::write(&path, "ab").unwrap();
        assert!(watch.changed());
        assert!(!watch.changed());
        let other = folder.path().join("new");
        fs::write(&other, "ab").unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(watch.changed());
        fs::remove_file(&path).unwrap();
        assert!(watch.changed());
        assert!(!watch.changed());
    }
}
