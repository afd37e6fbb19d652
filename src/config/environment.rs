//! What a configuration's meaning depends on besides its text, as facts: read once by `load`, made up by tests.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Facts about the process and its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// The environment, for `{$NAME}`.
    pub environment: BTreeMap<String, String>,
    /// The working folder, absolute. Paths written on the command line start here.
    pub folder: PathBuf,
    /// Whether the working folder has a folder `state`.
    pub has_state_folder: bool,
    /// The runtime folder systemd gives (`RUNTIME_DIRECTORY`).
    pub runtime_folder: Option<PathBuf>,
    /// `--staging`: Let's Encrypt is asked at its staging directory, for once.
    pub staging: bool,
}
