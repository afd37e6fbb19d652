//! Where the yard's programs are. The first who asks has `tests/yard.sh` set the yard up; what it cannot get is a
//! failure of the test, never a skip.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use super::process;

/// The repository's folder.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file among the yard's own scripts, `tests/yard/`.
pub fn script(name: &str) -> PathBuf {
    repository().join("tests/yard").join(name)
}

/// A program or folder of the yard, such as `python/bin/python`.
pub fn tool(path: &str) -> PathBuf {
    static YARD: OnceLock<PathBuf> = OnceLock::new();
    YARD.get_or_init(set_up).join(path)
}

fn set_up() -> PathBuf {
    let mut command = process::command(repository().join("tests/yard.sh"));
    let output = process::run("tests/yard.sh", command.arg("--print"), Duration::from_secs(600));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "the test yard is not complete:\n{said}");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    PathBuf::from(printed.lines().last().expect("--print writes the folder"))
}
