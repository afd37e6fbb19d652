//! A look of our own after a failed validation: whether what failed is in order by now, so that the order that follows is
//! not one more failed validation. What is found is compared with what was found right after the failure: where nothing
//! stood in the way of our own look then, it cannot see what the authority saw, and only the authority's own next try tells.
//!
//! Unlike the look before a first order it asks the zone's own name servers first: a resolver would repeat for an hour what
//! was wrong before.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::caa::CaaSubject;
use super::cdn;
use super::collect::{self, Ways};
use super::probe::ProbeReply;
use super::reachability::{self, Answer, LocalAddrs, NameFacts};
use super::self_test::SelfTestGuard;
use super::{PublicPorts, own_addresses};
use crate::base::name::Identifier;
use crate::base::time::Timestamp;
use crate::certs::challenge::ChallengeBoard;
use crate::config::settings::{Acme, ChallengeKind};
use crate::net::dns::Dns;

/// For one look, with all of its names.
const LOOK_TIMEOUT: Duration = Duration::from_secs(15);
/// Names of one certificate that are looked at.
const MAX_NAMES: usize = 10;

/// How each name of an order can be proved, as far as can be seen from here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provable(pub Vec<NameWays>);

/// The same of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameWays {
    /// Which.
    pub name: Identifier,
    /// Challenges that nothing seen from here prevents.
    pub possible: Vec<ChallengeKind>,
    /// Those of them that were seen to lead here: a machine behind a router may not reach itself by its public address.
    pub seen: Vec<ChallengeKind>,
    /// Where the name leads, without addresses of CDNs, which change by themselves.
    pub addresses: Vec<IpAddr>,
}

impl Provable {
    /// Whether a name can be proved in no way.
    pub fn is_lacking(&self) -> bool {
        self.0.iter().any(|ways| ways.possible.is_empty())
    }

    /// Whether every name can be proved now, and one of them in a way in which it could not before. Pure.
    pub fn has_grown_since(&self, before: &Self) -> bool {
        !self.is_lacking()
            && self.0.iter().any(|now| before.0.iter().all(|then| then.name != now.name || now.has_grown_since(then)))
    }
}

impl NameWays {
    fn has_grown_since(&self, before: &Self) -> bool {
        let is_new = |now: &[ChallengeKind], then: &[ChallengeKind]| now.iter().any(|kind| !then.contains(kind));
        let moved = !self.addresses.is_empty()
            && !before.addresses.is_empty()
            && !self.addresses.iter().any(|ip| before.addresses.contains(ip));
        is_new(&self.possible, &before.possible) || is_new(&self.seen, &before.seen) || moved
    }
}

/// Looks at the names of an order; `None` when it could not be finished in time. `identities` are the names by which the
/// authority goes in CAA records.
pub async fn look(
    acme: &Acme,
    names: &[Identifier],
    identities: &[String],
    ports: PublicPorts,
    board: &Arc<ChallengeBoard>,
    now: Timestamp,
) -> Option<Provable> {
    let dns = Dns::configured(&acme.resolvers).await.ok()?;
    let lit = SelfTestGuard::new(board, now).ok()?;
    let ways = Ways { plain: Some(ports.plain), tls: Some(ports.tls), beacon: lit.beacon.clone() };
    let own = own_addresses();
    let asker = CaaSubject { identities, account: None, challenges: &acme.challenges };
    let here = LocalAddrs { own: &own, asker, ports, public_authority: acme.is_public() };
    let look = async {
        let mut provable = Provable::default();
        for name in names.iter().take(MAX_NAMES) {
            let facts = facts(name, &dns, &ways).await;
            provable.0.push(ways_of(&facts, reachability::judge(&facts, &here).challenges));
        }
        provable
    };
    tokio::time::timeout(LOOK_TIMEOUT, look).await.ok()
}

