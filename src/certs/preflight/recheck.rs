//! A look of our own after a failed validation: whether what failed is in order by now, so that the order that follows is
//! not one more failed validation. What is found is compared with what was found right after the failure: where nothing
//! stood in the way of our own look then, it cannot see what the authority saw, and only the authority's own next try tells.
//!
//! Unlike the look before a first order it asks the zone's own name servers first: a resolver would repeat for an hour what
//! was wrong before.

use std::sync::Arc;
use std::time::Duration;

use super::beacon::Lit;
use super::caa::Asker;
use super::look::{self, Ways};
use super::outside::{self, Answer, Here, NameFacts};
use super::own_addresses;
use crate::base::name::Identifier;
use crate::base::time::Timestamp;
use crate::certs::challenge::ChallengeBoard;
use crate::certs::dns::Dns;
use crate::config::settings::{Acme, ChallengeKind};

/// For one look, with all of its names.
const LOOK_TIMEOUT: Duration = Duration::from_secs(15);
/// Names of one certificate that are looked at.
const MAX_NAMES: usize = 10;
/// Where authorities come in.
const PUBLIC_PORTS: (u16, u16) = (80, 443);

/// By which challenges each name can be proved, as far as can be seen from here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provable(pub Vec<(Identifier, Vec<ChallengeKind>)>);

impl Provable {
    /// Whether a name can be proved in no way.
    pub fn is_lacking(&self) -> bool {
        self.0.iter().any(|(_, kinds)| kinds.is_empty())
    }

    /// Whether every name can be proved now, and one of them in a way in which it could not before. Pure.
    pub fn has_grown_since(&self, before: &Self) -> bool {
        let could =
            |name: &Identifier, kind: &ChallengeKind| before.0.iter().any(|(known, kinds)| known == name && kinds.contains(kind));
        !self.is_lacking() && self.0.iter().any(|(name, kinds)| kinds.iter().any(|kind| !could(name, kind)))
    }
}

/// Looks at the names of an order; `None` when it could not be finished in time. `identities` are the names by which the
/// authority goes in CAA records.
pub async fn look(
    acme: &Acme,
    names: &[Identifier],
    identities: &[String],
    board: &Arc<ChallengeBoard>,
    now: Timestamp,
) -> Option<Provable> {
    let dns = Dns::configured(&acme.resolvers).ok()?;
    let lit = Lit::new(board, now).ok()?;
    let ways = Ways { plain: Some(PUBLIC_PORTS.0), tls: Some(PUBLIC_PORTS.1), beacon: lit.beacon.clone() };
    let own = own_addresses();
    let here = Here { own: &own, asker: Asker { identities, account: None, challenges: &acme.challenges } };
    let look = async {
        let mut provable = Provable::default();
        for name in names.iter().take(MAX_NAMES) {
            let verdict = outside::judge(&facts(name, &dns, &ways).await, &here);
            // Records that are set for each order are no sign of anything before they are set.
            let kinds = verdict.challenges.into_iter().filter(|kind| !is_record(*kind)).collect();
            provable.0.push((name.clone(), kinds));
        }
        provable
    };
    tokio::time::timeout(LOOK_TIMEOUT, look).await.ok()
}

const fn is_record(kind: ChallengeKind) -> bool {
    matches!(kind, ChallengeKind::Dns01 | ChallengeKind::DnsPersist01)
}

/// What the zone's own servers say, else what the resolver says.
async fn facts(name: &Identifier, dns: &Dns, ways: &Ways) -> NameFacts {
    let host = match name {
        Identifier::Dns(host) => host.to_string(),
        Identifier::Wildcard(_) | Identifier::Ip(_) => return look::look(name, dns, Some(ways)).await,
    };
    let zone = dns.zone(&host).await.ok();
    let server = zone.and_then(|zone| zone.servers.into_iter().flat_map(|server| server.addresses).next());
    let Some(server) = server else { return look::look(name, dns, Some(ways)).await };
    let own = look::look(name, &Dns::only(server), Some(ways)).await;
    let has_addresses = [&own.four, &own.six].into_iter().any(|answer| matches!(answer, Answer::Addresses(_)));
    // An alias that leads out of the zone, or a server that is asked in vain from here.
    let mut facts = if has_addresses { own } else { look::look(name, dns, Some(ways)).await };
    if facts.caa.is_err() {
        facts.caa = dns.caa_in_force(&host).await.map_err(|error| error.to_string());
    }
    facts
}

#[cfg(test)]
mod tests {
    use ChallengeKind::{Http01, TlsAlpn01};

    use super::*;

    fn provable(names: &[(&str, &[ChallengeKind])]) -> Provable {
        Provable(names.iter().map(|(name, kinds)| (Identifier::parse(name).unwrap(), kinds.to_vec())).collect())
    }

    #[test]
    fn only_what_could_not_be_proved_before_is_a_reason_to_order() {
        let check = |before: &[(&str, &[ChallengeKind])], now: &[(&str, &[ChallengeKind])], expected: bool| {
            assert_eq!(provable(now).has_grown_since(&provable(before)), expected, "{before:?} -> {now:?}");
        };
        check(&[("a.test", &[])], &[("a.test", &[Http01])], true);
        check(&[("a.test", &[])], &[("a.test", &[])], false);
        // The look saw nothing wrong while the authority did.
        check(&[("a.test", &[Http01, TlsAlpn01])], &[("a.test", &[Http01, TlsAlpn01])], false);
        check(&[("a.test", &[Http01])], &[("a.test", &[Http01, TlsAlpn01])], true);
        check(&[("a.test", &[Http01])], &[("a.test", &[TlsAlpn01])], true);
        // One of two is still broken.
        check(&[("a.test", &[]), ("b.test", &[])], &[("a.test", &[Http01]), ("b.test", &[])], false);
        check(&[("a.test", &[Http01]), ("b.test", &[])], &[("a.test", &[Http01]), ("b.test", &[Http01])], true);
    }
}
