//! One account and one client for each authority in use, kept over reloads while nothing about them changed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::time::{Clock, Timestamp};
use crate::certs::desired::Authority;
use crate::certs::issuer::account::AcmeAccount;
use crate::certs::issuer::http::{AcmeHttp, HttpLimits, Kind};
use crate::certs::order_task::durable_store::DurableAccountStore;
use crate::config::settings::Eab;
use crate::state::schema::{IssuerMemory, Pause};
use crate::state::slug::Slug;
use crate::state::store::Store;

/// By authority.
#[derive(Default)]
pub(super) struct Authorities(BTreeMap<Slug, Known>);

struct Known {
    facts: Facts,
    account: Arc<AcmeAccount>,
}

/// What an account and its client are made of.
#[derive(PartialEq)]
struct Facts {
    directory: String,
    ca_file: Option<PathBuf>,
    eab: Option<Eab>,
    email: Option<String>,
}

impl Authorities {
    /// The account at this authority, which is left alone as long as it once asked for (`memory`). Nothing is asked before
    /// it is used.
    pub(super) fn account(
        &mut self,
        authority: &Authority,
        email: Option<&str>,
        store: &Arc<Store>,
        clock: &Arc<dyn Clock>,
        memory: Option<&IssuerMemory>,
    ) -> Arc<AcmeAccount> {
        let acme = &authority.acme;
        let facts = Facts {
            directory: acme.directory.clone(),
            ca_file: acme.ca_file.clone(),
            eab: acme.eab.clone(),
            email: email.map(str::to_owned),
        };
        if let Some(known) = self.0.get(&authority.issuer).filter(|known| known.facts == facts) {
            return Arc::clone(&known.account);
        }
        let http = AcmeHttp::new(&acme.directory, acme.ca_file.clone(), HttpLimits::default(), Arc::clone(clock));
        for (kind, pause) in memory.iter().flat_map(|memory| &memory.quiet) {
            if let (Some(kind), Some(_)) = (Kind::parse(kind), pause.holds(clock.now())) {
                http.pauses().pause(kind, *pause);
            }
        }
        let ledger = DurableAccountStore { store: Arc::clone(store), issuer: authority.issuer.clone(), clock: Arc::clone(clock) };
        let account = Arc::new(AcmeAccount::new(http, acme, facts.email.clone(), Arc::new(ledger)));
        self.0.insert(authority.issuer.clone(), Known { facts, account: Arc::clone(&account) });
        account
    }

    /// What this authority asked us not to ask for a while is forgotten: a person wants a try at once.
    pub(super) fn lift(&self, issuer: &Slug) {
        if let Some(known) = self.0.get(issuer) {
            known.account.http().pauses().clear();
        }
    }

    /// Which kinds of requests this authority asked us to leave alone for a while, as they are stored.
    pub(super) fn quiet(&self, issuer: &Slug, now: Timestamp) -> BTreeMap<String, Pause> {
        let known = self.0.get(issuer).map(|known| known.account.http().pauses().snapshot(now));
        let stored = |(kind, pause): (Kind, Pause)| (kind.as_str().to_owned(), pause);
        known.unwrap_or_default().into_iter().map(stored).collect()
    }

    /// Forgets clients, so that changed files of roots are read again: a person says that something was repaired.
    pub(super) fn refresh(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::time::ManualClock;
    use crate::certs::fixtures;

    const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);

    #[test]
    fn what_an_authority_asked_for_holds_after_a_restart_and_a_reload() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(dir.path(), Duration::ZERO, NOW).unwrap().0);
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW));
        let authority = Authority::new(fixtures::acme("https://ca.example/dir"));
        let until = NOW + Duration::from_secs(3_600);
        let mut before = Authorities::default();
        before
            .account(&authority, None, &store, &clock, None)
            .http()
            .pauses()
            .pause(Kind::RenewalInfo, Pause { since: NOW, until });
        let memory = IssuerMemory { quiet: before.quiet(&authority.issuer, NOW), ..IssuerMemory::default() };
        let account = Authorities::default().account(&authority, None, &store, &clock, Some(&memory));
        assert_eq!(account.http().pauses().until(Kind::RenewalInfo, NOW), Some(until));
        assert_eq!(account.http().pauses().until(Kind::NewOrder, NOW), None);
    }
}
