//! The state folder: whether it is there, private, and takes what must not be lost.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::admin::api::StatusReport;
use crate::base::error_chain::ErrorChain;
use crate::base::task;
use crate::certs::preflight::finding::Finding;
use crate::state::atomic_file;

const CHECK: &str = "state";

/// Examines a folder as the user who asks; what the running gateway says of it counts more.
pub async fn examine(folder: &Path, running: Option<&StatusReport>) -> Finding {
    let path = folder.to_owned();
    let facts = task::blocking("state", move || gather(&path)).await;
    judge(folder, facts.unwrap_or(Facts::Absent), running)
}

#[derive(Debug)]
enum Facts {
    Absent,
    /// Its mode, and whether a file in it was written, made durable and read back.
    There {
        mode: u32,
        written: Result<(), String>,
        /// What kind of failure that was.
        kind: Option<io::ErrorKind>,
    },
}

fn gather(folder: &Path) -> Facts {
    let Ok(metadata) = fs::metadata(folder) else { return Facts::Absent };
    let file: PathBuf = folder.join(format!(".doctor.{}", std::process::id()));
    let text = "doorward doctor was here\n";
    let written = atomic_file::write(&file, text.as_bytes()).and_then(|()| atomic_file::read(&file));
    let _best_effort = atomic_file::remove(&file);
    let kind = written.as_ref().err().map(|error| error.source.kind());
    let written = match written {
        Ok(Some(read)) if read == text => Ok(()),
        Ok(_) => Err("what was written there did not come back".to_owned()),
        Err(error) => Err(ErrorChain(&error).to_string()),
    };
    Facts::There { mode: metadata.mode() & 0o7777, written, kind }
}

fn judge(folder: &Path, facts: Facts, running: Option<&StatusReport>) -> Finding {
    let about = folder.display().to_string();
    let trouble = |seen: String, expected: &str, repair: String| Finding::trouble(CHECK, &about, seen, expected, repair);
    let alarm = running.and_then(|status| status.alarms.iter().find(|alarm| alarm.contains("state folder")));
    if let Some(alarm) = alarm {
        let repair = match &facts {
            Facts::There { kind: Some(kind), .. } => repair(*kind),
            _ => {
                "let the gateway's user write there (ReadWritePaths= in the unit, where systemd runs it), or make room on the disk"
            }
        };
        return trouble(
            format!("the gateway says: {alarm}"),
            "a folder that takes files",
            format!("{repair}; the rest goes by itself"),
        );
    }
    match facts {
        Facts::Absent => Finding::fine(CHECK, &about, "it is not there yet, and will be made at the first start"),
        // The gateway writes there, or it would have said so.
        Facts::There { kind: Some(io::ErrorKind::PermissionDenied), mode, .. } if running.is_some() => {
            lax(mode, &about).unwrap_or_else(|| Finding::fine(CHECK, &about, "private, and the gateway's own user writes there"))
        }
        Facts::There { written: Err(why), kind: Some(io::ErrorKind::PermissionDenied), .. } => trouble(
            why,
            "a folder that takes files",
            "run this as the gateway's user, or with sudo; the folder is that user's alone".to_owned(),
        )
        .noted(),
        Facts::There { written: Err(why), kind, .. } => {
            let repair = repair(kind.unwrap_or(io::ErrorKind::Other));
            trouble(why, "a folder that takes files and keeps them over a power cut", repair.to_owned())
        }
        Facts::There { written: Ok(()), mode, .. } => {
            lax(mode, &about).unwrap_or_else(|| Finding::fine(CHECK, &about, "private, and files written there are on the disk"))
        }
    }
}

/// A folder whose keys others can read.
fn lax(mode: u32, about: &str) -> Option<Finding> {
    let seen = format!("others may look into it (mode {mode:04o}), and it holds private keys");
    (mode & 0o077 != 0).then(|| Finding::trouble(CHECK, about, seen, "mode 0700", format!("chmod 700 {about}")).noted())
}

/// What to do about a failed write of this kind.
const fn repair(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ReadOnlyFilesystem => "it is read-only: remount it, or ReadWritePaths= in the unit",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room on that disk, or name another folder with `state`"
        }
        io::ErrorKind::PermissionDenied => "let the gateway's user write there",
        _ => "repair that disk, or name another folder with `state`",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::certs::preflight::finding::Severity;

    #[test]
    fn a_private_folder_that_takes_files_is_fine_and_nothing_is_left_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let found = |weight, says: &str| {
            let found = judge(&state, gather(&state), None);
            assert!(found.weight == weight && format!("{found} {}", found.repair).contains(says), "{found:?}");
        };
        found(Severity::Fine, "not there yet");
        atomic_file::make_folder(&state).unwrap();
        found(Severity::Fine, "on the disk");
        assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
        fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
        found(Severity::Note, "chmod 700");
    }

    #[test]
    fn what_the_gateway_says_counts_more() {
        let status = |alarms: &[&str]| StatusReport {
            alarms: alarms.iter().map(ToString::to_string).collect(),
            ..StatusReport::default()
        };
        let there = |forbidden| Facts::There {
            mode: 0o700,
            written: Err("permission denied".into()),
            kind: Some(if forbidden { io::ErrorKind::PermissionDenied } else { io::ErrorKind::StorageFull }),
        };
        let weigh = |facts, running: Option<&StatusReport>| judge(Path::new("/s"), facts, running).weight;
        assert_eq!(weigh(there(true), None), Severity::Note);
        assert_eq!(weigh(there(false), None), Severity::Prevents);
        assert_eq!(weigh(there(true), Some(&status(&[]))), Severity::Fine);
        assert_eq!(weigh(there(true), Some(&status(&["the state folder cannot be written"]))), Severity::Prevents);
    }

    #[test]
    fn a_lax_mode_does_not_hide_that_nothing_can_be_written() {
        let kind = Some(io::ErrorKind::ReadOnlyFilesystem);
        let facts = Facts::There { mode: 0o755, written: Err("Read-only file system".into()), kind };
        let found = judge(Path::new("/s"), facts, None);
        assert_eq!(found.weight, Severity::Prevents);
        assert!(found.repair.contains("remount it, or ReadWritePaths= in the unit"), "{found:?}");
    }
}
