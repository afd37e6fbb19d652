//! What a failed order means for what comes next: when asking again makes sense, and the likely cause in the words of a
//! person who would repair it. Pure.

use std::time::Duration;

use super::error::{FailedProof, OrderCause, OrderError};
use crate::base::name::Identifier;
use crate::base::time::Timestamp;
use crate::certs::challenge::dns01::RecordError;
use crate::certs::issuer::Rejection;
use crate::certs::issuer::http::HttpFailure;
use crate::certs::issuer::untrusted::untrusted;
use crate::config::settings::ChallengeKind;
use crate::net::dns::update::UpdateError;
use crate::net::http_client::HttpError;

/// For what only the authority's policy or an operator changes, and not within the hour.
const LATER: Duration = Duration::from_secs(86_400);

/// For CAA records, which operators repair by hand and resolvers remember for a while.
const NEXT_HOUR: Duration = Duration::from_secs(3600);

impl OrderError {
    /// The proof that failed, where that is why the order did.
    pub fn failed_proof(&self) -> Option<&FailedProof> {
        match &self.cause {
            OrderCause::Proof(failed) => Some(failed),
            OrderCause::Invalid(_) | OrderCause::Slow { .. } => self.failed.last(),
            _ => None,
        }
    }

    /// When asking again makes sense.
    pub fn rejection(&self, now: Timestamp) -> Rejection {
        match &self.cause {
            OrderCause::Profile { .. }
            | OrderCause::NoChallenge { .. }
            | OrderCause::BindingMissing
            | OrderCause::Binding(_)
            | OrderCause::Http(HttpFailure::Transport(HttpError::Url { .. })) => Rejection::ForGood,
            cause => self.said_until().map_or_else(|| by_type(cause.acme_type(), now), Rejection::Until),
        }
    }

    /// When the authority itself wants to be asked again.
    pub fn said_until(&self) -> Option<Timestamp> {
        self.cause.said_until()
    }

    /// The likely cause, for the one line that a person reads first. It is a guess from what the authority said.
    pub fn likely_cause(&self) -> Option<String> {
        match (self.failed_proof(), &self.cause) {
            (Some(failed), _) => failed.likely_cause(),
            // Its words have cause and remedy.
            (None, OrderCause::Binding(_)) => None,
            (None, cause) if cause.is_about_registration() => registration(cause).map(|(cause, _)| cause),
            (None, OrderCause::Http(failure)) => unreached(failure).or_else(|| policy(&self.cause)),
            (None, cause) => policy(cause),
        }
    }
}

impl OrderError {
    /// What a person can do about it, in a sentence; `None` where the next try is all there is to do.
    pub fn remedy(&self) -> Option<String> {
        match (self.failed_proof(), &self.cause) {
            (Some(failed), _) => failed.remedy(),
            (None, OrderCause::Binding(_)) => {
                Some("copy key id and HMAC key of `eab` again from the authority's customer page (the key is base64url)".into())
            }
            (None, cause) if cause.is_about_registration() => registration(cause).map(|(_, remedy)| remedy),
            (None, OrderCause::Http(failure)) => let_through(failure).or_else(|| comply(&self.cause)),
            (None, OrderCause::Profile { .. }) => Some("name one of these by `profile`, or take the line away".into()),
            (None, OrderCause::NoChallenge { identifier: Identifier::Wildcard(_), .. }) => {
                Some("a wildcard is proved by DNS only: say how with `dns` or `dns-hook`, and allow `challenges dns-01`".into())
            }
            (None, OrderCause::NoChallenge { .. }) => Some("allow one of the offered ones by `challenges`".into()),
            (None, OrderCause::Record(why)) => Some(repair(why)),
            (None, OrderCause::Ledger(_)) => Some("make room in the state folder, and let the gateway's user write there".into()),
            (None, cause) => comply(cause),
        }
    }
}

fn let_through(failure: &HttpFailure) -> Option<String> {
    Some(match failure {
        HttpFailure::Transport(HttpError::Resolve { .. }) => "repair this machine's network or its /etc/resolv.conf".into(),
        HttpFailure::Transport(HttpError::Connect { host, .. } | HttpError::Slow { host, .. }) => {
            format!("let this machine out to {host}; if the authority is down, wait: it is asked again by itself")
        }
        HttpFailure::Moved { to, .. } => {
            format!("if {to} is the authority's own address, write `directory {to}`; redirects are not followed")
        }
        HttpFailure::Transport(HttpError::Untrusted { cause, .. }) => untrusted(cause).1.to_owned(),
        _ => return None,
    })
}

