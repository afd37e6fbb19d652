//! All certificates in a table: a row each, with its complaint below it.

use crate::admin::api::{CertLine, CertsReport};
use crate::base::duration;
use crate::base::escape::escaped;
use crate::base::time::Timestamp;

/// Characters of a complaint that are repeated; authorities' own stay below 1,000.
pub(super) const MAX_ERROR: usize = 4_000;

/// One row for each certificate, with its complaint below it.
pub(super) fn table(report: &CertsReport, now: Timestamp) -> String {
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
            text.push_str(&format!("  next: {}\n", escaped(&line.next_why, MAX_ERROR)));
        }
        if line.unsaved {
            text.push_str("  in memory only: the state folder cannot be written\n");
        }
        for note in &line.notes {
            text.push_str(&format!("  note: {}\n", escaped(note, MAX_ERROR)));
        }
        if let Some(error) = &line.last_error {
            let lead = match line.failures {
                // Certificate files, and what is seen without a try.
                0 => String::new(),
                1 => "failed once, at last: ".to_owned(),
                times => format!("failed {times} times, at last: "),
            };
            text.push_str(&format!("  {lead}{}\n", escaped(error, MAX_ERROR)));
        }
        if let Some(remedy) = &line.remedy {
            text.push_str(&format!("  to do: {}\n", escaped(remedy, MAX_ERROR)));
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
pub(super) fn relative(text: &str, now: Timestamp) -> String {
    match Timestamp::parse(text) {
        Some(at) if at > now => format!("in {}", duration::rough(at.since(now))),
        Some(at) if at == now => "now".into(),
        Some(at) => format!("{} ago", duration::rough(now.since(at))),
        None => text.to_owned(),
    }
}

fn aligned(cells: &[String; 5], widths: &[usize; 5]) -> String {
    let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    format!("{}\n", padded.join("  ").trim_end())
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
            remedy: Some("add one".into()),
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
  to do: add one
"
        );
    }
}
