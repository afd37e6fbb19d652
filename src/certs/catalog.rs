//! What is served: an immutable map from names to signing keys. Pure; the manager builds a new one whenever something
//! changed, and handshakes only look.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::sign::CertifiedKey;

use super::on_demand::OnDemandRules;
use crate::base::addr::unmapped;
use crate::base::name::Identifier;

/// Every name that is ours.
#[derive(Debug, Default)]
pub struct Catalog {
    exact: HashMap<Box<str>, Standing>,
    /// By the part behind `*.`.
    wildcard: HashMap<Box<str>, Standing>,
    ips: HashMap<IpAddr, Standing>,
    /// For a client that names nobody: the certificate, if there is just one.
    only: Option<Arc<CertifiedKey>>,
    /// For a client that no certificate is for.
    default: Option<Standing>,
    /// What may be asked for.
    demands: Option<Arc<OnDemandRules>>,
    /// For each name on demand that is held: set when somebody asks for it.
    asked: HashMap<Box<str>, Arc<AtomicBool>>,
}

/// How a name stands.
#[derive(Clone, Debug)]
pub enum Standing {
    /// It is served with this.
    Ready(Arc<CertifiedKey>),
    /// It is ours, but there is no certificate yet, and why.
    Coming(Arc<str>),
}

/// What a handshake learns.
#[derive(Debug)]
pub enum Lookup {
    /// Serve this.
    Found(Arc<CertifiedKey>),
    /// The name is ours, its certificate is on its way; why it is not there, for the log.
    Coming(String),
    /// The name is nobody's yet, and may be asked for.
    Demand,
    /// No site has that name.
    Unknown,
}

impl Catalog {
    /// From the names of every need and how they stand. The first need for a name wins, unless only a later one is ready.
    pub fn build(entries: impl IntoIterator<Item = (Vec<Identifier>, Standing)>) -> Self {
        let mut catalog = Self::default();
        let (mut first, mut several) = (None, false);
        for (names, standing) in entries {
            if let Standing::Ready(key) = &standing {
                several |= !Arc::ptr_eq(first.get_or_insert_with(|| Arc::clone(key)), key);
            }
            for name in names {
                match name {
                    Identifier::Dns(name) => enter(&mut catalog.exact, name.as_str().into(), &standing),
                    Identifier::Wildcard(parent) => enter(&mut catalog.wildcard, parent.as_str().into(), &standing),
                    Identifier::Ip(ip) => enter(&mut catalog.ips, unmapped(ip), &standing),
                }
            }
        }
        catalog.only = first.filter(|_| !several);
        catalog
    }

    /// Shows clients that no certificate is for this one instead of an alert.
    pub fn with_default(mut self, default: Standing) -> Self {
        self.default = Some(default);
        self
    }

    /// With names on demand, and for those that are held what is set when somebody asks for them.
    pub fn with_demands(mut self, demands: Arc<OnDemandRules>, asked: HashMap<Box<str>, Arc<AtomicBool>>) -> Self {
        (self.demands, self.asked) = (Some(demands), asked);
        self
    }

    /// What may be asked for, if anything may.
    pub fn demands(&self) -> Option<&OnDemandRules> {
        self.demands.as_deref()
    }

    /// Which certificate a handshake gets. `server_name` is what the client sent (RFC 6066 section 3 allows no address
    /// there), `local` the address it connected to, which decides when it sent none (RFC 8738 section 6 speaks of the
    /// validation only; clients of an address send no name).
    pub fn lookup(&self, server_name: Option<&str>, local: Option<IpAddr>) -> Lookup {
        match server_name {
            None => self.unnamed(local),
            // Names arrive in lower case from every client worth the speed.
            Some(name) if name.bytes().any(|b| b.is_ascii_uppercase()) => self.named(&name.to_ascii_lowercase()),
            Some(name) => self.named(name),
        }
    }

    /// Names with a certificate, and names without.
    pub fn counts(&self) -> (usize, usize) {
        let all = || self.exact.values().chain(self.wildcard.values()).chain(self.ips.values());
        let ready = all().filter(|standing| matches!(standing, Standing::Ready(_))).count();
        (ready, all().count() - ready)
    }

    /// Every DNS name that has a certificate of its own name, with it; neither wildcards nor addresses.
    pub fn ready(&self) -> impl Iterator<Item = (&str, &Arc<CertifiedKey>)> {
        self.exact.iter().filter_map(|(name, standing)| match standing {
            Standing::Ready(key) => Some((&**name, key)),
            Standing::Coming(_) => None,
        })
    }

    fn named(&self, name: &str) -> Lookup {
        if !self.asked.is_empty()
            && let Some(asked) = self.asked.get(name)
            && !asked.load(Ordering::Relaxed)
        {
            asked.store(true, Ordering::Relaxed);
        }
        let exact = self.exact.get(name);
        let wildcard = || self.wildcard.get(name.split_once('.')?.1);
        match (exact, exact.is_none_or(Standing::is_coming).then(wildcard).flatten()) {
            (Some(Standing::Ready(key)), _) | (_, Some(Standing::Ready(key))) => Lookup::Found(Arc::clone(key)),
            (Some(Standing::Coming(why)), _) | (_, Some(Standing::Coming(why))) => Lookup::Coming(why.to_string()),
            (None, None) if self.demands.as_ref().is_some_and(|demands| demands.covers(name)) => Lookup::Demand,
            (None, None) => self.stranger(),
        }
    }

