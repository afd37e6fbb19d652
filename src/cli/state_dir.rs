//! Where a person's own gateway keeps its state. The machine's folder belongs to the service; whoever tries `proxy` or
//! `demo` as a plain user gets one of their own, or every restart would order new certificates.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::trust::inspect::Person;
use crate::config::defaults;
use crate::config::environment::Environment;

/// Facts about the user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// `XDG_STATE_HOME`, else `~/.local/state` (XDG Base Directory Specification).
    pub state_home: Option<PathBuf>,
    /// Effective user id.
    pub uid: u32,
}

impl User {
    /// The one who runs this process; behind sudo, root with the folders of whoever called it.
    pub fn of_process() -> Self {
        let path = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state_home = path("XDG_STATE_HOME").or_else(|| Person::here().home.map(|home| home.join(".local/state")));
        let uid = fs::metadata("/proc/self").map_or(0, |process| process.uid());
        Self { state_home, uid }
    }

    /// The user's own state folder.
    pub fn state(&self) -> Option<PathBuf> {
        self.state_home.as_ref().map(|home| home.join("doorward"))
    }
}

/// The user's own state folder, where the usual one is not theirs to write; `None` where it is.
pub fn state_instead(user: &User, surroundings: &Environment) -> Option<PathBuf> {
    let usual = defaults::settings(surroundings).state;
    if surroundings.has_state_folder || user.uid == 0 || owner(&usual) == Some(user.uid) { None } else { user.state() }
}

/// State folders of this person and this machine, the likeliest first.
pub fn state_folders(user: &User, surroundings: &Environment) -> Vec<PathBuf> {
    std::iter::once(defaults::settings(surroundings).state)
        .chain(user.state())
        .chain(std::iter::once(defaults::STATE.into()))
        .collect()
}

fn owner(folder: &Path) -> Option<u32> {
    fs::metadata(folder).ok().map(|folder| folder.uid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_user_without_a_state_folder_gets_one_at_home() {
        let user = |uid| User { state_home: Some("/home/ann/.local/state".into()), uid };
        let bare = Environment::default();
        let with_folder = Environment { has_state_folder: true, ..Environment::default() };
        assert_eq!(state_instead(&user(12_345), &bare), Some("/home/ann/.local/state/doorward".into()));
        assert_eq!(state_instead(&user(12_345), &with_folder), None);
        assert_eq!(state_instead(&user(0), &bare), None);
    }
}
