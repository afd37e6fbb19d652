//! Which challenge to try for a name next. Pure.

use instant_acme::ChallengeType;

use super::error::FailedProof;
use crate::base::name::Identifier;
use crate::config::settings::ChallengeKind;

/// The kinds that may prove this identifier, the preferred first: what worked last, then the order of the configuration.
/// A wildcard needs DNS (RFC 8555 section 8.3, RFC 8737 section 3), and an address cannot use it (RFC 8738 section 4).
pub(super) fn allowed(identifier: &Identifier, configured: &[ChallengeKind], last: Option<ChallengeKind>) -> Vec<ChallengeKind> {
    let first = last.filter(|last| configured.contains(last));
    let others = configured.iter().copied().filter(|kind| Some(*kind) != first);
    let built = |kind: &ChallengeKind| match kind {
        ChallengeKind::Http01 | ChallengeKind::TlsAlpn01 => !matches!(identifier, Identifier::Wildcard(_)),
        ChallengeKind::Dns01 | ChallengeKind::DnsPersist01 => !matches!(identifier, Identifier::Ip(_)),
    };
    first.into_iter().chain(others).filter(built).collect()
}

/// The next kind to try among `allowed`: one that has not failed yet; when all have and there was only one, that one
/// once more, since the failure may have been the authority's own. `None` when it is time to give up.
pub(super) fn next(
    identifier: &Identifier,
    allowed: &[ChallengeKind],
    failed: &[FailedProof],
    most_failures: usize,
) -> Option<ChallengeKind> {
    let mine: Vec<&FailedProof> = failed.iter().filter(|proof| proof.identifier == *identifier).collect();
    if mine.len() >= most_failures || mine.iter().any(|proof| proof.is_hopeless()) {
        return None;
    }
    let fresh = allowed.iter().copied().find(|kind| mine.iter().all(|proof| proof.kind != *kind));
    match (fresh, allowed) {
        (Some(kind), _) => Some(kind),
        (None, [only]) if mine.len() < 2 => Some(*only),
        (None, _) => None,
    }
}

/// instant-acme's word for a kind.
pub(super) fn acme_kind(kind: ChallengeKind) -> ChallengeType {
    match kind {
        ChallengeKind::Http01 => ChallengeType::Http01,
        ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
        ChallengeKind::Dns01 => ChallengeType::Dns01,
        ChallengeKind::DnsPersist01 => ChallengeType::Unknown(kind.as_str().to_owned()),
    }
}

/// Our word for one of instant-acme's kinds.
pub(super) fn our_kind(kind: &ChallengeType) -> Option<ChallengeKind> {
    use ChallengeKind::{Dns01, DnsPersist01, Http01, TlsAlpn01};
    [Http01, TlsAlpn01, Dns01, DnsPersist01].into_iter().find(|ours| acme_kind(*ours) == *kind)
}

#[cfg(test)]
mod tests {
    use ChallengeKind::{Dns01, Http01, TlsAlpn01};

    use super::*;

    fn name(text: &str) -> Identifier {
        Identifier::parse(text).unwrap()
    }

    fn failed(kind: ChallengeKind, problem: &str) -> FailedProof {
        let problem = serde_json::from_str(problem).unwrap();
        FailedProof { kind, identifier: name("a.example"), problem: Some(problem) }
    }

    #[test]
    fn what_worked_last_comes_first_and_wildcards_need_dns() {
        let check = |id: &str, last, expected: &[ChallengeKind]| {
            assert_eq!(allowed(&name(id), &[Http01, TlsAlpn01, Dns01], last), expected, "for {id}");
        };
        check("a.example", None, &[Http01, TlsAlpn01, Dns01]);
        check("a.example", Some(TlsAlpn01), &[TlsAlpn01, Http01, Dns01]);
        check("192.0.2.1", Some(Dns01), &[Http01, TlsAlpn01]);
        check("*.a.example", None, &[Dns01]);
        assert_eq!(allowed(&name("a.example"), &[Http01], Some(TlsAlpn01)), [Http01]);
    }

    #[test]
    fn each_kind_is_tried_once_and_an_only_kind_twice() {
        let refused = r#"{"type":"urn:ietf:params:acme:error:connection","detail":"refused"}"#;
        let check = |allowed: &[ChallengeKind], failed: &[FailedProof], most, expected| {
            assert_eq!(next(&name("a.example"), allowed, failed, most), expected);
        };
        let (http, alpn) = (failed(Http01, refused), failed(TlsAlpn01, refused));
        check(&[Http01, TlsAlpn01], &[], 3, Some(Http01));
        check(&[Http01, TlsAlpn01], std::slice::from_ref(&http), 3, Some(TlsAlpn01));
        check(&[Http01, TlsAlpn01], std::slice::from_ref(&http), 1, None);
        check(&[Http01, TlsAlpn01], &[http.clone(), alpn], 3, None);
        check(&[Http01], std::slice::from_ref(&http), 3, Some(Http01));
        check(&[Http01], &[http.clone(), http], 3, None);
        check(&[], &[], 3, None);
    }

    #[test]
    fn a_name_that_does_not_exist_is_not_tried_the_other_way() {
        let gone = failed(Http01, r#"{"type":"urn:ietf:params:acme:error:dns","detail":"DNS problem: NXDOMAIN looking up A"}"#);
        assert_eq!(next(&name("a.example"), &[Http01, TlsAlpn01], &[gone], 3), None);
    }
}
