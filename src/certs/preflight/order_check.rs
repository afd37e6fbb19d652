//! A look outside before a first order: what a person would have to repair is told before it costs a try, and the challenge
//! that can work is tried first. It advises: the order goes on whatever was found, and after ten seconds at the latest.

use std::sync::Arc;
use std::time::Duration;

use super::caa::CaaSubject;
use super::collect::{self, Ways};
use super::finding::{Finding, Severity};
use super::reachability::{self, LocalAddrs, Verdict};
use super::{PublicPorts, own_addresses, self_test::SelfTestGuard};
use crate::base::name::Identifier;
use crate::base::time::Timestamp;
use crate::certs::challenge::ChallengeBoard;
use crate::config::settings::{Acme, ChallengeKind};
use crate::net::dns::Dns;

/// For all of it. Nobody waits for a first certificate who would not wait ten seconds more for one that comes.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// Names of one certificate that are looked at.
const MAX_NAMES: usize = 10;

/// What is known before the look.
pub struct PreOrderCheck<'a> {
    /// The names of the order.
    pub names: &'a [Identifier],
    /// By which names the authority goes in CAA records.
    pub identities: &'a [String],
    /// Where authorities come in.
    pub ports: PublicPorts,
    /// Where lights are shown.
    pub board: &'a Arc<ChallengeBoard>,
    /// The present second.
    pub now: Timestamp,
}

/// What a look found.
pub struct Advice {
    /// The authority's settings with the challenges in the order in which they may work.
    pub acme: Arc<Acme>,
    /// What was not as it should be: the likely cause if the order then fails.
    pub found: Vec<Finding>,
}

/// Looks, logs and advises.
pub async fn before_order(acme: &Arc<Acme>, before: PreOrderCheck<'_>) -> Advice {
    if !concerns_the_world(acme) {
        return Advice { acme: Arc::clone(acme), found: Vec::new() };
    }
    let verdicts = tokio::time::timeout(PROBE_TIMEOUT, look_at_all(acme, &before)).await.unwrap_or_default();
    for finding in verdicts.iter().flat_map(|verdict| &verdict.findings) {
        tell(finding);
    }
    let ordered = ordered(&acme.challenges, &verdicts);
    let same = ordered == acme.challenges;
    let acme = if same { Arc::clone(acme) } else { Arc::new(Acme { challenges: ordered, ..Acme::clone(acme) }) };
    let found = verdicts.into_iter().flat_map(|verdict| verdict.findings).filter(|finding| finding.weight != Severity::Fine);
    Advice { acme, found: found.collect() }
}

/// An authority of one's own house sees other addresses than the world does. Where `resolvers` says whom to ask, they
/// are taken to see what it sees.
fn concerns_the_world(acme: &Acme) -> bool {
    !acme.resolvers.is_empty() || acme.is_public()
}

async fn look_at_all(acme: &Acme, before: &PreOrderCheck<'_>) -> Vec<Verdict> {
    let Ok(dns) = Dns::configured(&acme.resolvers).await else { return Vec::new() };
    let lit = SelfTestGuard::new(before.board, before.now).ok();
    let ports = before.ports;
    let ways = lit.as_ref().map(|lit| Ways { plain: Some(ports.plain), tls: Some(ports.tls), beacon: lit.beacon.clone() });
    let own = own_addresses();
    // Which account a record names is not asked: ours may come with this very order.
    let asker = CaaSubject { identities: before.identities, account: None, challenges: &acme.challenges };
    let here = LocalAddrs { own: &own, asker, ports, public_authority: acme.is_public() };
    let mut verdicts = Vec::new();
    for name in before.names.iter().take(MAX_NAMES) {
        verdicts.push(reachability::judge(&collect::look(name, &dns, ways.as_ref()).await, &here));
    }
    verdicts
}

/// First those that can work for every name, then the others: the look may be wrong. Pure.
fn ordered(configured: &[ChallengeKind], verdicts: &[Verdict]) -> Vec<ChallengeKind> {
    let works = |kind: &&ChallengeKind| verdicts.iter().all(|verdict| verdict.challenges.contains(kind));
    let (first, later): (Vec<ChallengeKind>, Vec<ChallengeKind>) = configured.iter().partition(works);
    first.into_iter().chain(later).collect()
}

fn tell(finding: &Finding) {
    let Finding { check, about, seen, expected, repair, weight } = finding;
    match weight {
        Severity::Prevents => {
            tracing::warn!(event = "preflight", name = about, check, seen, expected, repair, "{about}: {finding}; {repair}");
        }
        Severity::Note => {
            tracing::info!(event = "preflight", name = about, check, seen, expected, repair, "{about}: {finding}; {repair}");
        }
        Severity::Fine => tracing::debug!(event = "preflight", name = about, check, seen, "{about}: {finding}"),
    }
}

#[cfg(test)]
mod tests {
    use ChallengeKind::{Dns01, Http01, TlsAlpn01};

    use super::*;
    use crate::config::defaults;

    #[test]
    fn what_can_work_for_every_name_comes_first_and_nothing_is_left_out() {
        let verdict = |challenges: &[ChallengeKind]| Verdict { findings: Vec::new(), challenges: challenges.to_vec() };
        let check = |verdicts: &[Verdict], expected: &[ChallengeKind]| {
            assert_eq!(ordered(&[Http01, TlsAlpn01, Dns01], verdicts), expected);
        };
        check(&[], &[Http01, TlsAlpn01, Dns01]);
        check(&[verdict(&[TlsAlpn01])], &[TlsAlpn01, Http01, Dns01]);
        check(&[verdict(&[TlsAlpn01, Dns01]), verdict(&[Dns01])], &[Dns01, Http01, TlsAlpn01]);
        check(&[verdict(&[])], &[Http01, TlsAlpn01, Dns01]);
    }

    #[test]
    fn an_authority_of_ones_own_house_is_not_the_worlds() {
        let check = |directory: &str, resolvers: bool, expected| {
            let resolvers = if resolvers { vec!["127.0.0.1:53".parse().unwrap()] } else { Vec::new() };
            let acme = Acme { directory: directory.into(), resolvers, ..defaults::acme() };
            assert_eq!(concerns_the_world(&acme), expected, "for {directory}");
        };
        check("https://acme-v02.api.letsencrypt.org/directory", false, true);
        check("https://localhost:14000/dir", false, false);
        check("https://10.0.0.1/dir", false, false);
        check("https://ca.internal:9000/acme/directory", false, false);
        check("https://localhost:14000/dir", true, true);
    }
}
