//! A small disk that can be full. It needs root, or sudo that asks no password, like the tests' own installation.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::process;

/// A mounted file system in memory; unmounted when it is dropped.
pub struct Disk {
    folder: TempDir,
}

impl Disk {
    /// Mounts one of this size (`2m`).
    pub fn mount(size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (user, group) = (id("-u"), id("-g"));
        as_root(&[
            "mount",
            "-t",
            "tmpfs",
            "-o",
            &format!("size={size},mode=0700,uid={user},gid={group}"),
            "doorward-yard",
            &text(folder.path()),
        ]);
        Self { folder }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes until nothing more fits.
    pub fn fill(&self) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.filler()).unwrap();
        for size in [64 << 10, 4 << 10, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Takes back what [`Disk::fill`] wrote.
    pub fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        as_root(&["umount", "--lazy", &text(self.folder.path())]);
    }
}

fn as_root(words: &[&str]) {
    let mut command = if id("-u") == "0" {
        process::command(words[0])
    } else {
        let mut sudo = process::command("sudo");
        sudo.args(["-n", words[0]]);
        sudo
    };
    let output = process::run(words[0], command.args(&words[1..]), super::wait::LIMIT);
    assert!(
        output.status.success(),
        "{words:?} needs root or sudo without a password: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn id(flag: &str) -> String {
    let output = process::run("id", process::command("id").arg(flag), super::wait::LIMIT);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
