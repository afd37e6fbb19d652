//! Whether the owner of a name lets our authority issue for it (RFC 8659), for our account and by our challenges
//! (RFC 8657). Pure.

use super::finding::Finding;
use crate::config::settings::ChallengeKind;
use crate::net::dns::Caa;

/// Who asks for what.
#[derive(Clone, Copy, Debug)]
pub struct CaaSubject<'a> {
    /// The names by which the authority knows itself in these records; none where it does not say.
    pub identities: &'a [String],
    /// Our account there, empty where we have none yet; `None` where that is not known, and records that name one are taken
    /// to mean ours.
    pub account: Option<&'a str>,
    /// By which challenges.
    pub challenges: &'a [ChallengeKind],
}

/// Judges the records in force for `name`, which stand at `at`; none means that everybody may.
pub fn judge(name: &str, wildcard: bool, in_force: Option<(&str, &[Caa])>, asker: &CaaSubject<'_>) -> Finding {
    let Some((at, records)) = in_force else {
        return Finding::fine("caa", name, "no CAA record forbids anybody to issue");
    };
    if let Some(strange) = records.iter().find(|record| record.critical && !is_known(&record.tag)) {
        let seen = format!("the CAA record `{}` at {at} is marked critical, and authorities do not know it", strange.tag);
        return Finding::trouble(
            "caa",
            name,
            seen,
            "critical records of known kinds only",
            format!("take that record of {at} away"),
        );
    }
    let relevant = relevant(records, wildcard);
    if relevant.is_empty() {
        return Finding::fine("caa", name, format!("the CAA records at {at} forbid nobody to issue"));
    }
    let Some(identity) = asker.identities.first() else {
        let seen = format!("CAA records at {at} say who may issue, and the authority does not say by which name it goes there");
        let repair = "compare them with the authority's documentation";
        return Finding::trouble("caa", name, seen, "a name to compare", repair).noted();
    };
    let ours: Vec<Issue<'_>> = relevant.iter().filter(|issue| asker.is_named_by(issue)).copied().collect();
    if ours.is_empty() {
        let allowed: Vec<&str> =
            relevant.iter().map(|issue| if issue.domain.is_empty() { "nobody" } else { issue.domain }).collect();
        let seen = format!("the CAA records at {at} let {} issue", allowed.join(", "));
        let tag = if wildcard { "issuewild" } else { "issue" };
        return Finding::trouble(
            "caa",
            name,
            seen,
            identity,
            format!("add `{at}. CAA 0 {tag} \"{identity}\"`, or take the records away"),
        );
    }
    if !ours.iter().any(|issue| asker.is_account_of(issue)) {
        let seen = format!("the CAA record at {at} lets another account of {identity} issue");
        let account =
            asker.account.filter(|account| !account.is_empty()).unwrap_or("the account that comes with the first order");
        return Finding::trouble(
            "caa",
            name,
            seen,
            account,
            "put that account into accounturi of the record, or leave accounturi out",
        );
    }
    if !ours.iter().any(|issue| asker.is_account_of(issue) && asker.proves_by(issue)) {
        let seen = format!("the CAA record at {at} allows {} only", ours[0].parameter("validationmethods").unwrap_or_default());
        let expected = asker.challenges.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(" or ");
        let repair = format!("add one of these to validationmethods in that record of {at}, or choose another with `challenges`");
        return Finding::trouble("caa", name, seen, expected, repair);
    }
    Finding::fine("caa", name, format!("the CAA records at {at} let {identity} issue"))
}

/// The challenges that the records leave us; all of them where they say nothing.
pub fn challenges_left(in_force: Option<&[Caa]>, wildcard: bool, asker: &CaaSubject<'_>) -> Vec<ChallengeKind> {
    let relevant = relevant(in_force.unwrap_or_default(), wildcard);
    let ours: Vec<_> = relevant.iter().filter(|issue| asker.is_named_by(issue) && asker.is_account_of(issue)).collect();
    let left = |kind: &ChallengeKind| ours.is_empty() || ours.iter().any(|issue| issue.allows(*kind));
    asker.challenges.iter().copied().filter(left).collect()
}

fn is_known(tag: &str) -> bool {
    ["issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"].contains(&tag)
}

/// The records that count: `issuewild` for a wildcard where there is one, else `issue` (RFC 8659 section 4.3).
fn relevant(records: &[Caa], wildcard: bool) -> Vec<Issue<'_>> {
    let with = |tag: &str| records.iter().filter(|record| record.tag == tag).map(|record| Issue::read(&record.value)).collect();
    let wild: Vec<Issue<'_>> = if wildcard { with("issuewild") } else { Vec::new() };
    if wild.is_empty() { with("issue") } else { wild }
}

/// `letsencrypt.org; accounturi=...; validationmethods=...` (RFC 8659 section 4.2).
#[derive(Clone, Copy, Debug)]
struct Issue<'a> {
    domain: &'a str,
    parameters: &'a str,
}

