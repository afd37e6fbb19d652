//! Looking after the state folder: what could not be written is written, what vanished is written again.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::events;
use super::{Kept, LOAD_TIMEOUT, ManagerState, STATE_TIMEOUT, Upkeep};
use crate::base::error_chain::ErrorChain;
use crate::base::task;
use crate::certs::cert_cache::CachedCert;
use crate::certs::cleanup;
use crate::certs::desired::DesiredCert;
use crate::state::finding::Finding;
use crate::state::pem_store::Slot;
use crate::state::schema::Key;
use crate::state::store::Store;
use crate::telemetry::metrics::certs::CertMetrics;

/// Between two trials of a state folder that seems to be well.
const PROBE: Duration = Duration::from_secs(600);
/// Between two looks for what nobody asks for any more.
const CLEARING: Duration = Duration::from_secs(86_400);

impl ManagerState {
    /// Now and then: repairs the journal, stores certificates that are not in the vault. Serving waits for none of it.
    pub(super) async fn tend(&mut self) {
        if self.tended.elapsed() < CertMetrics::INTERVAL {
            return;
        }
        self.tended = Instant::now();
        self.tend_on_demand().await;
        let mut upkeep = self.late.take().unwrap_or_else(|| self.begin_upkeep());
        match tokio::time::timeout(STATE_TIMEOUT, &mut upkeep).await {
            Ok(Some(kept)) => self.take_kept(kept).await,
            Ok(None) => (),
            // What it comes to is taken in later; whether it hangs is seen by `look_at_state`.
            Err(_elapsed) => self.late = Some(upkeep),
        }
    }

    fn begin_upkeep(&mut self) -> Upkeep {
        let (store, now) = (Arc::clone(&self.store), self.clock.now());
        let shelved: Vec<(Slot, CachedCert)> = self.cache.iter().map(|(id, shelved)| (id.clone(), shelved.clone())).collect();
        let probing = self.unwritable || self.probed.elapsed() >= PROBE;
        if probing {
            self.probed = Instant::now();
        }
        let keep_local = self.local.keeping(&self.store);
        let work = move || {
            let findings = store.tend(now);
            // A folder that is written to every other month would fail unnoticed until it matters.
            let probed = if probing { store.probe().err().map(|error| ErrorChain(&error).to_string()) } else { None };
            let refused = store.trouble().or(probed);
            if refused.is_some() {
                return Kept { findings, saved: Vec::new(), refused };
            }
            keep_local();
            let save = |(id, shelved): &(Slot, CachedCert)| Some((id.clone(), save_if_missing(&store, shelved)?));
            Kept { findings, saved: shelved.iter().filter_map(save).collect(), refused }
        };
        Box::pin(task::blocking("state-tend", work))
    }

    async fn take_kept(&mut self, kept: Kept) {
        let Kept { findings, saved, refused } = kept;
        self.stale |= !saved.is_empty();
        self.state_is(refused.as_deref(), findings);
        if refused.is_none() {
            self.load_what_is_missing().await;
            self.tend_accounts().await;
            self.clear_out().await;
        }
        for (id, generation) in saved {
            let Some(shelved) = self.cache.get_mut(&id) else { continue };
            tracing::info!(event = "certificate_saved", name = %id.name, "it was in memory only, and is in the state folder now");
            let first_time = shelved.generation.replace(generation).is_none();
            if let Some(need) = self.needs.iter().find(|need| need.id == id && first_time) {
                self.hooks.issued(self.store.vault(), need, shelved);
            }
        }
    }

    /// Whether the disk of the state folder hangs, in each turn: then it is reported as one that cannot be written. That it
    /// answers again is found by the next look after it.
    pub(super) fn look_at_state(&mut self) {
        if let Some(hanging) = self.store.hanging().filter(|_| !self.unwritable) {
            self.state_is(Some(&hanging), Vec::new());
        }
    }

    /// Reports how the state folder is: why it cannot be written, if so.
    fn state_is(&mut self, refused: Option<&str>, mut findings: Vec<Finding>) {
        match refused {
            Some(why) if !self.unwritable && findings.is_empty() => findings.push(Finding::NotWritable(why.to_owned())),
            None if self.unwritable && findings.is_empty() => findings.push(Finding::Healed),
            Some(_) | None => (),
        }
        events::findings(&findings);
        self.stale |= self.unwritable != refused.is_some();
        self.unwritable = refused.is_some();
        self.alarms.state(refused, self.clock.now());
    }

    /// Once a day: what nobody asks for any more goes. Only while the clock is known to go steadily: under one that is ahead
    /// everything looks old, and a key that was removed does not come back.
    async fn clear_out(&mut self) {
        let now = self.clock.now();
        if !self.steady.is_at(now, Instant::now()) {
            return;
        }
        if self.cleared.is_some_and(|last| now.since(last) < CLEARING && last <= now) {
            return;
        }
        self.cleared = Some(now);
        let (store, wanted) = (Arc::clone(&self.store), self.needs.iter().flat_map(DesiredCert::slots).collect());
        let cleared = self.on_state("state-clear", LOAD_TIMEOUT, move || cleanup::clear(&store, &wanted, now)).await;
        for slot in cleared.unwrap_or_default() {
            tracing::info!(
                event = "certificate_forgotten",
                name = %slot.name,
                issuer = %slot.issuer,
                "no site asks for it, and it ended more than 90 days ago; it was removed from the state folder"
            );
        }
    }

    /// Accounts whose files vanished are written again: by a task of its own, one at a time.
    async fn tend_accounts(&mut self) {
        if self.accounts.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let authorities = self.authorities_in_use().await;
        let accounts: Vec<_> =
            authorities.iter().map(|authority| (authority.issuer.clone(), self.account_at(authority))).collect();
        self.accounts = Some(task::spawn_local("accounts-tend", async move {
            for (issuer, account) in accounts {
                match account.tend().await {
                    Ok(false) => (),
                    Ok(true) => tracing::warn!(event = "account_saved", %issuer, "its files were gone, and are there again"),
                    Err(error) => tracing::debug!(event = "account_unkept", %issuer, error = %ErrorChain(&error)),
                }
            }
        }));
    }
}

/// Stores a certificate that belongs into the vault and is not there, and then forgets its order. Blocks.
fn save_if_missing(store: &Store, shelved: &CachedCert) -> Option<u64> {
    let slot = shelved.slot.as_ref()?;
    if shelved.generation.is_some_and(|generation| store.vault().has_pair(slot, generation)) {
        if let Err(error) = store.vault().mend_current(slot) {
            tracing::debug!(event = "current_not_updated", name = %slot.name, error = %ErrorChain(&error), "the link `current` of {} is not updated: {}", slot.name, ErrorChain(&error));
        }
        return None;
    }
    let generation = shelved.save(store).ok()?;
    // An order that stays is asked for once more and found done.
    let _forgotten = store.remove(&Key::Order(slot.clone())).is_ok() && store.vault().drop_pending_key(slot).is_ok();
    Some(generation)
}
