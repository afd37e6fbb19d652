//! Files that a configuration names: opened only if they are files. Opening a pipe without a writer never returns,
//! and reading one takes what another program wrote.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Opens a file; anything else, such as a pipe or a folder, is an error. Blocks for as long as the file system does.
pub fn open(path: &Path) -> io::Result<File> {
    // Asked before it is opened, see the module.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    File::open(path)
}

/// Reads a file of at most `most` bytes.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {} KiB", most >> 10)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_without_a_writer_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        #[expect(clippy::disallowed_methods, reason = "the standard library makes no named pipe")]
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(read(&pipe, 1).unwrap_err().to_string(), "it is not a file");
        assert_eq!(read(folder.path(), 1).unwrap_err().to_string(), "it is not a file");
        assert_eq!(read(&folder.path().join("none"), 1).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, vec![b'x'; 2048]).unwrap();
        assert_eq!(read(&file, 2048).unwrap().len(), 2048);
        assert_eq!(read(&file, 2047).unwrap_err().to_string(), "it has more than 1 KiB");
    }
}
