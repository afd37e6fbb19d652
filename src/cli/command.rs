//! From the words of the command line to the file that does what they say.

use super::args::{Cli, Command, ConfigArgs, EXAMPLES, TrustArgs};
use super::exit::Exit;
use super::state_dir::{self, User};
use super::trust::plan::TrustRequest;
use super::{
    account, bans, certs, check, configuration, demo, doctor, drain, explain, maintenance, output, password, probe, reload, run,
    self_signed, status, trust,
};
use crate::config::load::LoadError;

/// Reads the process's arguments and does what they say. Wrong ones end the process here, with [`Exit::Usage`].
pub fn main() -> Exit {
    match Cli::of_process().command {
        Some(command) => perform(&command),
        None => without_a_word(),
    }
}

fn perform(command: &Command) -> Exit {
    match command {
        Command::Run(args) => run::run(args),
        Command::Proxy(args) => run::proxy(args),
        Command::Demo(args) => demo::run(args),
        Command::Check(args) => check::check(args),
        Command::Adapt(args) => check::adapt(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Probe(args) => probe::run(args),
        Command::Reload(args) => reload::run(args),
        Command::Certs(args) => certs::certs(args),
        Command::Account(action) => account::account(action),
        Command::Renew(args) => certs::operations::renew(args),
        Command::Maintenance(args) => maintenance::run(args),
        Command::Bans(args) => bans::bans(args),
        Command::Unban(args) => bans::unban(args),
        Command::Status(args) => status::status(args),
        Command::Drain(args) => drain::drain(args),
        Command::Undrain(args) => drain::undrain(args),
        Command::SelfSigned(args) => self_signed::run(args),
        Command::HashPassword => password::hash(),
        Command::Trust(args) => with_state(TrustRequest::Trust, args),
        Command::Untrust(args) => with_state(TrustRequest::Untrust, args),
    }
}

/// Runs what is configured here; where nothing is, shows how to begin.
fn without_a_word() -> Exit {
    let surroundings = match configuration::surroundings(false) {
        Ok(surroundings) => surroundings,
        Err(exit) => return exit,
    };
    if matches!(configuration::load(None, &surroundings), Err(LoadError::NotFound)) {
        output::complaint(EXAMPLES);
        return Exit::Usage;
    }
    run::run(&ConfigArgs::default())
}

/// The state folder that was named, else the configured one, else the first known one with a local authority.
fn with_state(wish: TrustRequest, args: &TrustArgs) -> Exit {
    if let Some(state) = &args.state {
        return trust::run(wish, args, state);
    }
    let surroundings = match configuration::surroundings(false) {
        Ok(surroundings) => surroundings,
        Err(exit) => return exit,
    };
    let configured = match configuration::load(args.config.as_deref(), &surroundings) {
        Ok(loaded) => Some(loaded.settings.state),
        Err(LoadError::NotFound) => None,
        Err(error) => return configuration::tell(&error),
    };
    let folders = configured.into_iter().chain(state_dir::state_folders(&User::of_process(), &surroundings));
    let mut folders: Vec<_> = if args.config.is_some() { folders.take(1).collect() } else { folders.collect() };
    let found = folders.iter().position(|state| crate::diagnostics::offline::root_file(state).exists()).unwrap_or(0);
    trust::run(wish, args, &folders.swap_remove(found))
}
