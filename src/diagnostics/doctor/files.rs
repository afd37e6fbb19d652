//! Certificates that come from files: whether they can be served, and for how long. Also what `check` warns of.

use crate::base::error_chain::ErrorChain;
use crate::base::task;
use crate::base::time::{Clock, SystemClock, Timestamp};
use crate::certs::desired::{self, DesiredCert, Source};
use crate::certs::file_messages::{self, FileMessage};
use crate::certs::issuer::files::{self, FilesError};
use crate::certs::preflight::finding::{Finding, Severity};
use crate::config::settings::Settings;

const CHECK: &str = "files";

/// Every pair of files, or that of one name.
pub async fn examine(settings: &Settings, name: Option<&str>) -> Vec<Finding> {
    let wanted =
        |need: &DesiredCert| name.is_none_or(|name| need.names.iter().any(|own| own.to_string().eq_ignore_ascii_case(name)));
    let needs: Vec<DesiredCert> = desired::needs(settings).into_iter().filter(wanted).collect();
    let now = SystemClock.now();
    task::blocking("certificate files", move || needs.iter().flat_map(|need| judge(need, now)).collect())
        .await
        .unwrap_or_default()
}

/// What is wrong with the files of all sites and can be served all the same, a sentence each.
pub fn warnings(settings: &Settings, now: Timestamp) -> Vec<String> {
    let needs = desired::needs(settings);
    let worth = |finding: &Finding| finding.weight != Severity::Fine;
    needs
        .iter()
        .flat_map(|need| judge(need, now))
        .filter(worth)
        .map(|finding| if finding.repair.is_empty() { finding.seen } else { format!("{}; {}", finding.seen, finding.repair) })
        .collect()
}

/// One pair of files. Blocks.
fn judge(need: &DesiredCert, now: Timestamp) -> Vec<Finding> {
    let Source::Files { chain, key, at } = &need.source else { return Vec::new() };
    let name = need.names.first().map_or_else(|| need.title(), ToString::to_string);
    let said = |message: FileMessage| Finding::trouble(CHECK, "", message.seen, "", message.remedy);
    let read = match files::read(chain, key, &need.names, now, true) {
        Ok(read) => read,
        Err(FilesError::Mismatch { .. }) => return vec![said(file_messages::mismatch(&name, chain, key, &at.0))],
        Err(error) => {
            let words = ErrorChain(&error).to_string();
            let (seen, repair) = words.split_once("; ").map_or((words.as_str(), ""), |(seen, repair)| (seen, repair));
            return vec![Finding::trouble(CHECK, &name, seen, "", repair)];
        }
    };
    let validity = read.bundle.validity();
    let mut findings = Vec::new();
    if let Some(message) = file_messages::end(&name, chain, &at.0, validity, now) {
        let found = said(message);
        findings.push(if validity.not_after < now { found } else { found.noted() });
    } else if let Some(warning) = read.warning {
        let (seen, repair) = warning.split_once("; ").map_or((warning.as_str(), ""), |(seen, repair)| (seen, repair));
        findings.push(Finding::trouble(CHECK, &name, seen, "", repair).noted());
    }
    if findings.is_empty() {
        findings.push(Finding::fine(CHECK, &name, format!("{} is served until {}", chain.display(), validity.not_after)));
    }
    findings
}
