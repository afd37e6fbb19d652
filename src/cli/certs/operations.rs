//! Acting on one certificate of a running gateway.

use std::time::Duration;

use crate::admin::api::{Reply, Request, RevokeReport, TestReport};
use crate::base::escape::escaped;
use crate::cli::args::{RenewArgs, RevokeArgs, TestCertArgs};
use crate::cli::exit::Exit;
use crate::cli::{admin_call, output};

/// Until something is begun.
const BEGIN: Duration = Duration::from_secs(10);
/// Until an authority has answered; the gateway gives up before.
const ANSWER: Duration = Duration::from_secs(130);
/// Until an order is done; the gateway gives up before.
const ORDER: Duration = Duration::from_secs(630);
/// Characters of what an authority said.
const MAX_SHOWN: usize = 4_000;

/// Orders a certificate now.
pub fn renew(args: &RenewArgs) -> Exit {
    let request = Request::RenewCert { name: args.name.clone(), insist: args.insist };
    match admin_call::ask(&args.ask, request, BEGIN) {
        Ok(Reply::Renewing { name }) => {
            output::line(&format!(
                "A new certificate for {name} is being ordered; `doorward certs show {name}` tells how it goes."
            ));
            Exit::Done
        }
        Ok(other) => admin_call::unexpected(&other),
        Err(exit) => exit,
    }
}

/// Has a certificate revoked.
pub fn revoke(args: &RevokeArgs) -> Exit {
    let request = Request::RevokeCert { name: args.name.clone(), reason: args.reason.clone() };
    match admin_call::ask(&args.ask, request, ANSWER) {
        Ok(Reply::Revoked(report)) => {
            output::line(&revoked(&report));
            Exit::Done
        }
        Ok(other) => admin_call::unexpected(&other),
        Err(exit) => exit,
    }
}

fn revoked(report: &RevokeReport) -> String {
    let RevokeReport { name, serial, .. } = report;
    let next = match (&report.successor_at, &report.successor_why) {
        (Some(at), Some(why)) => {
            format!(
                "It is served until its successor is there, which cannot be ordered before {at}: {}.",
                escaped(why, MAX_SHOWN)
            )
        }
        _ => format!("Another one with a new key is being ordered; `doorward certs show {name}` tells how it goes."),
    };
    format!("The certificate of {name} with serial number {serial} is revoked. {next}")
}

/// Tries an order.
pub fn test(args: &TestCertArgs) -> Exit {
    let request = Request::TestCert { name: args.name.clone(), directory: args.directory.clone() };
    match admin_call::ask(&args.ask, request, ORDER) {
        Ok(Reply::Tested(report)) => output::report(args.json, &report, || tested(&report)),
        Ok(other) => admin_call::unexpected(&other),
        Err(exit) => exit,
    }
}

fn tested(report: &TestReport) -> String {
    let how = match &report.proved_by {
        Some(kind) => format!("proved by {kind}"),
        None => "which it still believed from an earlier proof".to_owned(),
    };
    let mut text = format!("{} issues for {}, {how}. Nothing of it was kept.\n", report.directory, report.names.join(", "));
    for failed in &report.failed {
        text.push_str(&format!("  on the way: {}\n", escaped(failed, MAX_SHOWN)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_tells_when_the_successor_comes() {
        let mut report = RevokeReport { name: "a.example".into(), serial: "0a1b".into(), ..RevokeReport::default() };
        assert!(revoked(&report).contains("Another one with a new key is being ordered"), "{}", revoked(&report));
        report.successor_at = Some("2026-11-28T00:00:00Z".into());
        report.successor_why = Some("the limit".into());
        assert!(revoked(&report).ends_with("cannot be ordered before 2026-11-28T00:00:00Z: the limit."), "{}", revoked(&report));
    }

    #[test]
    fn a_try_tells_what_failed_on_the_way() {
        let report = TestReport {
            names: vec!["a.example".into()],
            directory: "https://staging.example/dir".into(),
            proved_by: Some("tls-alpn-01".into()),
            failed: vec!["http-01 for a.example failed: no\u{7}".into()],
        };
        assert_eq!(
            tested(&report),
            "https://staging.example/dir issues for a.example, proved by tls-alpn-01. Nothing of it was kept.\n  \
             on the way: http-01 for a.example failed: no\\x07\n"
        );
    }
}
