//! Where the configuration comes from, so that a reload can ask there again.

use std::path::PathBuf;

use crate::base::file_watch::Looked;
use crate::config::environment::Environment;
use crate::config::load::{self, LoadError, Loaded};
use crate::config::resolve::{Resolved, from_text};

/// A configuration's origin.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A file; the first of the usual places when none is named.
    File(Option<PathBuf>),
    /// A pipe, which was read and cannot be read again.
    Pipe {
        /// What came through it.
        text: String,
    },
    /// The command line's own words, already in the configuration language.
    Text {
        /// What complaints call it.
        name: String,
        /// The text.
        text: String,
    },
}

/// An origin and what it is read with.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where.
    pub origin: Origin,
    /// Environment, working folder and switches of the command line.
    pub surroundings: Environment,
}

impl Source {
    /// Reads it as it is now.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        self.load_looking(&mut Looked::default())
    }

    /// As [`Source::load`], and puts into `looked` every file and folder that the result depends on.
    pub fn load_looking(&self, looked: &mut Looked) -> Result<Loaded, LoadError> {
        match &self.origin {
            Origin::File(path) => load::load_looking(path.as_deref(), &self.surroundings, looked),
            Origin::Pipe { text } => load::load_piped(text.clone(), &self.surroundings, looked),
            Origin::Text { name, text } => {
                let Resolved { settings, warnings } = from_text(name, text, &self.surroundings).map_err(LoadError::Refused)?;
                Ok(Loaded { settings, files_read: Vec::new(), folders_listed: Vec::new(), warnings, text: text.clone() })
            }
        }
    }
}
