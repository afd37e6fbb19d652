//! Records that an earlier process left behind: noted in the journal, and needed by nobody now.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ChallengeBoard, Publisher};
use crate::base::error_chain::ErrorChain;
use crate::base::task;
use crate::base::time::Clock;
use crate::config::settings::Acme;
use crate::state::schema::{Key, TxtRecord};
use crate::state::slug::Slug;
use crate::state::store::Store;

/// Takes them away, as the authority's present configuration says. One that cannot be is tried again at the next start.
pub(in crate::certs) async fn sweep(
    store: Arc<Store>,
    board: Arc<ChallengeBoard>,
    authorities: BTreeMap<Slug, Arc<Acme>>,
    clock: Arc<dyn Clock>,
) {
    for key in store.keys() {
        let Key::Record(slot) = &key else { continue };
        let Some(record) = store.get::<TxtRecord>(&key) else { continue };
        // A try at a test directory has none of its own here; it set its record as another authority's orders do.
        let acme = authorities.get(&slot.issuer).or_else(|| authorities.values().next());
        let publisher = match acme {
            Some(acme) => Some(Publisher::new(acme, Arc::clone(&clock)).await),
            None => None,
        };
        let Some(Ok(publisher)) = publisher else {
            let hint = "remove it by hand, or configure again how it was set";
            tracing::warn!(event = "dns_record_left", record = record.name, authority = %slot.issuer, hint, "the record {} of an earlier process is left: {hint}", record.name);
            continue;
        };
        let turn = board.turns.of(&record.name);
        let uses = turn.lock().await;
        if uses.has(&record.value) {
            continue;
        }
        if let Err(error) = publisher.change(&record, false).await {
            tracing::warn!(event = "dns_record_left", record = record.name, error = %ErrorChain(&error), "it is tried again at the next start");
            continue;
        }
        tracing::info!(event = "dns_record_unset", record = record.name, "an earlier process left it");
        let (store, key) = (Arc::clone(&store), key.clone());
        if let Some(Err(error)) = task::blocking("dns-record-note", move || store.remove(&key)).await {
            tracing::debug!(event = "journal_behind", error = %ErrorChain(&error), "the journal is behind, and is written again with the next change");
        }
    }
}
