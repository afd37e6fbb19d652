//! The ledger of an order that is only tried: nothing of it outlives the try, and nothing is counted.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::secret::Secret;
use crate::certs::issuer::ledger::{InFlight, LedgerError, OrderLedger};
use crate::config::settings::ChallengeKind;

/// In memory.
#[derive(Default)]
pub(crate) struct Scratch(Mutex<Option<InFlight>>);

impl Scratch {
    fn order(&self) -> MutexGuard<'_, Option<InFlight>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OrderLedger for Scratch {
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
}