fn comply(cause: &OrderCause) -> Option<String> {
    let words = match cause.acme_type()? {
        "rateLimited" => "wait: it is tried again by itself as soon as the limit allows it",
        "rejectedIdentifier" | "unsupportedIdentifier" => "take the name out, or name another authority in `acme`",
        "caa" => "let a CAA record of the name allow this authority, or take the one that forbids it away",
        "unauthorized" => "`doorward account deactivate` sets the closed account aside, and the next order makes another",
        "userActionRequired" => "open the page that the authority names, and agree there",
        "externalAccountRequired" => "add `eab KEY-ID HMAC-KEY` with the values of the authority's customer page",
        "invalidContact" | "unsupportedContact" => "write another address behind `email`, or none",
        _ => return None,
    };
    Some(words.into())
}

/// The cause and the remedy of a refusal of newAccount. It is never a closed account, except where the authority says that
/// the key's own account is closed.
fn registration(cause: &OrderCause) -> Option<(String, String)> {
    let said = cause.detail().unwrap_or_default();
    let (cause, remedy) = match cause.acme_type()? {
        "unauthorized" if ["deactivated", "revoked"].iter().any(|word| said.contains(word)) => (
            "the account of this key was closed at the authority",
            "`doorward account deactivate` sets the closed account aside, and the next order makes another",
        ),
        "unauthorized" => (
            "the authority registers no account for this machine",
            "look at what it says; an authority that knows its customers wants `eab KEY-ID HMAC-KEY` from its customer page",
        ),
        _ => return Some((policy(cause)?, comply(cause)?)),
    };
    Some((cause.into(), remedy.into()))
}

fn by_type(acme_type: Option<&str>, now: Timestamp) -> Rejection {
    match acme_type {
        Some("invalidContact" | "unsupportedContact" | "badPublicKey" | "badSignatureAlgorithm") => Rejection::ForGood,
        Some("rejectedIdentifier" | "unsupportedIdentifier" | "badCSR" | "invalidProfile" | "userActionRequired") => {
            Rejection::Until(now + LATER)
        }
        Some("caa") => Rejection::Until(now + NEXT_HOUR),
        _ => Rejection::TryAgain,
    }
}

impl FailedProof {
    /// Whether another way of proving would fail for the same reason.
    pub(super) fn is_hopeless(&self) -> bool {
        let detail = self.problem.as_ref().and_then(|problem| problem.detail.as_deref()).unwrap_or_default();
        match self.acme_type() {
            Some("rejectedIdentifier" | "rateLimited") => true,
            Some("dns") => detail.contains("NXDOMAIN"),
            _ => false,
        }
    }

    /// The record was at every server of the zone before the authority was told.
    fn remedy_of_record(&self) -> Option<String> {
        let name = &self.identifier;
        Some(match self.acme_type()? {
            "caa" => format!("let a CAA record of {name} allow this authority and {}", self.kind),
            "rateLimited" => "wait: it is tried again by itself as soon as the limit allows it".into(),
            _ => format!("let every name server of {name}'s zone answer to the internet what it answers to this machine"),
        })
    }

    fn likely_cause(&self) -> Option<String> {
        let name = &self.identifier;
        if matches!(self.kind, ChallengeKind::Dns01 | ChallengeKind::DnsPersist01)
            && matches!(self.acme_type()?, "unauthorized" | "incorrectResponse" | "dns")
        {
            return Some(
                "the authority asks other name servers than this machine does, or remembers an older answer of theirs".into(),
            );
        }
        let port = if self.kind == ChallengeKind::TlsAlpn01 { 443 } else { 80 };
        Some(match self.acme_type()? {
            "connection" => format!(
                "port {port} of {name} cannot be reached from the internet: a firewall, a missing port forward, or an A or \
                 AAAA record that points elsewhere"
            ),
            "unauthorized" | "incorrectResponse" | "tls" => format!(
                "something else answers port {port} of {name}: a CDN, a load balancer, or another machine that an A or AAAA \
                 record points to"
            ),
            "dns" => format!("{name} has no usable A or AAAA record, or its name servers fail"),
            "caa" => format!("a CAA record of {name} or of a domain above it forbids this authority or this kind of proof"),
            "rateLimited" => "the authority's limit is reached".into(),
            _ => return None,
        })
    }
}

