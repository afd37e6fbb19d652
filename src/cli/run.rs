//! `doorward run` and `doorward proxy`: the gateway itself, from a file or from the command line's own words.

use std::io;
use std::path::Path;
use std::rc::Rc;

use super::args::{ConfigArgs, ProxyArgs, TopArgs};
use super::banner::{Banner, BannerInputs};
use super::configuration;
use super::exit::Exit;
use super::state_dir::{self, User};
use super::{output, synth_config};
use crate::admin::api::Operator;
use crate::admin::handler::AdminHandler;
use crate::admin::socket::{AdminSocket, BindAdminError};
use crate::base::error_chain::ErrorChain;
use crate::base::file_watch::Looked;
use crate::base::task;
use crate::base::time::{Clock, SystemClock};
use crate::config::load::{self, LoadError};
use crate::server::config_source::{Origin, Source};
use crate::server::gateway::Gateway;
use crate::server::logs;
use crate::server::supervise::{self, Options};
use crate::telemetry::access::Form;
use crate::telemetry::lines::{LineWriter, Lines};
use crate::telemetry::log::{self, events};

/// Serves by a file.
pub fn run(args: &ConfigArgs) -> Exit {
    match configuration::surroundings(args.staging) {
        Ok(surroundings) => match origin(args.config.as_deref()) {
            Ok(origin) => serve(Source { origin, surroundings }),
            Err(error) => configuration::tell(&error),
        },
        Err(exit) => exit,
    }
}

fn origin(config: Option<&Path>) -> Result<Origin, LoadError> {
    Ok(match config.and_then(load::read_pipe) {
        Some(text) => Origin::Pipe { text: text? },
        None => Origin::File(config.map(Path::to_owned)),
    })
}

/// Serves one name in front of one target, or prints the file that does.
pub fn proxy(args: &ProxyArgs) -> Exit {
    let text = |top: &TopArgs| synth_config::proxy(&ProxyArgs { top: top.clone(), ..args.clone() });
    if args.print {
        return match at_home(&args.top) {
            Ok(top) => {
                output::part(&text(&top));
                Exit::Done
            }
            Err(exit) => exit,
        };
    }
    serve_written(text, &args.top, args.staging)
}

/// Serves by the file that `text` writes below these directives.
pub fn serve_written(text: impl FnOnce(&TopArgs) -> String, top: &TopArgs, staging: bool) -> Exit {
    let (surroundings, top) = match (configuration::surroundings(staging), at_home(top)) {
        (Ok(surroundings), Ok(top)) => (surroundings, top),
        (Err(exit), _) | (_, Err(exit)) => return exit,
    };
    serve(Source { origin: Origin::Text { name: String::new(), text: text(&top) }, surroundings })
}

/// The same with a state folder this user can write, where the usual one is not theirs and none was named.
fn at_home(top: &TopArgs) -> Result<TopArgs, Exit> {
    let surroundings = configuration::surroundings(false)?;
    let state = top.state.clone().or_else(|| state_dir::state_instead(&User::of_process(), &surroundings));
    Ok(TopArgs { state, ..top.clone() })
}

/// From the first look at the configuration to the end of the process. Whatever is written to standard error meanwhile goes
/// through one thread, so that a reader who does not read blocks neither the start nor the end.
fn serve(source: Source) -> Exit {
    let writer = match LineWriter::start(io::stderr()) {
        Ok(writer) => writer,
        Err(error) => return output::failure(&error),
    };
    let lines = writer.lines().clone();
    match serve_with(source, &lines) {
        Ok(()) => Exit::Done,
        Err((text, exit)) => {
            lines.print(&text);
            exit
        }
    }
}

fn serve_with(source: Source, lines: &Lines) -> Result<(), (String, Exit)> {
    let mut looked = Looked::default();
    let loaded = source.load_looking(&mut looked).map_err(|error| (configuration::explained(&error), Exit::BadConfig))?;
    if let Some(warned) = configuration::warned(&loaded.warnings) {
        lines.print(&warned);
    }
    let settings = &loaded.settings;
    let form = logs::form(settings.log.format, &io::stderr());
    let overriding = std::env::var(log::OVERRIDE).ok();
    let level = log::start(form, logs::least(settings.log.level), overriding.as_deref(), lines)
        .map_err(|error| (output::failed(&error), Exit::Usage))?;
    let socket =
        settings.admin.as_deref().map_or(Ok(None), open_socket).map_err(|error| (output::failed(&error), Exit::Failed))?;
    let attend = async |gateway: Rc<Gateway>| attend(gateway, socket, form, lines).await;
    supervise::run(Options { source, loaded, looked, level }, attend).map_err(|error| (output::failed(&error), Exit::Failed))
}

/// Refuses to start beside another gateway with the same state. Any other trouble with the socket is no reason not to
/// serve: only the operator's questions are missed.
fn open_socket(path: &Path) -> Result<Option<AdminSocket>, BindAdminError> {
    match AdminSocket::bind(path) {
        Ok(socket) => Ok(Some(socket)),
        Err(error @ BindAdminError::Live { .. }) => Err(error),
        Err(error @ (BindAdminError::NotASocket { .. } | BindAdminError::System { .. })) => {
            let reason = ErrorChain(&error).to_string();
            tracing::warn!(
                event = events::ADMIN_FAILED,
                reason,
                "serving without an admin socket: `doorward reload` cannot reach us"
            );
            Ok(None)
        }
    }
}

/// Once it listens: answer operators, and tell what is served.
async fn attend(gateway: Rc<Gateway>, socket: Option<AdminSocket>, form: Form, lines: &Lines) {
    let desk = Rc::new(AdminHandler::new(&gateway));
    let (status, certs) = (desk.status().await, desk.certs().await);
    let settings = gateway.settings();
    let banner = Banner::new(BannerInputs { settings: &settings, status: &status, certs: &certs, now: SystemClock.now() });
    match form {
        Form::Human => lines.print(&banner.to_string()),
        Form::Json => banner.log(),
    }
    if let Some(socket) = socket {
        task::spawn_local("admin socket", async move {
            if let Err(error) = socket.serve(desk).await {
                tracing::error!(event = events::ADMIN_FAILED, reason = %ErrorChain(&error), "the admin socket does not answer");
            }
        });
    }
}
