//! `doorward doctor` and `doorward check --live`: what certificates and serving depend on outside of the program.

use std::sync::Arc;
use std::time::Duration;

use super::args::{AskArgs, DoctorArgs};
use super::exit::Exit;
use super::probe::on_a_runtime;
use super::{admin_call, configuration, output};
use crate::admin::api::{CertsReport, Reply, Request, StatusReport};
use crate::admin::client;
use crate::config::settings::Settings;
use crate::diagnostics::doctor::{self, DoctorOptions, Finding, PublicPorts, Running, Severity};

/// Looking takes the gateway no time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Examines and tells.
pub fn run(args: &DoctorArgs) -> Exit {
    let loaded = match configuration::load_or_tell(&args.config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    examine(Arc::new(loaded.settings), args)
}

/// The same for settings at hand.
pub fn examine(settings: Arc<Settings>, args: &DoctorArgs) -> Exit {
    let running = match running(args) {
        Ok(running) => running,
        Err(exit) => return exit,
    };
    let PublicPorts { plain, tls } = settings.public_ports;
    let public = PublicPorts { plain: args.public_http.unwrap_or(plain), tls: args.public_https.unwrap_or(tls) };
    let wish = DoctorOptions { settings, name: args.name.clone(), running, public };
    let findings = match on_a_runtime(doctor::examine(&wish)) {
        Ok(findings) => findings,
        Err(error) => return output::failure(&error),
    };
    if args.json {
        output::json(&findings);
    } else {
        output::part(&page(&findings));
    }
    let worst = findings.iter().map(|finding| finding.weight).max();
    if worst == Some(Severity::Prevents) { Exit::Failed } else { Exit::Done }
}

/// What the running gateway says; nothing where none runs.
fn running(args: &DoctorArgs) -> Result<Option<Running>, Exit> {
    let whom = AskArgs { config: args.config.config.clone(), socket: None };
    let Some(socket) = admin_call::socket_if_any(&whom)? else { return Ok(None) };
    let asked = |request| client::ask(&socket, request, ANSWER_TIMEOUT);
    match asked(Request::Beacon) {
        Ok(Reply::Beacon(beacon)) => {
            let status = match asked(Request::Status) {
                Ok(Reply::Status(status)) => *status,
                _ => StatusReport::default(),
            };
            let certs = match asked(Request::Certs) {
                Ok(Reply::Certs(certs)) => certs,
                _ => CertsReport::default(),
            };
            Ok(Some(Running { beacon, status, certs }))
        }
        Ok(Reply::Refused(refusal)) => {
            output::complaint(&refusal.words);
            Err(Exit::Failed)
        }
        Ok(other) => Err(admin_call::unexpected(&other)),
        Err(client::AskError::NotRunning { .. }) => Ok(None),
        Err(error) => Err(output::failure(&error)),
    }
}

/// What prevents first, then what is worth knowing, then what is fine.
fn page(findings: &[Finding]) -> String {
    let mut text = String::new();
    for weight in [Severity::Prevents, Severity::Note, Severity::Fine] {
        for finding in findings.iter().filter(|finding| finding.weight == weight) {
            text.push_str(&paragraph(finding));
        }
    }
    let count = |weight| findings.iter().filter(|finding| finding.weight == weight).count();
    let summary = match (count(Severity::Prevents), count(Severity::Note)) {
        (0, 0) => "All is well.".to_owned(),
        (0, 1) => "Nothing prevents anything; 1 note.".to_owned(),
        (0, notes) => format!("Nothing prevents anything; {notes} notes."),
        (1, _) => "1 finding prevents a certificate or serving.".to_owned(),
        (many, _) => format!("{many} findings prevent a certificate or serving."),
    };
    text.push_str(&format!("\n{summary}\n"));
    text
}

fn paragraph(finding: &Finding) -> String {
    let mark = match finding.weight {
        Severity::Prevents => "FAIL",
        Severity::Note => "note",
        Severity::Fine => "ok  ",
    };
    let about = if finding.about.is_empty() { String::new() } else { format!("{}: ", finding.about) };
    let repair = if finding.repair.is_empty() { String::new() } else { format!("       -> {}\n", finding.repair) };
    format!("{mark}  {:9}  {about}{finding}\n{repair}", finding.check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prevents_comes_first_with_its_repair() {
        let bad = Finding::trouble("port-80", "a.test", "192.0.2.1 does not answer", "this gateway", "open port 80");
        let findings = [Finding::fine("clock", "", "the clock is right"), bad.clone().noted(), bad];
        assert_eq!(
            page(&findings),
            "\
FAIL  port-80    a.test: 192.0.2.1 does not answer; expected this gateway
       -> open port 80
note  port-80    a.test: 192.0.2.1 does not answer; expected this gateway
       -> open port 80
ok    clock      the clock is right

1 finding prevents a certificate or serving.
"
        );
        assert!(page(&findings[..1]).ends_with("\nAll is well.\n"));
    }
}
