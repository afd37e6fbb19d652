//! `doorward certs`, `renew` and `status`: what a running gateway tells of itself, as a table or as JSON.

use std::time::Duration;

use serde::Serialize;

use super::args::{CertsArgs, RenewArgs};
use super::ask;
use super::exit::Exit;
use super::say;
use crate::admin::api::{CertLine, CertsReport, Reply, Request, StatusReport};
use crate::base::span;
use crate::base::time::{Clock, SystemClock, Timestamp};
use crate::telemetry::access::text::escaped;

/// Looking takes the gateway no time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Characters of an authority's complaint that are repeated.
const LONGEST_ERROR: usize = 300;

/// Lists the certificates.
pub fn certs(args: &CertsArgs) -> Exit {
    match ask::ask(&args.ask, Request::Certs, PATIENCE) {
        Ok(Reply::Certs(report)) => show(args.json, &report, || table(&report, SystemClock.now())),
        Ok(other) => ask::unexpected(&other),
        Err(exit) => exit,
    }
}

/// Tells what runs.
pub fn status(args: &CertsArgs) -> Exit {
    match ask::ask(&args.ask, Request::Status, PATIENCE) {
        Ok(Reply::Status(report)) => show(args.json, &report, || page(&report)),
        Ok(other) => ask::unexpected(&other),
        Err(exit) => exit,
    }
}

/// Orders a certificate now.
pub fn renew(args: &RenewArgs) -> Exit {
    match ask::ask(&args.ask, Request::RenewCert { name: args.name.clone() }, PATIENCE) {
        Ok(Reply::Renewing { name }) => {
            say::line(&format!("A new certificate for {name} is being ordered; `doorward certs` tells how it goes."));
            Exit::Done
        }
        Ok(other) => ask::unexpected(&other),
        Err(exit) => exit,
    }
}

fn show(json: bool, report: &impl Serialize, human: impl FnOnce() -> String) -> Exit {
    if json {
        say::line(&serde_json::to_string_pretty(report).expect("reports have text keys only"));
    } else {
        say::part(&human());
    }
    Exit::Done
}

/// One row for each certificate, with its complaint below it.
fn table(report: &CertsReport, now: Timestamp) -> String {
    if report.certs.is_empty() {
        return "No site needs a certificate.\n".into();
    }
    let head = ["NAME", "STATE", "ISSUER", "EXPIRES", "NEXT ATTEMPT"].map(str::to_owned);
    let rows: Vec<[String; 5]> = report.certs.iter().map(|line| row(line, now)).collect();
    let widths: [usize; 5] = std::array::from_fn(|column| {
        std::iter::once(&head).chain(&rows).map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    let mut text = aligned(&head, &widths);
    for (line, row) in report.certs.iter().zip(&rows) {
        text.push_str(&aligned(row, &widths));
        for name in line.names.iter().skip(1) {
            text.push_str(&format!("  and {name}\n"));
        }
        if !line.state.starts_with("valid") && !line.next_why.is_empty() {
            text.push_str(&format!("  next: {}\n", escaped(&line.next_why, LONGEST_ERROR)));
        }
        if line.unsaved {
            text.push_str("  in memory only: the state folder cannot be written\n");
        }
        if let Some(error) = &line.last_error {
            let times = if line.failures == 1 { "once".into() } else { format!("{} times", line.failures) };
            text.push_str(&format!("  failed {times}, at last: {}\n", escaped(error, LONGEST_ERROR)));
        }
    }
    text
}

fn row(line: &CertLine, now: Timestamp) -> [String; 5] {
    let moment = |text: &Option<String>, missing: &str| match text {
        Some(text) => relative(text, now),
        None => missing.to_owned(),
    };
    [
        line.names.first().cloned().unwrap_or_default(),
        line.state.clone(),
        line.issuer.clone(),
        moment(&line.expires, "none held"),
        moment(&line.next_attempt, "-"),
    ]
}

/// `in 88d 4h`, `3h ago`; text that is no moment as it is.
fn relative(text: &str, now: Timestamp) -> String {
    match Timestamp::parse(text) {
        Some(at) if at > now => format!("in {}", span::rough(at.since(now))),
        Some(at) if at == now => "now".into(),
        Some(at) => format!("{} ago", span::rough(now.since(at))),
        None => text.to_owned(),
    }
}

fn aligned(cells: &[String; 5], widths: &[usize; 5]) -> String {
    let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    format!("{}\n", padded.join("  ").trim_end())
}

fn page(report: &StatusReport) -> String {
    let config = if report.config.is_empty() { "the command line" } else { &report.config };
    let mut text = format!(
        "doorward {}, process {}, up {}\n",
        report.version,
        report.pid,
        span::rough(Duration::from_secs(report.up_seconds))
    );
    let facts = [
        ("configuration", config.to_owned()),
        ("state", report.state.clone()),
        ("sites", report.sites.to_string()),
        ("connections", report.connections.to_string()),
        ("open tunnels", report.tunnels.to_string()),
        ("requests so far", report.requests.to_string()),
        ("refused", format!("{}, and {} handshakes", report.refused, report.handshakes_failed)),
    ];
    let listens = report.listens.iter().map(|listen| ("listens on", listen.clone()));
    for (name, value) in facts.into_iter().chain(listens) {
        text.push_str(&format!("  {name:15}  {value}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_stand_in_a_table_with_their_complaints() {
        let now = Timestamp::parse("2026-11-21T00:00:00Z").unwrap();
        let good = CertLine {
            names: vec!["example.com".into(), "www.example.com".into()],
            state: "valid".into(),
            issuer: "Let's Encrypt E7".into(),
            expires: Some("2027-02-17T04:00:00Z".into()),
            next_attempt: Some("2027-01-18T00:00:00Z".into()),
            ..CertLine::default()
        };
        let bad = CertLine {
            names: vec!["new.example.com".into()],
            state: "paused".into(),
            issuer: "Let's Encrypt".into(),
            next_attempt: Some("2026-11-21T00:10:00Z".into()),
            next_why: "the wait after a failure".into(),
            failures: 3,
            last_error: Some("no A record\u{1b}[2J".into()),
            unsaved: true,
            ..CertLine::default()
        };
        assert_eq!(
            table(&CertsReport { certs: vec![good, bad] }, now),
            "\
NAME             STATE   ISSUER            EXPIRES    NEXT ATTEMPT
example.com      valid   Let's Encrypt E7  in 88d 4h  in 58d
  and www.example.com
new.example.com  paused  Let's Encrypt     none held  in 10min
  next: the wait after a failure
  in memory only: the state folder cannot be written
  failed 3 times, at last: no A record\\x1b[2J
"
        );
        assert_eq!(table(&CertsReport::default(), now), "No site needs a certificate.\n");
    }

    #[test]
    fn status_fits_on_a_page() {
        let report = StatusReport {
            version: "1.2.3".into(),
            pid: 7,
            up_seconds: 90_061,
            state: "/var/lib/doorward".into(),
            listens: vec!["port 443 of every address (https, wss)".into()],
            sites: 1,
            tunnels: 12,
            ..StatusReport::default()
        };
        assert_eq!(
            page(&report),
            "\
doorward 1.2.3, process 7, up 1d 1h
  configuration    the command line
  state            /var/lib/doorward
  sites            1
  connections      0
  open tunnels     12
  requests so far  0
  refused          0, and 0 handshakes
  listens on       port 443 of every address (https, wss)
"
        );
    }
}