fn ways_of(facts: &NameFacts, challenges: Vec<ChallengeKind>) -> NameWays {
    // Records that are set for each order are no sign of anything before they are set.
    let possible: Vec<ChallengeKind> = challenges.into_iter().filter(|kind| !is_record(*kind)).collect();
    let leads_here = |kind: &ChallengeKind| {
        facts.doors.iter().any(|door| {
            let seen = if *kind == ChallengeKind::Http01 { &door.plain } else { &door.tls };
            *seen == Some(ProbeReply::Ourselves)
        })
    };
    let seen = possible.iter().copied().filter(leads_here).collect();
    let addresses = facts.doors.iter().map(|door| door.ip).filter(|ip| cdn::of(*ip).is_none()).collect();
    NameWays { name: facts.name.clone(), possible, seen, addresses }
}

const fn is_record(kind: ChallengeKind) -> bool {
    matches!(kind, ChallengeKind::Dns01 | ChallengeKind::DnsPersist01)
}

/// What the zone's own servers say, else what the resolver says.
async fn facts(name: &Identifier, dns: &Dns, ways: &Ways) -> NameFacts {
    let host = match name {
        Identifier::Dns(host) => host.to_string(),
        Identifier::Wildcard(_) | Identifier::Ip(_) => return collect::look(name, dns, Some(ways)).await,
    };
    let zone = dns.zone(&host).await.ok();
    let server = zone.and_then(|zone| zone.servers.into_iter().flat_map(|server| server.addresses).next());
    let Some(server) = server else { return collect::look(name, dns, Some(ways)).await };
    let own = collect::look(name, &Dns::only(server), Some(ways)).await;
    let has_addresses = [&own.four, &own.six].into_iter().any(|answer| matches!(answer, Answer::Addresses(_)));
    // An alias that leads out of the zone, or a server that is asked in vain from here.
    let mut facts = if has_addresses { own } else { collect::look(name, dns, Some(ways)).await };
    if facts.caa.is_err() {
        facts.caa = dns.caa_in_force(&host).await.map_err(|error| error.to_string());
    }
    facts
}

#[cfg(test)]
mod tests {
    use ChallengeKind::{Http01, TlsAlpn01};

    use super::*;

    fn provable(names: &[(&str, &[ChallengeKind], &[ChallengeKind], &str)]) -> Provable {
        let ways = |(name, possible, seen, ip): &(&str, &[ChallengeKind], &[ChallengeKind], &str)| NameWays {
            name: Identifier::parse(name).unwrap(),
            possible: possible.to_vec(),
            seen: seen.to_vec(),
            addresses: ip.parse().into_iter().collect(),
        };
        Provable(names.iter().map(ways).collect())
    }

    #[test]
    fn only_what_could_not_be_proved_before_is_a_reason_to_order() {
        type Names<'a> = &'a [(&'a str, &'a [ChallengeKind], &'a [ChallengeKind], &'a str)];
        let check = |before: Names<'_>, now: Names<'_>, expected: bool| {
            assert_eq!(provable(now).has_grown_since(&provable(before)), expected, "{before:?} -> {now:?}");
        };
        let (none, both): (&[ChallengeKind], &[ChallengeKind]) = (&[], &[Http01, TlsAlpn01]);
        check(&[("a.test", none, none, "")], &[("a.test", both, none, "192.0.2.1")], true);
        check(&[("a.test", none, none, "")], &[("a.test", none, none, "")], false);
        // The look saw nothing wrong while the authority did.
        check(&[("a.test", both, both, "192.0.2.1")], &[("a.test", both, both, "192.0.2.1")], false);
        check(&[("a.test", both, none, "192.0.2.1")], &[("a.test", both, none, "192.0.2.1")], false);
        // Another port is open, or the name leads elsewhere.
        check(&[("a.test", &[Http01], &[Http01], "192.0.2.1")], &[("a.test", both, both, "192.0.2.1")], true);
        check(&[("a.test", both, none, "192.0.2.1")], &[("a.test", both, both, "192.0.2.1")], true);
        check(&[("a.test", both, none, "192.0.2.1")], &[("a.test", both, none, "192.0.2.2")], true);
        // One of two is still broken.
        let broken = ("b.test", none, none, "");
        check(&[("a.test", none, none, ""), broken], &[("a.test", both, both, "192.0.2.1"), broken], false);
    }
}
