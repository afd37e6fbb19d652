//! The ledger of an order that is only tried: nothing of it outlives the try, and nothing is counted. Records in DNS alone
//! are noted in the journal, because others would be left with what a crash left behind.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::base::mutex::lock;
use crate::base::secret::Secret;
use crate::certs::issuer::order_store::{InFlight, LedgerError, OrderStore};
use crate::config::settings::ChallengeKind;
use crate::state::schema::TxtRecord;
use crate::state::slug::Slug;
use crate::state::store::Store;

/// In memory.
pub(crate) struct MemoryOrderStore {
    order: Mutex<Option<InFlight>>,
    store: Arc<Store>,
    issuer: Slug,
}

impl MemoryOrderStore {
    /// For a try at this authority.
    pub(crate) fn new(store: Arc<Store>, issuer: Slug) -> Self {
        Self { order: Mutex::default(), store, issuer }
    }

    fn order(&self) -> MutexGuard<'_, Option<InFlight>> {
        lock(&self.order)
    }
}

impl OrderStore for MemoryOrderStore {
    fn in_flight(&self) -> Result<Option<InFlight>, LedgerError> {
        Ok(self.order().clone())
    }

    fn keep_order(&self, url: &str) -> Result<(), LedgerError> {
        *self.order() = Some(InFlight { url: url.to_owned(), key_pem: None });
        Ok(())
    }

    fn keep_certificate_key(&self, key_pem: &Secret<String>) -> Result<(), LedgerError> {
        if let Some(order) = &mut *self.order() {
            order.key_pem = Some(key_pem.clone());
        }
        Ok(())
    }

    fn forget_order(&self) -> Result<(), LedgerError> {
        *self.order() = None;
        Ok(())
    }

    fn last_challenge(&self) -> Result<Option<ChallengeKind>, LedgerError> {
        Ok(None)
    }

    fn keep_challenge(&self, _kind: ChallengeKind) -> Result<(), LedgerError> {
        Ok(())
    }

    fn keep_record(&self, record: &TxtRecord) -> Result<(), LedgerError> {
        super::durable_store::keep_record(&self.store, &self.issuer, record)
    }

    fn forget_record(&self, record: &TxtRecord) -> Result<(), LedgerError> {
        super::durable_store::forget_record(&self.store, &self.issuer, record)
    }
}
