//! `doorward reload`: waits until the gateway serves by the new configuration, or has refused it.

use std::time::Duration;

use super::admin_call;
use super::args::ReloadArgs;
use super::exit::Exit;
use super::output;
use crate::admin::api::{ReloadReport, Reply, Request};

/// A reload of thousands of sites takes seconds; one that waits for another takes twice that.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(90);

/// Asks for a reload and tells how it ended.
pub fn run(args: &ReloadArgs) -> Exit {
    match admin_call::ask(&args.ask, Request::Reload { allow_empty: args.allow_empty }, ANSWER_TIMEOUT) {
        Ok(Reply::Reloaded(report)) => {
            output::line(&told(&report));
            Exit::Done
        }
        Ok(other) => admin_call::unexpected(&other),
        Err(exit) => exit,
    }
}

fn told(report: &ReloadReport) -> String {
    let from = if report.file.is_empty() { String::new() } else { format!(" from {}", report.file) };
    let sites = if report.sites == 1 { "1 site".into() } else { format!("{} sites", report.sites) };
    let end = if report.warnings.is_empty() { String::new() } else { format!("\n{}", report.warnings) };
    format!("Reloaded{from}: {sites}. Open connections and tunnels were not touched.{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_tells_what_is_served_and_what_to_mind() {
        let report = ReloadReport { file: "/etc/doorward/doorward.conf".into(), sites: 1, warnings: "warning: mind this".into() };
        assert_eq!(
            told(&report),
            "Reloaded from /etc/doorward/doorward.conf: 1 site. Open connections and tunnels were not touched.\nwarning: mind this"
        );
    }
}
