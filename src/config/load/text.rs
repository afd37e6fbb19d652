//! Text of a file or a pipe: of bounded size, and UTF-8.

use std::io;
use std::path::Path;

use crate::base::regular_file;

/// Ten thousand sites fit into a quarter of it.
pub(super) const LARGEST: u64 = 4 << 20;

/// No secret is longer.
pub(super) const LARGEST_SECRET: u64 = 64 << 10;

/// Reads a whole file that must be a file, of bounded size, and UTF-8.
pub(super) fn read_text(path: &Path, largest: u64) -> io::Result<String> {
    text_of(regular_file::read(path, largest)?, largest)
}

pub(super) fn text_of(bytes: Vec<u8>, largest: u64) -> io::Result<String> {
    if bytes.len() as u64 > largest {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {} KiB", largest >> 10)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is not UTF-8"))
    })
}
