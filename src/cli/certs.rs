//! `doorward certs`: how each certificate stands, and what can be done about it.

use std::time::Duration;

use super::args::{AskArgs, CertsAction, CertsArgs, ShowCertArgs};
use super::exit::Exit;
use super::{admin_call, output};
use crate::admin::api::{CertLine, CertsReport, Reply, Request};
use crate::base::time::{Clock, SystemClock, Timestamp};

mod details;
mod files;
pub mod operations;
mod stored;
mod table;

/// Looking takes the gateway no time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Lists the certificates, or does what is asked with one.
pub fn certs(args: &CertsArgs) -> Exit {
    match &args.action {
        None => list(args),
        Some(CertsAction::Show(args)) => show(args),
        Some(CertsAction::Renew(args)) => operations::renew(args),
        Some(CertsAction::Revoke(args)) => operations::revoke(args),
        Some(CertsAction::Test(args)) => operations::test(args),
        Some(CertsAction::Export(args)) => files::export(args),
        Some(CertsAction::Import(args)) => files::import(args),
    }
}

fn list(args: &CertsArgs) -> Exit {
    let (mut report, from) = match look(&args.ask) {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    let now = SystemClock.now();
    if let Some(within) = args.expires_within {
        report.certs.retain(|line| is_expiring(line, within, now));
    }
    let text = || match (report.certs.is_empty(), args.expires_within, args.verbose) {
        (true, Some(_), _) => "No certificate ends within this time.\n".to_owned(),
        (true, None, _) => "No site needs a certificate.\n".to_owned(),
        (false, _, true) => report.certs.iter().map(|line| details::page(line, now)).collect::<Vec<_>>().join("\n"),
        (false, _, false) => table::table(&report, now),
    };
    let told = output::report(args.json, &report, text);
    match (args.expires_within, from) {
        (Some(_), _) if !report.certs.is_empty() => Exit::Expiring,
        (None, From::Files) => Exit::NotRunning,
        (Some(_), _) | (None, From::Gateway) => told,
    }
}

fn show(args: &ShowCertArgs) -> Exit {
    let (report, from) = match look(&args.ask) {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    let wanted = args.name.trim_end_matches('.').to_ascii_lowercase();
    let Some(line) = report.certs.iter().find(|line| line.names.contains(&wanted)) else {
        output::complaint(&format!("doorward: no certificate is wanted for `{wanted}`; `doorward certs` lists those that are"));
        return Exit::Failed;
    };
    let told = output::report(args.json, line, || details::page(line, SystemClock.now()));
    if from == From::Files { Exit::NotRunning } else { told }
}

/// Who told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Gateway,
    /// The state folder, because no gateway runs.
    Files,
}

/// What the running gateway tells, else what the state folder holds.
fn look(args: &AskArgs) -> Result<(CertsReport, From), Exit> {
    match admin_call::ask_if_running(args, Request::Certs, ANSWER_TIMEOUT)? {
        Ok(Reply::Certs(report)) => Ok((report, From::Gateway)),
        Ok(other) => Err(admin_call::unexpected(&other)),
        Err(nobody) => {
            output::failure(&nobody);
            stored::report(args).map(|report| (report, From::Files)).ok_or(Exit::NotRunning)
        }
    }
}

/// Whether a person should be told: it ends within this time, has ended, or is not there.
fn is_expiring(line: &CertLine, within: Duration, now: Timestamp) -> bool {
    let ends = line.expires.as_deref().and_then(Timestamp::parse);
    !line.local && ends.is_none_or(|ends| ends <= now + within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_soon_or_is_missing_is_expiring_but_what_is_local_never_is() {
        let now = Timestamp::parse("2026-11-21T00:00:00Z").unwrap();
        let check = |expires: Option<&str>, local, expected| {
            let line = CertLine { expires: expires.map(str::to_owned), local, ..CertLine::default() };
            assert_eq!(is_expiring(&line, Duration::from_secs(14 * 86_400), now), expected, "{expires:?} {local}");
        };
        check(Some("2026-12-05T00:00:00Z"), false, true);
        check(Some("2026-12-05T00:00:01Z"), false, false);
        check(Some("2026-11-20T00:00:00Z"), false, true);
        check(None, false, true);
        check(Some("2026-11-21T06:00:00Z"), true, false);
        check(None, true, false);
    }
}
