//! `doorward status`: what a running gateway tells of itself, on a page or as JSON.

use std::time::Duration;

use super::args::StatusArgs;
use super::ask;
use super::backends;
use super::exit::Exit;
use super::say;
use crate::admin::api::{Reply, Request, StatusReport};
use crate::base::span;
use crate::telemetry::access::text::escaped;

/// Looking takes the gateway no time.
const PATIENCE: Duration = Duration::from_secs(10);
/// Characters of an alarm.
const LONGEST_ALARM: usize = 600;

/// Tells what runs.
pub fn status(args: &StatusArgs) -> Exit {
    match ask::ask(&args.ask, Request::Status, PATIENCE) {
        Ok(Reply::Status(report)) => say::report(args.json, &report, || page(&report)),
        Ok(other) => ask::unexpected(&other),
        Err(exit) => exit,
    }
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
        ("refused", format!("{}, and {}", report.refused, handshakes(report))),
    ];
    let lists = [
        ("maintenance", report.maintenance.clone()),
        (
            "shut out",
            report
                .banned
                .iter()
                .map(|(client, left)| format!("{client}, for {}", span::rough(Duration::from_secs(*left))))
                .collect(),
        ),
    ];
    let lists = lists.into_iter().flat_map(|(name, values)| values.into_iter().map(move |value| (name, value)));
    let turned = (report.turned_away > 0).then(|| ("turned away", format!("{} connections", report.turned_away)));
    let listens = report.listens.iter().map(|listen| ("listens on", listen.clone()));
    for (name, value) in facts.into_iter().chain(listens).chain(lists).chain(turned) {
        text.push_str(&format!("  {name:15}  {value}\n"));
    }
    for alarm in &report.alarms {
        text.push_str(&format!("  ALARM: {}\n", escaped(alarm, LONGEST_ALARM)));
    }
    text.push_str(&backends::table(&report.upstreams));
    text
}

/// Handshakes that came to nothing, and why.
fn handshakes(report: &StatusReport) -> String {
    let by: Vec<String> =
        report.handshakes_failed_by.iter().map(|(code, count)| format!("{count} {}", escaped(code, 40))).collect();
    let why = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
    format!("{} handshakes{why}", report.handshakes_failed)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            alarms: vec!["the disk is full".into()],
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
  ALARM: the disk is full
"
        );
    }
}
