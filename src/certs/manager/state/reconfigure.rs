//! Taking up settings: what is wanted now, what the state holds of it, what can be had at once.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::super::events;
use super::super::operation::{Insist, RenewError};
use super::{LOAD_TIMEOUT, ManagerState};
use crate::certs::cert_cache::{self, Loaded};
use crate::certs::desired::{self, DesiredCert, Source};
use crate::certs::plan::{self, Next, Waiting};
use crate::config::settings::Settings;
use crate::state::pem_store::Slot;
use crate::state::schema::Key;

impl ManagerState {
    /// At the start, before anything runs. Blocks.
    pub(in super::super) fn adopt_at_once(&mut self, settings: &Settings) {
        let now = self.clock.now();
        for key in self.store.keys() {
            if let Key::Issuer(issuer) = &key
                && let Some(memory) = self.store.get(&key)
            {
                self.book.issuers.insert(issuer.clone(), memory);
            }
        }
        self.alarms.restore(&self.store);
        let mut needs = desired::needs(settings);
        needs.extend(self.on_demand(settings, &needs));
        let mut rng = self.rng();
        let loaded = cert_cache::load(&self.store, &needs, now, &mut rng);
        self.have(settings, needs, loaded);
        self.look_at_files_at_once();
        // The leaves of the local authority are made by the first plan.
        self.act_at_once();
        self.publish();
    }

    /// While running. Orders in flight go on, whatever the new settings say.
    pub(super) async fn adopt(&mut self, settings: &Settings) {
        let mut needs = desired::needs(settings);
        needs.extend(self.on_demand(settings, &needs));
        let loaded = self.load(&needs).await;
        self.unloaded = loaded.is_none() || self.store.hanging().is_some();
        let loaded = loaded.unwrap_or_default();
        self.have(settings, needs, loaded);
        let failing: Vec<Slot> = self.needs.iter().map(|need| need.id.clone()).collect();
        self.book.take_heart(failing.into_iter());
        self.watches.clear();
        self.look_at_files().await;
        self.act().await;
        self.publish();
    }

    /// Loads what the state folder did not answer for when settings were taken up.
    pub(super) async fn load_what_is_missing(&mut self) {
        if !self.unloaded {
            return;
        }
        let needs = self.needs.clone();
        let Some(mut loaded) = self.load(&needs).await else { return };
        self.unloaded = self.store.hanging().is_some();
        loaded.retain(|loaded| loaded.shelved.is_some());
        self.take_in(loaded);
        self.stale = true;
    }

    /// Loads what the state folder holds of these needs, apart from those whose certificates are in memory.
    async fn load(&mut self, needs: &[DesiredCert]) -> Option<Vec<Loaded>> {
        let unknown: Vec<DesiredCert> = needs.iter().filter(|need| !self.cache.contains_key(&need.id)).cloned().collect();
        let (store, now, mut rng) = (Arc::clone(&self.store), self.clock.now(), self.rng());
        let load = move || cert_cache::load(&store, &unknown, now, &mut rng);
        self.on_state("certificates-load", LOAD_TIMEOUT, load).await
    }

    fn have(&mut self, settings: &Settings, needs: Vec<DesiredCert>, loaded: Vec<Loaded>) {
        self.email.clone_from(&settings.email);
        self.acme.clone_from(&settings.acme);
        self.alarms.tell(settings.acme.alert.clone());
        if self.workers.iter().all(|worker| worker.is_finished()) {
            // Two clients of one authority at a time could make two accounts.
            self.authorities.refresh();
        }
        self.needs = needs;
        self.take_in(loaded);
    }

    /// What the state holds of needs, for the book and the cache.
    pub(super) fn take_in(&mut self, loaded: Vec<Loaded>) {
        for Loaded { id, record, shelved, findings } in loaded {
            events::findings(&findings);
            match self.book.records.entry(id.clone()) {
                Entry::Vacant(place) => _ = place.insert(record),
                // What was tried, or is under way, is known better here; what is held lies in the vault.
                Entry::Occupied(mut known) => {
                    known.get_mut().held = record.held;
                    known.get_mut().memory.renewal = record.memory.renewal;
                }
            }
            if let Some(shelved) = shelved {
                self.cache.insert(id, shelved);
            }
        }
    }

    /// A person wants a new certificate for a name.
    pub(super) fn renew(&mut self, name: &str, insist: Insist) -> Result<(), RenewError> {
        let now = self.clock.now();
        let need = self.wanted(name).ok_or_else(|| RenewError::Unknown(name.to_owned()))?.clone();
        let wanted = normal(name);
        if let Source::Files { chain, .. } = &need.source {
            return Err(RenewError::Files { name: wanted, file: chain.clone() });
        }
        if insist == Insist::Yes {
            need.slots().iter().for_each(|slot| self.book.lift(&slot.issuer));
        }
        let record = self.book.records.entry(need.id.clone()).or_default();
        record.asked = true;
        record.memory.limited &= insist == Insist::No;
        let held = match plan::next(&need, &self.book, now) {
            Next::Wait(until, Waiting::Limit(limit)) => Some((until, limit.words())),
            Next::Wait(until, Waiting::Asked) => {
                Some((until, "the authority wants no further try for this name before then; `--insist` asks it all the same"))
            }
            Next::Wait(until, Waiting::Issuer) => {
                Some((until, "the authority asked to be left alone, or is down; `--insist` asks it all the same"))
            }
            Next::Wait(until, Waiting::Bucket) => Some((until, "the authority's limit of new orders is reached")),
            Next::Wait(until, Waiting::Clock) => Some((until, "this machine's clock is plainly wrong")),
            Next::Wait(_, Waiting::Renewal | Waiting::Backoff) | Next::Act(_) | Next::Nothing => None,
        };
        let Some((until, why)) = held else {
            // Nothing in the book speaks against it, so nothing that its client remembers may.
            need.slots().iter().for_each(|slot| self.authorities.lift(&slot.issuer));
            return Ok(());
        };
        self.book.records.entry(need.id.clone()).or_default().asked = false;
        Err(RenewError::Held { name: wanted, until: until.to_string(), why: why.to_owned() })
    }

    /// The need that a person means by one of its names.
    pub(super) fn wanted(&self, name: &str) -> Option<&DesiredCert> {
        let wanted = normal(name);
        self.needs.iter().find(|need| need.names.iter().any(|name| name.to_string() == wanted))
    }
}

/// A name as it is compared.
fn normal(name: &str) -> String {
    name.trim().trim_end_matches('.').to_ascii_lowercase()
}
