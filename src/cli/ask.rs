//! Finds the admin socket of the gateway that is meant, and asks there.

use std::path::PathBuf;
use std::time::Duration;

use super::args::AskArgs;
use super::configuration;
use super::exit::Exit;
use super::home::{self, User};
use super::say;
use crate::admin::api::{Cause, Reply, Request};
use crate::admin::client::{self, AskError};
use crate::config::defaults;
use crate::config::load::LoadError;
use crate::config::surroundings::Surroundings;

/// Where the machine's service has its socket (`RuntimeDirectory=doorward`).
const SERVICE: &str = "/run/doorward/admin.sock";

/// Asks and waits. What went wrong is told here, so that an `Err` holds the exit code only.
pub fn ask(args: &AskArgs, request: Request, patience: Duration) -> Result<Reply, Exit> {
    let socket = socket(args)?;
    match client::ask(&socket, request, patience) {
        Ok(Reply::Refused(refusal)) => {
            say::complaint(&refusal.words);
            Err(match refusal.cause {
                Cause::Config => Exit::BadConfig,
                Cause::Question | Cause::Gateway => Exit::Failed,
            })
        }
        Ok(reply) => Ok(reply),
        Err(error @ AskError::NotRunning { .. }) => {
            say::failure(&error);
            Err(Exit::NotRunning)
        }
        Err(error) => Err(say::failure(&error)),
    }
}

/// An answer to another question: the two sides are of different versions.
pub fn unexpected(reply: &Reply) -> Exit {
    say::complaint(&format!("doorward: the gateway answered something else ({reply:?}); use the same version on both sides"));
    Exit::Failed
}

/// The socket that was named; else the one of the named configuration; else the first that is there. A configuration
/// that was just broken must still be found: to say so is what `reload` is for.
fn socket(args: &AskArgs) -> Result<PathBuf, Exit> {
    if let Some(socket) = &args.socket {
        return Ok(socket.clone());
    }
    let surroundings = configuration::surroundings(false)?;
    match configuration::load(args.config.as_deref(), &surroundings) {
        Ok(loaded) => match loaded.settings.admin {
            Some(socket) => Ok(existing_or(socket, &surroundings, args)),
            None => {
                say::complaint(
                    "doorward: this configuration switches the admin socket off; use SIGHUP, or take `admin off` away",
                );
                Err(Exit::Failed)
            }
        },
        Err(LoadError::Refused(_) | LoadError::Unreadable { .. } | LoadError::NotFound) => {
            let named = defaults::admin(&surroundings, &defaults::settings(&surroundings).state);
            Ok(candidates(named, &surroundings).into_iter().find(|path| path.exists()).unwrap_or_else(|| SERVICE.into()))
        }
    }
}

/// A service's socket is in its runtime folder, which only systemd's own child knows by the environment.
fn existing_or(socket: PathBuf, surroundings: &Surroundings, args: &AskArgs) -> PathBuf {
    if socket.exists()
        || args.config.is_some() && socket != defaults::admin(surroundings, &defaults::settings(surroundings).state)
    {
        return socket;
    }
    candidates(socket.clone(), surroundings).into_iter().find(|path| path.exists()).unwrap_or(socket)
}

fn candidates(first: PathBuf, surroundings: &Surroundings) -> Vec<PathBuf> {
    let beside_state = home::state_folders(&User::of_process(), surroundings).into_iter().map(|folder| folder.join("admin.sock"));
    [first, SERVICE.into()].into_iter().chain(beside_state).collect()
}