impl<'a> Issue<'a> {
    fn read(value: &'a str) -> Self {
        let (domain, parameters) = value.split_once(';').unwrap_or((value, ""));
        Self { domain: domain.trim(), parameters }
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        let pairs = self.parameters.split([';', ' ', '\t']).filter_map(|pair| pair.trim().split_once('='));
        pairs.into_iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    fn allows(&self, kind: ChallengeKind) -> bool {
        let methods = self.parameter("validationmethods");
        methods.is_none_or(|methods| methods.split(',').any(|method| method.trim() == kind.as_str()))
    }
}

impl CaaSubject<'_> {
    fn is_named_by(&self, issue: &Issue<'_>) -> bool {
        self.identities.iter().any(|identity| identity.eq_ignore_ascii_case(issue.domain))
    }

    fn is_account_of(&self, issue: &Issue<'_>) -> bool {
        issue.parameter("accounturi").is_none_or(|uri| self.account.is_none_or(|account| account == uri))
    }

    fn proves_by(&self, issue: &Issue<'_>) -> bool {
        self.challenges.iter().any(|kind| issue.allows(*kind))
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    fn records(texts: &[(&str, &str)]) -> Vec<Caa> {
        let record = |(tag, value): &(&str, &str)| Caa {
            critical: tag.starts_with('!'),
            tag: tag.trim_start_matches('!').to_owned(),
            value: (*value).to_owned(),
        };
        texts.iter().map(record).collect()
    }

    #[track_caller]
    fn check(texts: &[(&str, &str)], wildcard: bool, weight: Severity, says: &str) {
        let identities = ["letsencrypt.org".to_owned()];
        let challenges = [ChallengeKind::Http01, ChallengeKind::TlsAlpn01];
        let asker = CaaSubject { identities: &identities, account: Some("https://ca/acct/1"), challenges: &challenges };
        let records = records(texts);
        let found = judge("a.test", wildcard, Some(("test", &records)), &asker);
        assert_eq!(found.weight, weight, "{found:?}");
        assert!(format!("{found} -> {}", found.repair).contains(says), "{found:?}");
    }

    #[test]
    fn only_who_is_named_may_issue() {
        check(&[("issue", "letsencrypt.org")], false, Severity::Fine, "let letsencrypt.org issue");
        check(&[("issue", "LetsEncrypt.org ; x=y")], false, Severity::Fine, "");
        check(
            &[("issue", "other.example")],
            false,
            Severity::Prevents,
            "other.example issue; expected letsencrypt.org -> add `test. CAA",
        );
        check(&[("issue", ";")], false, Severity::Prevents, "let nobody issue");
        check(&[("issue", "other.example"), ("issue", "letsencrypt.org")], false, Severity::Fine, "");
        check(&[("iodef", "mailto:a@b.test")], false, Severity::Fine, "forbid nobody");
        check(&[("!strange", "x")], false, Severity::Prevents, "marked critical");
    }

    #[test]
    fn wildcards_have_records_of_their_own() {
        check(&[("issue", "other.example"), ("issuewild", "letsencrypt.org")], true, Severity::Fine, "");
        check(&[("issue", "letsencrypt.org"), ("issuewild", ";")], true, Severity::Prevents, "nobody");
        check(&[("issue", "letsencrypt.org"), ("issuewild", ";")], false, Severity::Fine, "");
        check(&[("issue", "letsencrypt.org")], true, Severity::Fine, "");
    }

    #[test]
    fn the_account_and_the_challenge_count() {
        check(&[("issue", "letsencrypt.org; accounturi=https://ca/acct/1")], false, Severity::Fine, "");
        check(&[("issue", "letsencrypt.org; accounturi=https://ca/acct/2")], false, Severity::Prevents, "another account");
        check(&[("issue", "letsencrypt.org; validationmethods=dns-01,http-01")], false, Severity::Fine, "");
        check(
            &[("issue", "letsencrypt.org; validationmethods=dns-01")],
            false,
            Severity::Prevents,
            "allows dns-01 only; expected http-01 or",
        );
        check(
            &[("issue", "letsencrypt.org;validationmethods=dns-01;accounturi=https://ca/acct/1")],
            false,
            Severity::Prevents,
            "dns-01 only",
        );
    }

    #[test]
    fn the_challenges_that_are_left_are_those_that_a_record_allows() {
        let identities = ["letsencrypt.org".to_owned()];
        let challenges = [ChallengeKind::Http01, ChallengeKind::TlsAlpn01];
        let asker = CaaSubject { identities: &identities, account: None, challenges: &challenges };
        let left = |texts: &[(&str, &str)]| challenges_left(Some(&records(texts)), false, &asker);
        assert_eq!(left(&[("issue", "letsencrypt.org; validationmethods=tls-alpn-01")]), [ChallengeKind::TlsAlpn01]);
        assert_eq!(left(&[("issue", "letsencrypt.org")]), challenges);
        assert_eq!(left(&[]), challenges);
    }
}
