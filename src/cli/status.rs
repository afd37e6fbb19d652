//! `doorward status`: what a running gateway tells of itself, on a page or as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use super::admin_call;
use super::args::StatusArgs;
use super::backends;
use super::exit::Exit;
use super::output;
use crate::admin::api::{Reply, Request, StatusReport};
use crate::base::duration;
use crate::base::escape::escaped;

/// Looking takes the gateway no time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Characters of an alarm.
const MAX_ALERT: usize = 600;

/// Tells what runs.
pub fn status(args: &StatusArgs) -> Exit {
    match admin_call::ask(&args.ask, Request::Status, ANSWER_TIMEOUT) {
        Ok(Reply::Status(report)) => output::report(args.json, &report, || page(&report)),
        Ok(other) => admin_call::unexpected(&other),
        Err(exit) => exit,
    }
}

fn page(report: &StatusReport) -> String {
    let config = if report.config.is_empty() { "the command line" } else { &report.config };
    let mut text = format!(
        "doorward {}, process {}, up {}\n",
        report.version,
        report.pid,
        duration::rough(Duration::from_secs(report.up_seconds))
    );
    let facts = [
        ("configuration", config.to_owned()),
        ("state", report.state.clone()),
        ("sites", report.sites.to_string()),
        ("connections", report.connections.to_string()),
        ("open tunnels", tunnels(report)),
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
                .map(|(client, left)| format!("{client}, for {}", duration::rough(Duration::from_secs(*left))))
                .collect(),
        ),
    ];
    let lists = lists.into_iter().flat_map(|(name, values)| values.into_iter().map(move |value| (name, value)));
    let turned = (report.turned_away > 0).then(|| ("turned away", format!("{} connections", report.turned_away)));
    let listens = report.listens.iter().map(|listen| ("listens on", listen.clone()));
    let counts = [
        ("tunnels lasted", lasted(&report.tunnel_seconds)),
        ("failed upgrades", counted(&report.upgrades_failed)),
        ("security", counted(&report.security)),
    ];
    let counts = counts.into_iter().filter(|(_, value)| !value.is_empty());
    for (name, value) in facts.into_iter().chain(counts).chain(listens).chain(lists).chain(turned) {
        text.push_str(&format!("  {name:15}  {value}\n"));
    }
    for alarm in &report.alarms {
        text.push_str(&format!("  ALARM: {}\n", escaped(alarm, MAX_ALERT)));
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

fn tunnels(report: &StatusReport) -> String {
    let StatusReport { tunnels, tunnels_opened, reconnects, .. } = report;
    let back = if *reconnects == 0 { String::new() } else { format!(", {reconnects} of clients that came back at once") };
    format!("{tunnels}, of {tunnels_opened} so far{back}")
}

/// By their upper ends: a heap just below a round time is a timeout of somebody between.
fn lasted(buckets: &[(Option<u64>, u64)]) -> String {
    let one = |(end, count): &(Option<u64>, u64)| match end {
        Some(end) => format!("up to {}: {count}", duration::print(Duration::from_secs(*end))),
        None => format!("longer: {count}"),
    };
    buckets.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The most frequent first.
fn counted(counts: &BTreeMap<String, u64>) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
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
            tunnels_opened: 40,
            reconnects: 3,
            tunnel_seconds: vec![(Some(60), 27), (None, 1)],
            upgrades_failed: [("bad-origin".into(), 2), ("connect-refused".into(), 5)].into(),
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
  open tunnels     12, of 40 so far, 3 of clients that came back at once
  requests so far  0
  refused          0, and 0 handshakes
  tunnels lasted   up to 1min: 27, longer: 1
  failed upgrades  connect-refused 5, bad-origin 2
  listens on       port 443 of every address (https, wss)
  ALARM: the disk is full
"
        );
    }
}
