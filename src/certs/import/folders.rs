//! Folders and files of settings, as every store is made of.

use std::fs;
use std::path::{Path, PathBuf};

/// Entries of one folder that are looked at.
const MAX_ENTRIES: usize = 20_000;

/// The folders in a folder, sorted; none when it cannot be read.
pub(super) fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten().take(MAX_ENTRIES);
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// The last part of a path as text.
pub(super) fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The value of `NAME = value` or `NAME='value'` in a file of such lines.
pub(super) fn setting(text: &str, wanted: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let value = value.trim().trim_matches(['\'', '"']);
        (name.trim() == wanted && !value.is_empty()).then(|| value.to_owned())
    })
}