/// What to do about a record that is not there.
fn repair(why: &RecordError) -> String {
    let words = match why {
        RecordError::NoWay => "add `dns PROVIDER { }` or `dns-hook PATH` to `acme`",
        RecordError::NoResolver(_) | RecordError::Lookup { .. } => {
            "repair this machine's DNS, or name other servers by `resolvers`"
        }
        RecordError::Hook { .. } => "run the program by hand with these words, and repair what it complains about",
        RecordError::Update { source: UpdateError::Key { .. } | UpdateError::Unsigned { .. }, .. } => {
            "give `key`, `algorithm` and `secret` the values of the name server's own configuration"
        }
        RecordError::Update { source: UpdateError::Refused { .. }, .. } => {
            "let the key update this zone in the name server's configuration, and let `server` be the zone's primary"
        }
        RecordError::Update { .. } => "let this machine reach the name server behind `server`, by UDP and TCP",
        RecordError::Service { .. } => {
            "give the braces of `dns` a token that may edit this zone, and look at the service's own page"
        }
        RecordError::NotStanding { .. } => {
            "publish that record and keep the account's key safe: whoever has it can from then on get certificates for the name"
        }
        RecordError::Unseen { .. } => {
            "look whether the zone's servers follow its primary, or whether the record went to another zone; where this machine \
             sees another zone than the authority does (split DNS), write `propagation wait 60s`, or name public servers by `resolvers`"
        }
        RecordError::Ledger(_) => "make room in the state folder, and let the gateway's user write there",
        RecordError::Panicked => "report it",
    };
    words.into()
}

impl FailedProof {
    fn remedy(&self) -> Option<String> {
        if matches!(self.kind, ChallengeKind::Dns01 | ChallengeKind::DnsPersist01) {
            return self.remedy_of_record();
        }
        let name = &self.identifier;
        let port = if self.kind == ChallengeKind::TlsAlpn01 { 443 } else { 80 };
        Some(match self.acme_type()? {
            "connection" => format!(
                "open port {port} of this machine to the internet, and let every A and AAAA record of {name} point to it; \
                 `doorward certs test {name}` tries that without using up a limit"
            ),
            "unauthorized" | "incorrectResponse" | "tls" => format!(
                "let every A and AAAA record of {name} point to this machine, or have what stands before it pass \
                 /.well-known/acme-challenge/ through"
            ),
            "dns" => format!("add an A or AAAA record for {name} that points to this machine"),
            "caa" => format!("let a CAA record of {name} allow this authority, or take the one that forbids it away"),
            "rateLimited" => "wait: it is tried again by itself as soon as the limit allows it".into(),
            _ => return None,
        })
    }
}

fn unreached(failure: &HttpFailure) -> Option<String> {
    Some(match failure {
        HttpFailure::Transport(HttpError::Resolve { host, .. }) => {
            format!("this machine's resolver does not know {host}: no network, or no DNS")
        }
        HttpFailure::Transport(HttpError::Connect { host, .. } | HttpError::Slow { host, .. }) => {
            format!("{host} is down, or a firewall keeps this machine from reaching it")
        }
        HttpFailure::Transport(HttpError::Untrusted { host, cause }) => format!("{host}: {}", untrusted(cause).0),
        _ => return None,
    })
}

fn policy(cause: &OrderCause) -> Option<String> {
    let words = match cause.acme_type()? {
        "rateLimited" => "the authority's limit is reached",
        "rejectedIdentifier" | "unsupportedIdentifier" => "the authority's policy does not allow one of the names",
        "caa" => "a CAA record forbids this authority, this account or this kind of proof",
        "unauthorized" => "the account was closed at the authority",
        "userActionRequired" => "the authority wants its terms confirmed by a person",
        _ => return None,
    };
    Some(words.into())
}

