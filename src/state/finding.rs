//! What a person should read about the state folder, as facts and in words.

use std::fmt;
use std::path::PathBuf;

/// Something found or done that a person should read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A file or folder was readable by others; its mode until now, and why it still is, if it is.
    LooserMode {
        /// Which.
        path: PathBuf,
        /// Its mode until now.
        mode: u32,
        /// Why it could not be changed.
        failed: Option<String>,
    },
    /// Something damaged was moved away.
    SetAside {
        /// What it was.
        what: PathBuf,
        /// Where it is now; `None` when even that failed.
        now_at: Option<PathBuf>,
        /// What was wrong with it.
        why: String,
    },
    /// A record of the journal was damaged and dropped.
    RecordDropped {
        /// Its key.
        key: String,
        /// What was wrong with it.
        why: String,
    },
    /// Nothing can be written; everything is served from memory until it can.
    NotWritable(String),
    /// It can be written again, and is up to date.
    Healed,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LooserMode { path, mode, failed: None } => {
                write!(f, "{} had mode {mode:04o} and could be read by others; it is private now", path.display())
            }
            Self::LooserMode { path, mode, failed: Some(why) } => {
                write!(f, "{} has mode {mode:04o}, can be read by others, and that cannot be changed ({why})", path.display())
            }
            Self::SetAside { what, now_at: Some(place), why } => {
                write!(f, "{} is damaged ({why}); it was set aside as {}", what.display(), place.display())
            }
            Self::SetAside { what, now_at: None, why } => {
                write!(f, "{} is damaged ({why}) and could not be set aside", what.display())
            }
            Self::RecordDropped { key, why } => write!(f, "the journal's record {key} was dropped: {why}"),
            Self::NotWritable(why) => {
                write!(f, "{why}; what is in memory is served, nothing new is ordered, and writing is tried again by itself")
            }
            Self::Healed => f.write_str("the state folder can be written again and is up to date"),
        }
    }
}
