//! How the certificate of each name stands, as the running gateway says: state, last failure, what to do. Pure.

use crate::admin::api::{CertLine, CertsReport};
use crate::certs::issued_by::{self, MeantNames};
use crate::certs::preflight::finding::Finding;

const CHECK: &str = "cert";

/// Judges every certificate, or those of one name.
pub fn judge(certs: &CertsReport, name: Option<&str>, meant: &MeantNames) -> Vec<Finding> {
    let wanted = |line: &&CertLine| name.is_none_or(|name| line.names.iter().any(|own| own.eq_ignore_ascii_case(name)));
    certs.certs.iter().filter(wanted).flat_map(|line| of(line, meant)).collect()
}

fn of(line: &CertLine, meant: &MeantNames) -> Vec<Finding> {
    let name = line.names.first().map_or("", String::as_str);
    let mut findings = vec![standing(line, name)];
    if line.unsaved {
        let seen = "its certificate is in memory only: the state folder cannot be written";
        findings.push(Finding::trouble(CHECK, name, seen, "a copy on the disk", "see the check `state`").noted());
    }
    if line.expires.is_some() {
        let staging = issued_by::staging_note(&line.issuer, meant.find(name));
        findings.extend(staging.map(|text| {
            let (seen, repair) = text.split_once("; ").map_or((text.as_str(), ""), |(seen, repair)| (seen, repair));
            Finding::trouble(CHECK, name, seen, "", repair).noted()
        }));
    }
    findings
}

fn standing(line: &CertLine, name: &str) -> Finding {
    let remedy = || match &line.remedy {
        Some(remedy) => remedy.clone(),
        None => format!("`doorward certs show {name}` has all that is known; next: {}", line.next_why),
    };
    let failed = line.last_error.as_ref().map(|error| {
        let times = if line.failures == 1 { "once".to_owned() } else { format!("{} times", line.failures) };
        if line.failures == 0 { error.clone() } else { format!("failed {times}, at last: {error}") }
    });
    let behind = |words: String| failed.as_ref().map_or_else(|| words.clone(), |failed| format!("{words}; {failed}"));
    match (line.state.as_str(), &line.expires) {
        ("expired", Some(at)) => {
            let seen = behind(format!("its certificate expired at {at}, browsers refuse it"));
            Finding::trouble(CHECK, name, seen, "a valid certificate", remedy())
        }
        (_, Some(at)) if line.alarmed.is_some() => {
            let seen = behind(format!("its certificate ends at {at} and has no successor"));
            Finding::trouble(CHECK, name, seen, "a successor by now", remedy())
        }
        (state, Some(at)) if failed.is_some() => {
            let seen = behind(format!("{state} until {at}"));
            Finding::trouble(CHECK, name, seen, "a renewal that succeeds", remedy()).noted()
        }
        (state, Some(at)) => Finding::fine(CHECK, name, format!("{state}, by {}, until {at}", line.issuer)),
        (state, None) if failed.is_some() || state == "stuck" => {
            let seen = behind(format!("none is held ({state})"));
            Finding::trouble(CHECK, name, seen, "a valid certificate", remedy())
        }
        (state, None) if line.local => Finding::fine(CHECK, name, state),
        (state, None) => {
            let seen = format!("none is held yet ({state}: {})", line.next_why);
            Finding::trouble(CHECK, name, seen, "a valid certificate", "wait; `doorward certs` shows how it goes on").noted()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::preflight::finding::Severity;
    use crate::config::environment::Environment;
    use crate::config::resolve::from_text;

    fn meant() -> MeantNames {
        let text = "acme {\n    staging\n}\na.test {\n    respond 200\n}\n";
        MeantNames::of(&from_text("a.conf", text, &Environment::default()).unwrap().settings)
    }

    fn line(name: &str) -> CertLine {
        CertLine {
            names: vec![name.into()],
            state: "valid".into(),
            issuer: "Pear CA".into(),
            expires: Some("2026-12-01T00:00:00Z".into()),
            ..CertLine::default()
        }
    }

    #[track_caller]
    fn check(line: CertLine, weight: Severity, says: &str) {
        let found = judge(&CertsReport { certs: vec![line] }, None, &meant());
        let worst = found.iter().max_by_key(|finding| finding.weight).unwrap();
        let said = format!("{worst}; {}", worst.repair);
        assert!(worst.weight == weight && said.contains(says), "{found:?}");
    }

    #[test]
    fn no_standing_failure_is_fine() {
        check(line("b.test"), Severity::Fine, "valid, by Pear CA, until 2026-12-01T00:00:00Z");
        check(CertLine { state: "expired".into(), ..line("b.test") }, Severity::Prevents, "browsers refuse it");
        let failing = CertLine {
            failures: 3,
            last_error: Some("policy forbids the issuance".into()),
            remedy: Some("take the name out".into()),
            ..line("b.test")
        };
        check(
            failing.clone(),
            Severity::Note,
            "failed 3 times, at last: policy forbids the issuance; expected a renewal that succeeds; take the name out",
        );
        check(CertLine { expires: None, state: "paused".into(), ..failing }, Severity::Prevents, "take the name out");
        let alarmed = CertLine { alarmed: Some("2026-11-20T00:00:00Z".into()), ..line("b.test") };
        check(alarmed, Severity::Prevents, "has no successor");
        check(CertLine { unsaved: true, ..line("b.test") }, Severity::Note, "in memory only");
        let stuck = CertLine { expires: None, state: "stuck".into(), ..line("b.test") };
        check(stuck, Severity::Prevents, "none is held (stuck)");
        let waiting = CertLine { expires: None, state: "being obtained".into(), next_why: "it waits".into(), ..line("b.test") };
        check(waiting, Severity::Note, "being obtained: it waits");
    }

    #[test]
    fn a_certificate_of_a_staging_authority_is_noted_with_the_line_that_asks_for_it() {
        check(
            line("a.test"),
            Severity::Note,
            "it is from 'Pear CA', a staging authority that no browser trusts; remove 'staging' (a.conf:2)",
        );
        let named = CertLine { issuer: "(STAGING) Pretend Pear X1".into(), ..line("b.test") };
        check(named, Severity::Note, "a staging authority that no browser trusts");
    }
}