#[cfg(test)]
mod tests {
    use super::super::Step;
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_000_000);

    fn proof(kind: ChallengeKind, acme_type: &str) -> OrderError {
        let problem = format!(r#"{{"type":"urn:ietf:params:acme:error:{acme_type}","detail":"D"}}"#);
        let problem = Some(serde_json::from_str(&problem).unwrap());
        let failed = FailedProof { kind, identifier: Identifier::parse("a.example").unwrap(), problem };
        OrderError { step: Step::Prove, cause: OrderCause::Proof(Box::new(failed.clone())), failed: vec![failed] }
    }

    #[test]
    fn a_refusal_of_a_new_account_is_never_a_closed_one_unless_the_authority_says_so() {
        use crate::certs::issuer::http::{Kind, Refusal};
        let refused = |kind, detail: &str| {
            let json = format!(r#"{{"type":"urn:ietf:params:acme:error:unauthorized","detail":"{detail}"}}"#);
            let problem = serde_json::from_str(&json).ok();
            let status = http::StatusCode::FORBIDDEN;
            let refusal = Refusal { kind, status, problem, retry_after: None, excerpt: String::new() };
            OrderError { step: Step::Account, cause: HttpFailure::Refused(Box::new(refusal)).into(), failed: Vec::new() }
        };
        let new = refused(Kind::NewAccount, "you are not on the list");
        assert!(!new.likely_cause().unwrap().contains("closed") && !new.remedy().unwrap().contains("deactivate"));
        let closed = refused(Kind::NewAccount, "An account with the provided public key exists but is deactivated");
        assert!(closed.likely_cause().unwrap().contains("closed") && closed.remedy().unwrap().contains("deactivate"));
        let order = refused(Kind::NewOrder, "Account is not valid");
        assert!(order.likely_cause().unwrap().contains("closed"));
    }

    #[test]
    fn each_problem_says_when_to_ask_again() {
        let check = |acme_type: &str, expected| {
            assert_eq!(proof(ChallengeKind::Http01, acme_type).rejection(NOW), expected, "for {acme_type}");
        };
        check("connection", Rejection::TryAgain);
        check("caa", Rejection::Until(NOW + NEXT_HOUR));
        check("rejectedIdentifier", Rejection::Until(NOW + LATER));
        check("badPublicKey", Rejection::ForGood);
        let profile = OrderCause::Profile { wanted: "x".into(), offered: vec!["classic".into()] };
        let error = OrderError { step: Step::Order, cause: profile, failed: Vec::new() };
        assert_eq!(error.rejection(NOW), Rejection::ForGood);
        let until = NOW + Duration::from_secs(77);
        let paused = HttpFailure::Paused { kind: crate::certs::issuer::http::Kind::NewOrder, until };
        let error = OrderError { step: Step::Order, cause: paused.into(), failed: Vec::new() };
        assert_eq!(error.rejection(NOW), Rejection::Until(until));
    }

    #[test]
    fn the_likely_cause_names_the_port_and_the_name() {
        let cause = proof(ChallengeKind::TlsAlpn01, "connection").likely_cause().unwrap();
        assert!(cause.starts_with("port 443 of a.example cannot be reached"), "{cause}");
        let cause = proof(ChallengeKind::Http01, "unauthorized").likely_cause().unwrap();
        assert!(cause.starts_with("something else answers port 80 of a.example"), "{cause}");
        assert_eq!(proof(ChallengeKind::Http01, "brandNew").likely_cause(), None);
    }

    #[test]
    fn every_usual_failure_says_what_to_do() {
        for acme_type in ["connection", "unauthorized", "dns", "caa", "rateLimited", "tls", "incorrectResponse"] {
            let error = proof(ChallengeKind::Http01, acme_type);
            assert!(error.remedy().is_some() && error.likely_cause().is_some(), "for {acme_type}");
        }
        let remedy = proof(ChallengeKind::TlsAlpn01, "connection").remedy().unwrap();
        assert!(remedy.starts_with("open port 443 of this machine"), "{remedy}");
        let wildcard = OrderCause::NoChallenge {
            identifier: Identifier::parse("*.a.example").unwrap(),
            offered: Vec::new(),
            allowed: Vec::new(),
        };
        let error = OrderError { step: Step::Order, cause: wildcard, failed: Vec::new() };
        assert!(error.remedy().unwrap().contains("`dns`"));
    }

    #[test]
    fn what_a_stranger_made_the_authority_say_cannot_command_a_terminal() {
        let problem = serde_json::from_str(r#"{"detail":"got \u001b[31mred\nnext line"}"#).unwrap();
        let said = OrderCause::Problem(problem).to_string();
        assert_eq!(said, r"the authority refused: got \u{1b}[31mred\nnext line");
    }

    #[test]
    fn the_text_has_type_and_detail_in_full() {
        let error = proof(ChallengeKind::Http01, "connection");
        let said = crate::base::error_chain::ErrorChain(&error).to_string();
        assert_eq!(said, "the order failed at step `prove`: http-01 for a.example failed: D (connection)");
    }
}
