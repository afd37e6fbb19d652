//! What is done with something damaged: it is set aside under `damaged/` with the moment in its name, never deleted,
//! so that the rest goes on and a person can look at it.

use std::fs;
use std::path::{Path, PathBuf};

use super::atomic_file::{self, FileError};
use crate::base::time::Timestamp;

/// Moves `path` (a file or folder of the state folder `root`) to `damaged/<moment>-<where it was>`; returns where it
/// went. Something that is no longer there is no error.
pub fn set_aside(root: &Path, path: &Path, now: Timestamp) -> Result<Option<PathBuf>, FileError> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(None);
    }
    let damaged = root.join("damaged");
    atomic_file::make_folder(&damaged)?;
    let was = path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('/', "-");
    let moment = now.to_string().replace(':', "");
    let free = (0..1_000).map(|n| match n {
        0 => damaged.join(format!("{moment}-{was}")),
        n => damaged.join(format!("{moment}-{was}-{n}")),
    });
    let place = free.into_iter().find(|place| fs::symlink_metadata(place).is_err()).unwrap_or_else(|| damaged.join("last"));
    fs::rename(path, &place).map_err(FileError::of("set aside", path))?;
    let _best_effort = atomic_file::sync_folder(&damaged);
    Ok(Some(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_things_are_kept_under_a_name_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::from_unix(1_795_219_200);
        for n in 0..2 {
            let folder = dir.path().join("accounts/ca");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("key.pem"), format!("garbage {n}")).unwrap();
            let place = set_aside(dir.path(), &folder, now).unwrap().unwrap();
            assert_eq!(fs::read_to_string(place.join("key.pem")).unwrap(), format!("garbage {n}"));
            assert!(!folder.exists());
        }
        assert!(dir.path().join("damaged/2026-11-21T000000Z-accounts-ca-1").is_dir());
        assert!(set_aside(dir.path(), &dir.path().join("none"), now).unwrap().is_none());
    }
}
