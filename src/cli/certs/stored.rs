//! Certificates in the state folder, for when no gateway runs that could be asked.

use crate::admin::api::CertsReport;
use crate::admin::certs;
use crate::base::time::{Clock, SystemClock};
use crate::cli::args::AskArgs;
use crate::cli::configuration;
use crate::cli::output;
use crate::cli::state_dir::{self, User};
use crate::config::load::LoadError;

/// What the configuration's state folder holds; without a configuration, what the first known folder does. `None` when a
/// socket was named instead, or there is nothing to look at.
pub(super) fn report(args: &AskArgs) -> Option<CertsReport> {
    if args.socket.is_some() {
        return None;
    }
    let surroundings = configuration::surroundings(false).ok()?;
    let settings = match configuration::load(args.config.as_deref(), &surroundings) {
        Ok(loaded) => Some(loaded.settings),
        Err(LoadError::NotFound) => None,
        Err(error @ (LoadError::Refused(_) | LoadError::Unreadable { .. })) => {
            configuration::tell(&error);
            return None;
        }
    };
    let state = match &settings {
        Some(settings) => settings.state.clone(),
        None => state_dir::state_folders(&User::of_process(), &surroundings).into_iter().find(|folder| folder.exists())?,
    };
    output::complaint(&format!("This is what the state folder {} holds:", state.display()));
    Some(certs::stored(&state, settings.as_ref(), SystemClock.now()))
}
