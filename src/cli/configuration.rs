//! Reading a configuration for a command, and telling a person what is wrong with it.

use std::io::{self, IsTerminal};
use std::path::Path;

use super::args::ConfigArgs;
use super::exit::Exit;
use super::output;
use crate::base::error_chain::ErrorChain;
use crate::base::file_watch::Looked;
use crate::config::diagnostic::Report;
use crate::config::environment::Environment;
use crate::config::load::{self, LoadError, Loaded};

/// The facts about this process that a configuration's meaning depends on.
pub fn surroundings(staging: bool) -> Result<Environment, Exit> {
    match Environment::of_process() {
        Ok(facts) => Ok(Environment { staging, ..facts }),
        Err(error) => {
            output::complaint(&format!("doorward: the working folder cannot be found: {error}; change to one that exists"));
            Err(Exit::Failed)
        }
    }
}

/// Loads without a word.
pub fn load(path: Option<&Path>, surroundings: &Environment) -> Result<Loaded, LoadError> {
    match path.and_then(load::read_pipe) {
        Some(text) => load::load_piped(text?, surroundings, &mut Looked::default()),
        None => load::load(path, surroundings),
    }
}

/// Loads what a command names, or tells every problem; an `Err` holds the exit code only.
pub fn load_or_tell(args: &ConfigArgs) -> Result<Loaded, Exit> {
    let surroundings = surroundings(args.staging)?;
    let loaded = load(args.config.as_deref(), &surroundings).map_err(|error| tell(&error))?;
    warn(&loaded.warnings);
    Ok(loaded)
}

/// Tells why there is no configuration.
pub fn tell(error: &LoadError) -> Exit {
    output::complaint(&explained(error));
    Exit::BadConfig
}

/// Why there is no configuration, for a terminal.
pub fn explained(error: &LoadError) -> String {
    match error {
        LoadError::Refused(report) => report.render(colours()),
        LoadError::NotFound | LoadError::Unreadable { .. } => format!("doorward: {}", ErrorChain(error)),
    }
}

/// Tells what may not be as it was meant.
pub fn warn(warnings: &Report) {
    if let Some(text) = warned(warnings) {
        output::complaint(&text);
    }
}

/// What may not be as it was meant, for a terminal; `None` when there is nothing.
pub fn warned(warnings: &Report) -> Option<String> {
    (!warnings.is_empty()).then(|| warnings.render(colours()))
}

/// Colours are for a terminal, and for nobody who sets `NO_COLOR` (no-color.org).
fn colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
