//! What no `files` serves, wherever it lies: the state folder, the configuration and what it imports, files with secrets,
//! and private keys.
//!
//! Files are prebuilt by device and inode, so that links, hard links, bind mounts and file systems that fold case make no
//! difference. Both are looked up anew for each request: a configuration or a key is replaced while the gateway runs.
//! Rejected: comparing paths, which misses hard links and mounts. A hard link to a file of the state folder is not prebuilt.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::settings::Settings;

/// See the module.
#[derive(Debug, Default)]
pub struct Private {
    state: PathBuf,
    files: Vec<PathBuf>,
}

impl Private {
    /// What these settings keep to themselves.
    pub fn of(settings: &Settings) -> Arc<Self> {
        let files = settings.private_files().into_iter().map(Path::to_owned).collect();
        Arc::new(Self { state: settings.state.clone(), files })
    }

    /// What it means now. Reads the file system.
    pub(super) fn look(&self) -> Look {
        let id = |path: &PathBuf| fs::metadata(path).ok().as_ref().map(id_of);
        Look { state: id(&self.state), files: self.files.iter().filter_map(id).collect() }
    }
}

/// The ids of what is private, at one moment.
pub(super) struct Look {
    state: Option<Id>,
    files: Vec<Id>,
}

type Id = (u64, u64);

impl Look {
    /// Whether a place is private or lies in a private folder; what is not there is not. Reads the file system.
    pub(super) fn holds(&self, place: &Path) -> bool {
        let Ok(real) = place.canonicalize() else { return false };
        let id = |path: &Path| fs::metadata(path).ok().as_ref().map(id_of);
        let is_private_file = id(&real).is_some_and(|id| self.files.contains(&id));
        is_private_file || self.state.is_some() && real.ancestors().any(|folder| id(folder) == self.state)
    }
}

fn id_of(facts: &Metadata) -> Id {
    (facts.dev(), facts.ino())
}
