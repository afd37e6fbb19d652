//! Reading a configuration for a command, and telling a person what is wrong with it.

use std::io::{self, IsTerminal};
use std::path::Path;

use super::args::ConfigArgs;
use super::exit::Exit;
use super::say;
use crate::base::chain::Chain;
use crate::config::load::{self, LoadError, Loaded};
use crate::config::problem::Report;
use crate::config::surroundings::Surroundings;

/// The facts about this process that a configuration's meaning depends on.
pub fn surroundings(staging: bool) -> Result<Surroundings, Exit> {
    match Surroundings::of_process() {
        Ok(facts) => Ok(Surroundings { staging, ..facts }),
        Err(error) => {
            say::complaint(&format!("doorward: the working folder cannot be found: {error}; change to one that exists"));
            Err(Exit::Failed)
        }
    }
}

/// Loads without a word.
pub fn load(path: Option<&Path>, surroundings: &Surroundings) -> Result<Loaded, LoadError> {
    load::load(path, surroundings)
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
    match error {
        LoadError::Refused(report) => say::complaint(&report.render(colours())),
        LoadError::NotFound | LoadError::Unreadable { .. } => say::complaint(&format!("doorward: {}", Chain(error))),
    }
    Exit::BadConfig
}

/// Tells what may not be as it was meant.
pub fn warn(warnings: &Report) {
    if !warnings.is_empty() {
        say::complaint(&warnings.render(colours()));
    }
}

/// Colours are for a terminal, and for nobody who sets `NO_COLOR` (no-color.org).
fn colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
