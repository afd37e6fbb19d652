//! Files that are old or new after a power loss, never half, and private from their first byte.
//! Knows nothing of what the files mean.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::base::regular_file;
use crate::base::secret::Secret;

/// No file of the state is near this size; a larger one is damaged or not ours.
const LARGEST: u64 = 1 << 20;

/// A file operation that failed, with the file it was about.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}", path.display())]
pub struct FileError {
    /// `read`, `write`, ...
    pub doing: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

impl FileError {
    /// Whether the file's content is at fault, and not the disk or its permissions.
    pub fn is_damage(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, InvalidData, NotADirectory, NotFound};
        matches!(self.source.kind(), InvalidData | FileTooLarge | NotFound | NotADirectory)
    }

    /// For use in `map_err`.
    pub fn of(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { doing, path, source }
    }
}

/// Replaces the file at `path`: temporary file, fsync, rename, fsync of the folder. Mode 0600 whatever the umask.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    make_folder(folder)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = folder.join(name);
    let written = write_new(&temporary, bytes).and_then(|()| fs::rename(&temporary, path)).and_then(|()| sync_folder(folder));
    if written.is_err() {
        let _gone_or_replaced_next_time = fs::remove_file(&temporary);
    }
    written.map_err(FileError::of("write", path))
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let _left_by_a_crash = fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // A umask such as 0277 would leave a file that its owner cannot read again. Where modes cannot be changed (FAT, CIFS)
    // the mount's own decide; one that others can read is reported at the start.
    match file.set_permissions(Permissions::from_mode(0o600)) {
        Err(error) if file.metadata()?.mode() & 0o600 != 0o600 => return Err(error),
        Ok(()) | Err(_) => (),
    }
    file.write_all(bytes)?;
    sync(&file)
}

/// As `File::sync_all`, except that a file system which knows no such call for this kind of file is no failure.
fn sync(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

/// Creates the folder and its missing parents with mode 0700.
pub fn make_folder(path: &Path) -> Result<(), FileError> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_folder(parent)?;
    }
    // A umask such as 0277 would leave a folder in which its owner cannot write.
    let made = DirBuilder::new().mode(0o700).create(path);
    let private = || match fs::set_permissions(path, Permissions::from_mode(0o700)) {
        Err(error) if fs::metadata(path)?.mode() & 0o700 != 0o700 => Err(error),
        Ok(()) | Err(_) => Ok(()),
    };
    match made.and_then(|()| private()) {
        Err(_) if is_dangling(path) => return Err(FileError::of("create the folder", path)(dangling(path))),
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !path.is_dir() => {
            return Err(FileError::of("create the folder", path)(error));
        }
        // Somebody may have been quicker.
        Ok(()) | Err(_) => (),
    }
    if let Some(parent) = parent {
        let _best_effort = sync_folder(parent);
    }
    Ok(())
}

fn is_dangling(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|facts| facts.is_symlink()) && fs::metadata(path).is_err()
}

/// The system only says that the file exists, which sends people looking for a file.
fn dangling(path: &Path) -> io::Error {
    let to = fs::read_link(path).unwrap_or_default();
    io::Error::other(format!(
        "it is a symbolic link to {}, which is not there; create that folder (is its file system mounted?), or remove the link",
        to.display()
    ))
}

/// Makes the folder's own entries durable, where the file system can.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    sync(&File::open(path)?)
}

