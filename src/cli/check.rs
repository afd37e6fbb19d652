//! `doorward check` and `doorward adapt`: a configuration looked at without being run.

use std::sync::Arc;

use super::args::{CheckArgs, ConfigArgs, DoctorArgs};
use super::exit::Exit;
use super::{configuration, doctor, output};
use crate::base::time::{Clock, SystemClock};
use crate::config::json;
use crate::config::load::Loaded;
use crate::diagnostics::doctor::files;
use crate::server::reload::certificate_files;

/// Tells every problem, or that there is none.
pub fn check(args: &CheckArgs) -> Exit {
    match configuration::load_or_tell(&args.config) {
        Ok(loaded) => match certificate_files(&loaded.settings) {
            Ok(()) => {
                for warning in files::warnings(&loaded.settings, SystemClock.now()) {
                    output::complaint(&format!("warning: {warning}"));
                }
                output::line(&praise(&loaded));
                if args.live { doctor::examine(Arc::new(loaded.settings), &DoctorArgs::of(&args.config)) } else { Exit::Done }
            }
            Err(error) => {
                output::failure(&error);
                Exit::BadConfig
            }
        },
        Err(exit) => exit,
    }
}

fn praise(loaded: &Loaded) -> String {
    let file = loaded.files_read.first().map(|file| file.display().to_string()).unwrap_or_default();
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let settings = &loaded.settings;
    let hosts = settings.sites.iter().map(|site| site.hosts.len()).sum();
    format!(
        "{file} is fine: {} for {}, {}",
        count(settings.sites.len(), "site"),
        count(hosts, "name"),
        count(settings.upstreams.len(), "backend")
    )
}

/// Prints the machine form of what the configuration means.
pub fn adapt(args: &ConfigArgs) -> Exit {
    match configuration::load_or_tell(args) {
        Ok(loaded) => {
            output::line(&json::document(&loaded.settings));
            Exit::Done
        }
        Err(exit) => exit,
    }
}
