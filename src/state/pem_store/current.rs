//! `current`: where other programs find the newest pair of a slot.
//!
//! A symbolic link where the file system has them, else a folder with copies of the two files (CIFS, exFAT and FUSE mounts
//! of object stores have no links; `cp -rL`, `scp -r` and `aws s3 sync` restore a folder where a link was). It is a
//! convenience: a pair is stored whether or not `current` can be made to name it.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::super::atomic_file::{self, FileError};

/// Name of the link or folder.
const CURRENT: &str = "current";
/// Its successor, until it is complete.
const NEW: &str = ".current.new";
/// What stood in the way, until its successor is in place.
const OLD: &str = ".current.old";

/// Makes `current` in a slot's folder name this generation, whatever stands there now.
pub(super) fn point(folder: &Path, generation: u64) -> Result<(), FileError> {
    let (current, new) = (folder.join(CURRENT), folder.join(NEW));
    clear(&new).map_err(FileError::of("remove", &new))?;
    match symlink(generation.to_string(), &new) {
        Ok(()) => (),
        // Only links are missing here: a full or read-only disk refuses the copies as well.
        Err(_) => copy(&folder.join(generation.to_string()), &new)?,
    }
    swap(folder).and_then(|()| atomic_file::sync_folder(folder)).map_err(FileError::of("point", &current))
}

/// Whether `current` names this generation. A folder counts when its files are those of the generation.
pub(super) fn names(folder: &Path, generation: u64) -> bool {
    let current = folder.join(CURRENT);
    match fs::symlink_metadata(&current) {
        Ok(facts) if facts.is_symlink() => fs::read_link(&current).is_ok_and(|to| to == Path::new(&generation.to_string())),
        Ok(facts) if facts.is_dir() => {
            let same = |file: &str| {
                let (held, copied) = (folder.join(generation.to_string()).join(file), current.join(file));
                fs::read(held).ok().zip(fs::read(copied).ok()).is_some_and(|(held, copied)| held == copied)
            };
            same("cert.pem") && same("key.pem")
        }
        Ok(_) | Err(_) => false,
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), FileError> {
    for file in ["key.pem", "cert.pem"] {
        let source = from.join(file);
        let bytes = fs::read(&source).map_err(FileError::of("read", &source))?;
        atomic_file::write(&to.join(file), &bytes)?;
    }
    Ok(())
}

/// A rename replaces a link, a file or an empty folder in one step. A folder with files is moved out of the way first, so
/// for an instant there is no `current`; the generations themselves are never touched.
fn swap(folder: &Path) -> io::Result<()> {
    let (current, new, old) = (folder.join(CURRENT), folder.join(NEW), folder.join(OLD));
    if fs::rename(&new, &current).is_ok() {
        return Ok(());
    }
    clear(&old)?;
    fs::rename(&current, &old)?;
    fs::rename(&new, &current)?;
    clear(&old)
}

/// Removes a link, a file or a folder with what is in it; nothing there is no error.
fn clear(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(facts) if facts.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slot's folder with two generations.
    fn slot() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for n in 1..=2 {
            atomic_file::write(&dir.path().join(format!("{n}/key.pem")), format!("key {n}").as_bytes()).unwrap();
            atomic_file::write(&dir.path().join(format!("{n}/cert.pem")), format!("cert {n}").as_bytes()).unwrap();
        }
        dir
    }

    fn key(folder: &Path) -> String {
        fs::read_to_string(folder.join("current/key.pem")).unwrap()
    }

    #[test]
    fn whatever_stands_in_the_way_is_replaced() {
        for in_the_way in ["a copy", "a file", "a link to nowhere", "an empty folder", "nothing"] {
            let dir = slot();
            let (folder, current) = (dir.path(), dir.path().join("current"));
            match in_the_way {
                "a copy" => copy(&folder.join("1"), &current).unwrap(),
                "a file" => fs::write(&current, "1").unwrap(),
                "a link to nowhere" => symlink("7", &current).unwrap(),
                "an empty folder" => fs::create_dir(&current).unwrap(),
                _ => (),
            }
            assert!(!names(folder, 2), "{in_the_way}");
            point(folder, 2).unwrap();
            assert!(names(folder, 2) && !names(folder, 1) && key(folder) == "key 2", "{in_the_way}");
            let mut left: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            left.sort();
            assert_eq!(left, ["1", "2", "current"], "{in_the_way}");
        }
    }

    #[test]
    fn copies_take_the_place_of_a_link_and_of_older_copies() {
        let dir = slot();
        let folder = dir.path();
        for generation in [1, 2] {
            // As where the file system has no links.
            copy(&folder.join(generation.to_string()), &folder.join(NEW)).unwrap();
            swap(folder).unwrap();
            assert!(names(folder, generation) && key(folder) == format!("key {generation}"));
        }
        assert!(fs::symlink_metadata(folder.join("current")).unwrap().is_dir());
    }
}
