//! What the running gateway has seen that shows a wrong set-up, in the sentences of its log. Pure.

use crate::admin::api::{RemarkLine, StatusReport};
use crate::certs::preflight::finding::Finding;
use crate::telemetry::log::events;

const CHECK: &str = "seen";

/// Each remark since the last reload; one about a backend that cannot be reached as it is written prevents serving.
pub fn judge(status: &StatusReport) -> Vec<Finding> {
    status.remarks.iter().map(of).collect()
}

/// What the gateway itself wants looked after and no other check shows: all but the state folder and the certificates.
pub fn alarms(status: &StatusReport) -> Vec<Finding> {
    let is_shown = |alarm: &&String| alarm.contains("state folder") || alarm.starts_with("the certificate of ");
    let finding = |alarm: &String| {
        let (seen, repair) = parted(alarm);
        Finding::trouble("alarm", "", seen, "", repair)
    };
    status.alarms.iter().filter(|alarm| !is_shown(alarm)).map(finding).collect()
}

fn of(remark: &RemarkLine) -> Finding {
    let (seen, repair) = parted(&remark.text);
    let found = Finding::trouble(CHECK, "", format!("{seen} (seen at {})", remark.at), "", repair);
    if remark.event == events::BACKEND_SPEAKS_TLS { found } else { found.noted() }
}

/// What was seen, and what to do: behind the first semicolon that stands in no parentheses.
pub(super) fn parted(text: &str) -> (&str, &str) {
    let mut depth = 0_u32;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return (&text[..at], text[at + 1..].trim_start()),
            _ => (),
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::preflight::finding::Severity;

    #[test]
    fn a_remark_is_a_note_with_its_remedy_and_one_about_tls_prevents() {
        let remark = |event: &str| RemarkLine {
            event: event.into(),
            about: "a.test".into(),
            text: "a.test: the backend answered 431 (header: 2 bytes; our limit: 3); raise its own limit".into(),
            at: "2026-11-21T00:00:00Z".into(),
        };
        let status = StatusReport {
            remarks: vec![remark(events::BACKEND_SIZE_LIMIT), remark(events::BACKEND_SPEAKS_TLS)],
            ..StatusReport::default()
        };
        let found = judge(&status);
        assert_eq!((found[0].weight, found[1].weight), (Severity::Note, Severity::Prevents));
        assert_eq!(found[0].repair, "raise its own limit");
        let seen = "a.test: the backend answered 431 (header: 2 bytes; our limit: 3) (seen at 2026-11-21T00:00:00Z)";
        assert_eq!(found[0].seen, seen);
    }
}
