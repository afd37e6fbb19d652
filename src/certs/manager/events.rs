//! What the manager says in the log: one event for each fact.

use std::path::Path;

use crate::base::subprocess::Ran;
use crate::base::time::Timestamp;
use crate::certs::desired::DesiredCert;
use crate::certs::file_messages::{self, FileMessage};
use crate::certs::inventory::{Blame, Failure, Held, Record};
use crate::certs::issuer::revoke::Reason;
use crate::certs::status::NameStatus;
use crate::state::finding::Finding;

pub(in crate::certs) fn findings(findings: &[Finding]) {
    for finding in findings {
        match finding {
            Finding::Healed => tracing::info!(event = "state_healed", "{finding}"),
            Finding::NotWritable(_) => tracing::error!(event = "state_not_writable", "{finding}"),
            Finding::LooserMode { .. } => tracing::warn!(event = "state_too_open", "{finding}"),
            Finding::SetAside { .. } | Finding::RecordDropped { .. } => tracing::warn!(event = "state_damaged", "{finding}"),
        }
    }
}

pub(in crate::certs) fn issued(need: &DesiredCert, held: &Held, record: &Record, warning: Option<&str>) {
    let renewal = record.memory.renewal.as_ref().map(|renewal| renewal.renew_at.to_string());
    tracing::info!(
        event = "certificate_issued",
        name = need.title(),
        issuer = %held.issuer,
        not_after = %held.validity.not_after,
        renewal,
        challenge = record.memory.worked.as_deref(),
        "the certificate is in service"
    );
    if let Some(warning) = warning {
        tracing::warn!(event = "certificate_warning", name = need.title(), "{warning}");
    }
}

/// A failure in one line: name, step, the authority's type and words, which try it was, when the next one is, the likely
/// cause, and what a person can do.
pub(in crate::certs) fn failed(need: &DesiredCert, failure: &Failure, record: &Record) {
    let next = record.memory.pause.map(|pause| pause.until.to_string());
    let (name, tries) = (need.title(), record.memory.fails.saturating_add(record.memory.unreachable));
    let whose = match failure.blame {
        Blame::Issuer(_) => "the authority's",
        Blame::Name(_) | Blame::Limited(_) => "the name's",
        Blame::Person => "the configuration's",
        Blame::LocalAddrs => "this machine's",
    };
    let parts = &failure.parts;
    tracing::warn!(
        event = "certificate_failed",
        name,
        issuer = %failure.issuer,
        step = parts.step,
        problem = parts.problem.as_deref(),
        cause = parts.cause.as_deref(),
        remedy = parts.remedy.as_deref(),
        whose,
        attempt = tries,
        next,
        "no certificate: {}",
        failure.words
    );
}

pub(in crate::certs) fn rehearsed(need: &DesiredCert) {
    tracing::info!(
        event = "certificate_rehearsed",
        name = need.title(),
        "the staging directory issued it, so what was in the way is gone; the authority itself is asked next"
    );
}

pub(in crate::certs) fn in_danger(status: &NameStatus, not_after: Timestamp) {
    tracing::error!(
        event = "certificate_in_danger",
        name = status.names.first(),
        %not_after,
        fails = status.fails,
        next = status.next_attempt.as_deref(),
        "less than a sixth of its life is left, and no successor has come: {}",
        status.last_error.as_deref().unwrap_or("no try has failed yet")
    );
}

pub(in crate::certs) fn recalled(need: &DesiredCert) {
    tracing::error!(
        event = "certificate_recalled",
        name = need.title(),
        "its authority wants it replaced at once, because it was revoked or soon will be; a new one with a new key is ordered"
    );
}

pub(in crate::certs) fn revoked(need: &DesiredCert, serial: &str, reason: Reason) {
    tracing::warn!(
        event = "certificate_revoked",
        name = need.title(),
        serial,
        %reason,
        "an operator had it revoked; one with a new key is ordered"
    );
}

/// `held` is whether another certificate is served meanwhile.
pub(in crate::certs) fn files_refused(need: &DesiredCert, words: &str, remedy: Option<&str>, held: bool) {
    let meanwhile = file_messages::meanwhile(held);
    tracing::error!(event = "certificate_files_refused", name = need.title(), remedy, "{words}; {meanwhile}");
}

pub(in crate::certs) fn file_ends(need: &DesiredCert, message: &FileMessage) {
    tracing::error!(event = "certificate_in_danger", name = need.title(), remedy = message.remedy, "{message}");
}

pub(in crate::certs) fn files_taken(need: &DesiredCert, held: &Held, warning: Option<&str>) {
    let name = need.title();
    tracing::info!(event = "certificate_files_taken", name, not_after = %held.validity.not_after, "certificate files are in service");
    if let Some(warning) = warning {
        tracing::warn!(event = "certificate_warning", name, "{warning}");
    }
}

/// The operator's program after an issuance: the certificate itself is in service whatever came of it.
pub(in crate::certs) fn hook(name: &str, program: &Path, ran: &Ran) {
    let (program, said) = (program.display(), ran.said.as_str());
    if ran.end.is_success() {
        tracing::info!(event = "hook_done", name, %program, said, "the program for new certificates has run");
    } else {
        tracing::error!(
            event = "hook_failed",
            name,
            %program,
            said,
            "the certificate is in service, but the program for new certificates failed: {}; it runs again at the next issuance",
            ran.end
        );
    }
}

pub(in crate::certs) fn wrong_clock(now: Timestamp) {
    tracing::error!(
        event = "clock_wrong",
        %now,
        "this machine's clock is plainly wrong; nothing is ordered until it is right (`timedatectl set-ntp true` sets it)"
    );
}

/// A certificate came while our clock is wrong by the authority's, or that is not valid or due for renewal by ours.
pub(in crate::certs) fn doubtful_clock(need: &DesiredCert, words: &str) {
    tracing::error!(event = "clock_wrong", name = need.title(), "{words}; set the clock (`timedatectl set-ntp true`)");
}

/// A look of our own found in order what a validation failed for.
pub(in crate::certs) fn repaired(need: &DesiredCert) {
    tracing::info!(
        event = "certificate_repaired",
        name = need.title(),
        "what the last validation failed for is in order now, as far as can be seen from here; the certificate is ordered again"
    );
}