/// Reads a text file of at most 1 MiB; `None` when there is none.
pub fn read(path: &Path) -> Result<Option<String>, FileError> {
    let file = match regular_file::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::of("read", path)(error)),
    };
    let mut text = String::new();
    match file.take(LARGEST + 1).read_to_string(&mut text) {
        Ok(_) if text.len() as u64 > LARGEST => {
            Err(FileError::of("read", path)(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 1 MiB")))
        }
        Ok(_) => Ok(Some(text)),
        Err(error) => Err(FileError::of("read", path)(error)),
    }
}

/// As [`read`], for keys.
pub fn read_secret(path: &Path) -> Result<Option<Secret<String>>, FileError> {
    Ok(read(path)?.map(Secret::new))
}

/// Removes the file; one that is not there is no error.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::of("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Takes away what group and others may do with `path` and everything below it; symbolic links are left alone.
/// Returns what was laxer, with the mode it had, and what could not be changed.
pub fn tighten(path: &Path) -> Vec<LooserMode> {
    let mut found = Vec::new();
    tighten_into(path, 8, &mut found);
    found
}

/// A file or folder that others could read.
#[derive(Debug)]
pub struct LooserMode {
    /// Which.
    pub path: PathBuf,
    /// Its mode until now, such as `0o644`.
    pub mode: u32,
    /// Why it could not be made private, if so.
    pub failed: Option<io::Error>,
}

/// As [`tighten`] for this one file or folder, leaving what is below it.
pub fn tighten_one(path: &Path) -> Option<LooserMode> {
    let facts = fs::symlink_metadata(path).ok().filter(|facts| !facts.is_symlink())?;
    let mode = facts.mode() & 0o7777;
    (mode & 0o077 != 0).then(|| {
        let failed = fs::set_permissions(path, Permissions::from_mode(mode & 0o7700)).err();
        LooserMode { path: path.to_owned(), mode, failed }
    })
}

fn tighten_into(path: &Path, depth: u8, found: &mut Vec<LooserMode>) {
    found.extend(tighten_one(path));
    if fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir()) && depth > 0 {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            tighten_into(&entry.path(), depth - 1, found);
        }
    }
}

/// Names of the folders directly in `path`, sorted; nothing when there is no such folder. A folder that cannot be listed now,
/// for lack of descriptors or because of the disk, is an error and not an empty one.
pub fn folders(path: &Path) -> Result<Vec<String>, FileError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    let mut names: Vec<String> = entries
        .map_err(FileError::of("list", path))?
        .into_iter()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Whether the process is out of file descriptors, by opening a few more than any reader of ours needs at a time.
pub fn is_out_of_files(path: &Path) -> bool {
    const SOME: usize = 16;
    const OUT: [i32; 2] = [23, 24]; // ENFILE, EMFILE
    let opened: Vec<io::Result<File>> = (0..SOME).map(|_| File::open(path)).collect();
    opened.iter().filter_map(|opened| opened.as_ref().err()?.raw_os_error()).any(|error| OUT.contains(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_listed_is_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(folders(dir.path()).unwrap(), ["a", "b"]);
        assert_eq!(folders(&dir.path().join("none")).unwrap(), [] as [String; 0]);
        assert_eq!(folders(&dir.path().join("file")).unwrap(), [] as [String; 0]);
        let too_long = dir.path().join("x".repeat(300));
        assert!(folders(&too_long).is_err_and(|error| !error.is_damage()), "the system refuses it");
        assert!(!is_out_of_files(dir.path()));
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_write_replaces_whole_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/key.pem");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn what_a_crash_left_of_a_write_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        fs::write(dir.path().join("key.pem.new"), "half").unwrap();
        write(&path, b"whole").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("whole"));
    }

    #[test]
    fn a_link_to_nowhere_in_the_place_of_a_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        std::os::unix::fs::symlink("/nowhere/at-all", &path).unwrap();
        let said = crate::base::error_chain::ErrorChain(&make_folder(&path).unwrap_err()).to_string();
        assert!(said.contains("a symbolic link to /nowhere/at-all, which is not there"), "{said}");
    }

    #[test]
    fn a_huge_or_foreign_file_is_an_error_and_a_missing_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        assert!(read(&path).unwrap().is_none());
        fs::write(&path, vec![b'x'; 2 << 20]).unwrap();
        assert!(read(&path).is_err());
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(read(&path).is_err());
    }

    #[test]
    fn laxer_modes_are_tightened_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d/key.pem");
        write(&path, b"secret").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let found = tighten(&dir.path().join("d"));
        assert_eq!(found.iter().map(|l| (l.path.as_path(), l.mode)).collect::<Vec<_>>(), [(path.as_path(), 0o644)]);
        assert_eq!(mode(&path), 0o600);
        assert!(tighten(&dir.path().join("d")).is_empty());
    }
}
