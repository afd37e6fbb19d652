//! Finds the admin socket of the gateway that is meant, and asks there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::AskArgs;
use super::configuration;
use super::exit::Exit;
use super::output;
use super::state_dir::{self, User};
use crate::admin::api::{Cause, Reply, Request};
use crate::admin::client::{self, AskError};
use crate::config::defaults;
use crate::config::environment::Environment;
use crate::config::load::{self, LoadError};

/// Where the machine's service has its socket (`RuntimeDirectory=doorward`).
const SERVICE: &str = "/run/doorward/admin.sock";

/// Asks and waits. What went wrong is told here, so that an `Err` holds the exit code only.
pub fn ask(args: &AskArgs, request: Request, patience: Duration) -> Result<Reply, Exit> {
    ask_if_running(args, request, patience)?.map_err(|nobody| {
        output::failure(&nobody);
        Exit::NotRunning
    })
}

/// As [`ask`], for commands that can do without a running gateway: that none runs is for them to tell.
pub fn ask_if_running(args: &AskArgs, request: Request, patience: Duration) -> Result<Result<Reply, AskError>, Exit> {
    let socket = socket(args)?;
    match client::ask(&socket, request, patience) {
        Ok(Reply::Refused(refusal)) => {
            output::complaint(&refusal.words);
            Err(match refusal.cause {
                Cause::Config => Exit::BadConfig,
                Cause::Question | Cause::Gateway => Exit::Failed,
            })
        }
        Ok(reply) => Ok(Ok(reply)),
        Err(nobody @ AskError::NotRunning { .. }) => Ok(Err(nobody)),
        Err(error) => Err(output::failure(&error)),
    }
}

/// An answer to another question: the two sides are of different versions.
pub fn unexpected(reply: &Reply) -> Exit {
    output::complaint(&format!("doorward: the gateway answered something else ({reply:?}); use the same version on both sides"));
    Exit::Failed
}

/// The same, for who can do without: `None` where the configuration switches the socket off.
pub fn socket_if_any(args: &AskArgs) -> Result<Option<PathBuf>, Exit> {
    let surroundings = configuration::surroundings(false)?;
    match load::admin(args.config.as_deref(), &surroundings) {
        Ok(None) => Ok(None),
        _ => socket(args).map(Some),
    }
}

/// The socket that was named, else the configured one. A socket elsewhere is tried only where the configuration says
/// neither `admin` nor `state`, or where there is none.
fn socket(args: &AskArgs) -> Result<PathBuf, Exit> {
    if let Some(socket) = &args.socket {
        return Ok(socket.clone());
    }
    let surroundings = configuration::surroundings(false)?;
    let places = match load::admin(args.config.as_deref(), &surroundings) {
        Ok(Some(socket)) => configured(socket, &surroundings),
        Ok(None) => {
            output::complaint("doorward: this configuration switches the admin socket off; use SIGHUP, or take `admin off` away");
            return Err(Exit::Failed);
        }
        Err(LoadError::NotFound) => anywhere(&surroundings),
        Err(error @ (LoadError::Refused(_) | LoadError::Unreadable { .. })) => return Err(configuration::tell(&error)),
    };
    let found = places.iter().position(|path| path.exists()).unwrap_or(0);
    Ok(places.into_iter().nth(found).expect("there is at least one place"))
}

/// The machine's service has its socket in the runtime folder, which only systemd's own child knows by the environment.
fn configured(socket: PathBuf, surroundings: &Environment) -> Vec<PathBuf> {
    let by_default = defaults::settings(surroundings).admin.as_ref() == Some(&socket);
    if by_default || socket == Path::new(defaults::STATE).join(defaults::ADMIN) {
        vec![socket, SERVICE.into()]
    } else {
        vec![socket]
    }
}

/// Where a gateway without a file has it (`doorward proxy`, `doorward demo`), and then the service.
fn anywhere(surroundings: &Environment) -> Vec<PathBuf> {
    let folders = state_dir::state_folders(&User::of_process(), surroundings);
    folders.into_iter().map(|state| state.join(defaults::ADMIN)).chain([SERVICE.into()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_services_own_configuration_leads_to_its_socket() {
        let facts = Environment::default();
        assert_eq!(configured("/var/lib/doorward/admin.sock".into(), &facts).len(), 2);
        assert_eq!(configured("/srv/other/admin.sock".into(), &facts), [PathBuf::from("/srv/other/admin.sock")]);
        assert_eq!(anywhere(&facts).last(), Some(&PathBuf::from(SERVICE)));
    }
}