    fn unnamed(&self, local: Option<IpAddr>) -> Lookup {
        match (local.and_then(|ip| self.ips.get(&unmapped(ip))), &self.default, &self.only) {
            (Some(Standing::Ready(key)), _, _) | (_, Some(Standing::Ready(key)), _) | (_, _, Some(key)) => {
                Lookup::Found(Arc::clone(key))
            }
            (Some(Standing::Coming(why)), _, None) => Lookup::Coming(why.to_string()),
            (None, _, None) => self.stranger(),
        }
    }

    fn stranger(&self) -> Lookup {
        match &self.default {
            Some(Standing::Ready(key)) => Lookup::Found(Arc::clone(key)),
            Some(Standing::Coming(why)) => Lookup::Coming(why.to_string()),
            None => Lookup::Unknown,
        }
    }
}

impl Standing {
    const fn is_coming(&self) -> bool {
        matches!(self, Self::Coming(_))
    }
}

fn enter<K: std::hash::Hash + Eq>(table: &mut HashMap<K, Standing>, key: K, standing: &Standing) {
    let held = table.get(&key);
    if held.is_none() || (held.is_some_and(Standing::is_coming) && !standing.is_coming()) {
        table.insert(key, standing.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::fixtures;

    fn names(texts: &[&str]) -> Vec<Identifier> {
        texts.iter().map(|text| Identifier::parse(text).unwrap()).collect()
    }

    fn coming() -> Standing {
        Standing::Coming("being obtained".into())
    }

    /// Finds which of the numbered keys answers.
    fn check(catalog: &Catalog, keys: &[Arc<CertifiedKey>], asked: Option<&str>, local: Option<&str>, expected: &str) {
        let found = match catalog.lookup(asked, local.map(|ip| ip.parse().unwrap())) {
            Lookup::Found(key) => keys.iter().position(|held| Arc::ptr_eq(held, &key)).unwrap().to_string(),
            Lookup::Coming(_) => "coming".to_owned(),
            Lookup::Demand => "demand".to_owned(),
            Lookup::Unknown => "unknown".to_owned(),
        };
        assert_eq!(found, expected, "for {asked:?} at {local:?}");
    }

    #[test]
    fn exact_before_wildcard_before_nothing() {
        let keys: Vec<_> = (0..3).map(|_| fixtures::certified()).collect();
        let ready = |n: usize| Standing::Ready(Arc::clone(&keys[n]));
        let catalog = Catalog::build([
            (names(&["a.example", "192.0.2.1"]), ready(0)),
            (names(&["*.a.example"]), ready(1)),
            (names(&["own.a.example", "new.example"]), coming()),
            (names(&["2001:db8::1"]), ready(2)),
            (names(&["*.b.example"]), coming()),
        ]);
        check(&catalog, &keys, Some("a.example"), None, "0");
        check(&catalog, &keys, Some("A.Example"), None, "0");
        check(&catalog, &keys, Some("x.a.example"), None, "1");
        check(&catalog, &keys, Some("x.y.a.example"), None, "unknown");
        check(&catalog, &keys, Some("own.a.example"), None, "1");
        check(&catalog, &keys, Some("new.example"), None, "coming");
        check(&catalog, &keys, Some("x.b.example"), None, "coming");
        check(&catalog, &keys, Some("other.example"), None, "unknown");
        check(&catalog, &keys, Some("example"), None, "unknown");
        check(&catalog, &keys, None, Some("2001:db8::1"), "2");
        check(&catalog, &keys, None, Some("::ffff:192.0.2.1"), "0");
        check(&catalog, &keys, None, Some("192.0.2.9"), "unknown");
        assert_eq!(catalog.counts(), (4, 3));
    }

    #[test]
    fn a_gateway_of_one_certificate_shows_it_to_clients_that_name_nobody() {
        let keys = vec![fixtures::certified()];
        let catalog = Catalog::build([(names(&["a.example"]), Standing::Ready(Arc::clone(&keys[0])))]);
        check(&catalog, &keys, None, None, "0");
        check(&catalog, &keys, Some("b.example"), None, "unknown");
    }

    #[test]
    fn whom_no_certificate_is_for_is_shown_the_default() {
        let keys: Vec<_> = (0..3).map(|_| fixtures::certified()).collect();
        let ready = |n: usize| Standing::Ready(Arc::clone(&keys[n]));
        let entries = || [(names(&["a.example", "192.0.2.1"]), ready(0)), (names(&["b.example"]), ready(1))];
        let catalog = Catalog::build(entries()).with_default(ready(2));
        check(&catalog, &keys, Some("a.example"), None, "0");
        check(&catalog, &keys, Some("c.example"), None, "2");
        check(&catalog, &keys, None, Some("192.0.2.1"), "0");
        check(&catalog, &keys, None, Some("192.0.2.2"), "2");
        let coming = Catalog::build(entries()).with_default(coming());
        check(&coming, &keys, Some("c.example"), None, "coming");
    }

    #[test]
    fn a_ready_certificate_stands_in_for_one_that_is_coming() {
        let keys = vec![fixtures::certified()];
        let catalog =
            Catalog::build([(names(&["a.example"]), coming()), (names(&["a.example"]), Standing::Ready(Arc::clone(&keys[0])))]);
        check(&catalog, &keys, Some("a.example"), None, "0");
    }
}
