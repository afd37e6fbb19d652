//! Names whose certificates are obtained when somebody asks for them: hosts of customers that come and go without the
//! configuration. An endpoint of the operator's says which ones are wanted; nothing is ordered for any other.
//!
//! A handshake for such a name may wait for its certificate. It is the one wait in the gateway for something else than the
//! peer, and it is bounded in number (`WAITING`) and time (`WAIT_TIMEOUT`).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::desired::{Authority, DesiredCert, Source, authorities};
use crate::base::issuable::NeverIssued;
use crate::base::name::{HostName, HostPattern, Identifier};
use crate::config::settings::{Acme, Place, Settings, Site, SiteTls};
use crate::state::pem_store::Slot;

mod ask;
pub(super) mod authorizer;
mod decisions;

/// Handshakes that may wait at a time, over all workers.
const WAITING: usize = 256;
/// How long one waits: an order takes two to fifteen seconds, and a client's own patience ends at about thirty.
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

/// Which names may be asked for, and how they are obtained.
#[derive(Debug, Default)]
pub struct OnDemandRules {
    /// By the part behind `*.`.
    wildcard: HashMap<Box<str>, Demand>,
    any: Option<Demand>,
}

/// How names of one head are obtained.
#[derive(Debug)]
pub struct Demand {
    /// The endpoint that says which are wanted.
    pub ask: Arc<str>,
    acme: Arc<Acme>,
    at: Place,
}

impl OnDemandRules {
    /// From the heads that are on demand.
    pub fn of(settings: &Settings) -> Self {
        let mut demands = Self::default();
        for site in &settings.sites {
            for host in site.hosts.iter().filter(|host| !host.plain) {
                let Some(demand) = Demand::of(site, &host.pattern) else { continue };
                match &host.pattern {
                    HostPattern::Any => _ = demands.any.get_or_insert(demand),
                    HostPattern::Wildcard(parent) => _ = demands.wildcard.entry(parent.as_str().into()).or_insert(demand),
                    HostPattern::Exact(_) | HostPattern::Ip(_) => (),
                }
            }
        }
        demands
    }

    /// Whether nothing is on demand.
    pub fn is_empty(&self) -> bool {
        self.any.is_none() && self.wildcard.is_empty()
    }

    /// Whether this name, in lower case, may be asked for.
    pub fn covers(&self, name: &str) -> bool {
        self.any.is_some() || name.split_once('.').is_some_and(|(_, parent)| self.wildcard.contains_key(parent))
    }

    /// How a name is obtained; `None` for one that no authority can vouch for.
    pub fn of_name(&self, name: &HostName) -> Option<&Demand> {
        let demand = name.parent().and_then(|parent| self.wildcard.get(parent)).or(self.any.as_ref())?;
        let is_refused = || demand.acme.is_public() && NeverIssued::of(&Identifier::Dns(name.clone())).is_some();
        (!name.is_local() && !is_refused()).then_some(demand)
    }
}

impl Demand {
    fn of(site: &Site, pattern: &HostPattern) -> Option<Self> {
        let SiteTls::Acme(acme) = &site.tls else { return None };
        let ask = acme.on_demand_ask.as_deref().filter(|_| acme.is_on_demand(pattern))?;
        Some(Self { ask: ask.into(), acme: Arc::clone(acme), at: site.at.clone() })
    }

    /// The certificate that must exist for a name of this head.
    pub fn need(&self, name: &HostName) -> DesiredCert {
        let names = vec![Identifier::Dns(name.clone())];
        let authorities: Vec<Authority> = authorities(&self.acme);
        let id = Slot { issuer: authorities[0].issuer.clone(), name: crate::state::slug::Slug::of_names(&names) };
        DesiredCert { id, names, source: Source::Acme(authorities), default: false, on_demand: true, at: self.at.clone() }
    }
}

/// What somebody who waits is told in the end.
pub(super) type Waiter = oneshot::Sender<Result<(), Arc<str>>>;

/// Somebody asks for a name.
#[derive(Debug)]
pub(super) struct OnDemandRequest {
    name: HostName,
    /// Nobody waits where nobody can.
    waiter: Option<Waiter>,
}

/// Where handshakes ask for names. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct OnDemandHandle {
    knocks: mpsc::Sender<OnDemandRequest>,
    waiting: Arc<AtomicUsize>,
}

