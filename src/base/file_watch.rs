//! How every file that another program changes is watched: what can be seen of it without reading it, and when to read it. By
//! looking at intervals, because notification by the kernel is lost when a folder is replaced, mounted, or on a server.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::time::Timestamp;

/// Looks between a failure and the first retry, and the bound up to which that doubles: with a look every 2 s, 10 s and
/// 5 min. Counted in looks, because a clock may be what was wrong.
const FIRST_RETRY: u32 = 5;
const MAX_RETRY: u32 = 160;

/// What can be seen of a file without reading it; links are followed. The time of the last change of its attributes
/// (`chmod`, `chown`) is part of it: that may be what makes a file readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    modified: (i64, i64),
    changed: (i64, i64),
    length: u64,
    inode: u64,
}

impl FileStamp {
    /// Looks at a file; `None` when there is none or it cannot be seen. Blocks for as long as the file system does.
    pub fn of(path: &Path) -> Option<Self> {
        let facts = fs::metadata(path).ok()?;
        Some(Self {
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
            length: facts.len(),
            inode: facts.ino(),
        })
    }
}

/// Files and folders with what was seen of each before it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked(Vec<(PathBuf, Option<FileStamp>)>);

impl Looked {
    /// More are not watched: twice what a configuration may import.
    const MAX_FILES: usize = 20_000;

    /// Looks at a file that is about to be read, there or not. Blocks.
    pub fn look(&mut self, path: &Path) {
        if self.0.len() < Self::MAX_FILES {
            self.0.push((path.to_owned(), FileStamp::of(path)));
        }
    }

    /// Which files.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.iter().map(|(path, _)| path)
    }

    /// The same files as they are now. Blocks.
    pub fn again(&self) -> Self {
        Self(self.0.iter().map(|(path, _)| (path.clone(), FileStamp::of(path))).collect())
    }
}

/// Decides when watched files are read: when they differ from what was read, at the second look at which they are the same,
/// since the writer may be in the middle of it; and again while reading them failed. Pure.
#[derive(Debug)]
pub struct Schedule<S> {
    read: Option<S>,
    last: Option<S>,
    retry: Option<Retry>,
}

/// When what failed is tried again although nothing changed.
#[derive(Debug)]
struct Retry {
    /// Looks since the failure.
    looks: u32,
    /// How many of them to wait for.
    after: u32,
    /// A moment that makes it worth a try.
    at: Option<Timestamp>,
}

impl Retry {
    fn is_due(&mut self, now: Timestamp) -> bool {
        self.looks += 1;
        // Once its moment has come, waiting for it is over.
        self.looks == self.after || self.at.take_if(|at| *at <= now).is_some()
    }
}

impl<S> Default for Schedule<S> {
    fn default() -> Self {
        Self { read: None, last: None, retry: None }
    }
}

impl<S: PartialEq> Schedule<S> {
    /// For files that were read, and looked like this before.
    pub const fn after_reading(seen: S) -> Self {
        Self { read: Some(seen), last: None, retry: None }
    }

    /// Whether to read now, given what is seen. Says so once for each change; the first look reads at once.
    pub fn sees(&mut self, seen: S, now: Timestamp) -> bool {
        let due = match &self.read {
            None => true,
            Some(read) if *read == seen => {
                self.last = None;
                return self.retry.as_mut().is_some_and(|retry| retry.is_due(now));
            }
            Some(_) => self.last.as_ref() == Some(&seen),
        };
        if due {
            (self.read, self.last, self.retry) = (Some(seen), None, None);
        } else {
            self.last = Some(seen);
        }
        due
    }

    /// Reading them failed; `at` is a moment from which it may succeed, such as the one from which a certificate is valid.
    pub fn failed(&mut self, at: Option<Timestamp>) {
        let after = self.retry.as_ref().map_or(FIRST_RETRY, |retry| retry.after.saturating_mul(2).min(MAX_RETRY));
        self.retry = Some(Retry { looks: 0, after, at });
    }

    /// They were read and are right.
    pub fn succeeded(&mut self) {
        self.retry = None;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

    /// What each look in a row decides.
    fn looks(schedule: &mut Schedule<char>, seen: &str) -> String {
        seen.chars().map(|seen| if schedule.sees(seen, NOW) { 'R' } else { '-' }).collect()
    }

    #[test]
    fn a_change_is_read_at_the_second_look_that_finds_it_the_same() {
        let mut schedule = Schedule::after_reading('a');
        assert_eq!(looks(&mut schedule, "aabbbb"), "---R--");
        assert_eq!(looks(&mut schedule, "cdeffa"), "----R-", "what still changes is not read");
        assert_eq!(looks(&mut schedule, "fff"), "---", "nor what changed back");
        assert_eq!(looks(&mut Schedule::default(), "aab"), "R--", "what was never read is read at once");
    }

    #[test]
    fn what_failed_is_read_again_at_growing_intervals_until_it_succeeds() {
        let mut schedule = Schedule::after_reading('a');
        schedule.failed(None);
        assert_eq!(looks(&mut schedule, "aaaaa"), "----R");
        schedule.failed(None);
        assert_eq!(looks(&mut schedule, "aaaaaaaaaa"), "---------R");
        (0..20).for_each(|_| schedule.failed(None));
        assert_eq!(looks(&mut schedule, &"a".repeat(400)), format!("{}R{}", "-".repeat(159), "-".repeat(240)));
        schedule.succeeded();
        assert_eq!(looks(&mut schedule, &"a".repeat(400)).find('R'), None);
        schedule.failed(None);
        assert_eq!(looks(&mut schedule, "bb"), "-R", "a change does not wait for the retry");
    }

    #[test]
    fn what_is_not_valid_yet_is_read_when_its_time_has_come() {
        let mut schedule = Schedule::after_reading('a');
        (0..20).for_each(|_| schedule.failed(Some(NOW)));
        assert!(!schedule.sees('a', Timestamp::from_unix(1_799_999_999)));
        assert!(schedule.sees('a', NOW));
        assert!(!schedule.sees('a', NOW), "once");
    }

    #[test]
    fn every_kind_of_change_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("doorward.conf");
        let mut seen = vec![FileStamp::of(&path)];
        let mut differs = |what: &str| {
            let now = FileStamp::of(&path);
            assert!(!seen.contains(&now), "{what}");
            seen.push(now);
        };
        fs::write(&path, "a").unwrap();
        differs("made");
        fs::write(&path, "ab").unwrap();
        differs("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        differs("chmod");
        fs::write(folder.path().join("new"), "ab").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        differs("replaced");
        fs::remove_file(&path).unwrap();
        assert_eq!(FileStamp::of(&path), None);
    }
}
