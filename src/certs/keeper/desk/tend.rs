//! Looking after the state folder: what could not be written is written, what vanished is written again.

use std::sync::Arc;

use tokio::time::Instant;

use super::super::tell;
use super::Desk;
use crate::base::task;
use crate::certs::shelf::Shelved;
use crate::state::schema::Key;
use crate::state::store::Store;
use crate::state::vault::Slot;
use crate::telemetry::metrics::certs::CertMetrics;

impl Desk {
    /// Now and then: repairs the journal, stores certificates that are not in the vault. Serving waits for none of it.
    pub(super) async fn tend(&mut self) {
        if self.tended.elapsed() < CertMetrics::INTERVAL {
            return;
        }
        self.tended = Instant::now();
        let (store, now) = (Arc::clone(&self.store), self.clock.now());
        let shelved: Vec<(Slot, Shelved)> = self.shelf.iter().map(|(id, shelved)| (id.clone(), shelved.clone())).collect();
        let work = move || {
            let findings = store.tend(now);
            let saved: Vec<(Slot, u64)> = if store.trouble().is_some() {
                Vec::new()
            } else {
                shelved.iter().filter_map(|(id, shelved)| Some((id.clone(), save_if_missing(&store, shelved)?))).collect()
            };
            (findings, saved, store.trouble().is_some())
        };
        let Some((findings, saved, unwritable)) = task::blocking("state-tend", work).await else { return };
        tell::findings(&findings);
        self.unwritable = unwritable;
        if !unwritable {
            self.local.keep();
        }
        for (id, generation) in saved {
            let Some(shelved) = self.shelf.get_mut(&id) else { continue };
            tracing::info!(event = "certificate_saved", name = %id.name, "it was in memory only, and is in the state folder now");
            let first_time = shelved.generation.replace(generation).is_none();
            if let Some(need) = self.needs.iter().find(|need| need.id == id && first_time) {
                self.hooks.issued(self.store.vault(), need, shelved);
            }
        }
    }
}

/// Stores a certificate that belongs into the vault and is not there, and then forgets its order. Blocks.
fn save_if_missing(store: &Store, shelved: &Shelved) -> Option<u64> {
    let slot = shelved.slot.as_ref()?;
    if shelved.generation.is_some_and(|generation| store.vault().has_pair(slot, generation)) {
        return None;
    }
    let generation = shelved.save(store).ok()?;
    // An order that stays is asked for once more and found done.
    let _forgotten = store.remove(&Key::Order(slot.clone())).is_ok() && store.vault().drop_pending_key(slot).is_ok();
    Some(generation)
}
