//! One account and one client for each authority in use, kept over reloads while nothing about them changed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::time::Clock;
use crate::certs::issuer::account::AcmeAccount;
use crate::certs::issuer::http::{AcmeHttp, HttpLimits};
use crate::certs::need::Authority;
use crate::certs::worker::ledger::VaultAccount;
use crate::config::settings::Eab;
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
    /// The account at this authority. Nothing is asked before it is used.
    pub(super) fn account(
        &mut self,
        authority: &Authority,
        email: Option<&str>,
        store: &Arc<Store>,
        clock: &Arc<dyn Clock>,
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
        let ledger = VaultAccount { store: Arc::clone(store), issuer: authority.issuer.clone(), clock: Arc::clone(clock) };
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

    /// Forgets clients, so that changed files of roots are read again: a person says that something was repaired.
    pub(super) fn refresh(&mut self) {
        self.0.clear();
    }
}