impl OnDemandHandle {
    pub(super) fn new() -> (Self, mpsc::Receiver<OnDemandRequest>) {
        let (knocks, inbox) = mpsc::channel(WAITING);
        (Self { knocks, waiting: Arc::default() }, inbox)
    }

    /// Asks for a name's certificate and waits until it is served.
    ///
    /// # Errors
    /// In words, why it is not, or not yet.
    pub async fn obtain(&self, name: &str) -> Result<(), String> {
        let busy = || "too many names are being asked for; try again in a moment".to_owned();
        let name = HostName::parse(name).map_err(|error| error.to_string())?;
        let _seat = Seat::take(&self.waiting).ok_or_else(busy)?;
        let (waiter, answer) = oneshot::channel();
        self.knocks.try_send(OnDemandRequest { name, waiter: Some(waiter) }).map_err(|_| busy())?;
        match tokio::time::timeout(WAIT_TIMEOUT, answer).await {
            Ok(Ok(answer)) => answer.map_err(|words| words.to_string()),
            Ok(Err(_)) => Err("doorward is stopping".to_owned()),
            Err(_) => Err("it is being obtained, and that takes longer than a handshake may wait".to_owned()),
        }
    }

    /// Asks for a name's certificate where a handshake cannot wait.
    pub fn knock(&self, name: &str) {
        if let Ok(name) = HostName::parse(name) {
            // When it is full there are enough who ask.
            let _ = self.knocks.try_send(OnDemandRequest { name, waiter: None });
        }
    }
}

/// A seat among those that wait, until dropped.
struct Seat<'a>(&'a AtomicUsize);

impl<'a> Seat<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        let seat = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < WAITING).then_some(seat)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::fixtures::{acme, settings, site};

    fn demands(heads: &[&str]) -> OnDemandRules {
        let on_demand = Acme { on_demand_ask: Some("http://ask.example/".into()), ..(*acme("https://ca.example/dir")).clone() };
        let mut site = site(&["own.example"], &SiteTls::Acme(Arc::new(on_demand)));
        site.hosts = heads
            .iter()
            .map(|head| {
                let pattern = if *head == "*" { HostPattern::Any } else { HostPattern::parse(head).unwrap() };
                crate::config::settings::SiteHost { pattern, plain: false, port: 443 }
            })
            .collect();
        OnDemandRules::of(&settings(vec![site]))
    }

    fn check(heads: &[&str], name: &str, expected: bool) {
        let (demands, parsed) = (demands(heads), HostName::parse(name).unwrap());
        assert_eq!(demands.of_name(&parsed).is_some(), expected, "{name} for {heads:?}");
        assert!(demands.covers(name) || !expected);
    }

    #[test]
    fn only_names_of_heads_with_a_star_are_on_demand() {
        check(&["*"], "a.example", true);
        check(&["*.shops.example"], "a.shops.example", true);
        check(&["*.shops.example"], "a.b.shops.example", false);
        check(&["*.shops.example"], "shops.example", false);
        check(&["own.example"], "own.example", false);
        assert!(demands(&["own.example"]).is_empty());
    }

    #[test]
    fn names_that_no_authority_vouches_for_are_not_asked_for() {
        for name in ["localhost", "printer", "nas.local", "db.internal", "com.au", "a_b.example"] {
            check(&["*"], name, false);
        }
    }

    #[test]
    fn a_need_is_for_just_the_name() {
        let need =
            demands(&["*"]).of_name(&HostName::parse("a.example").unwrap()).unwrap().need(&HostName::parse("a.example").unwrap());
        assert_eq!((need.title().as_str(), need.id.issuer.as_str(), need.on_demand), ("a.example", "ca.example-dir", true));
    }

    #[tokio::test]
    async fn no_more_than_a_bounded_number_waits() {
        let (door, mut inbox) = OnDemandHandle::new();
        let name = "a.example";
        let waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(door.obtain(name))).collect();
        let mut all = futures_util::future::join_all(waiting);
        tokio::select! {
            biased;
            _ = &mut all => panic!("nobody was answered"),
            () = tokio::task::yield_now() => (),
        }
        assert!(door.obtain(name).await.unwrap_err().contains("too many names"));
        drop(all);
        assert!(inbox.try_recv().is_ok());
        assert_eq!(door.waiting.load(Ordering::Relaxed), 0);
    }
}
