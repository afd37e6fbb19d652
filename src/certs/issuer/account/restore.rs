//! An account whose files vanish while we run is written again: without its key, everything bound to it would be lost.

use std::sync::Arc;

use super::{AcmeAccount, Registered};
use crate::certs::issuer::acme::{OrderCause, blocking};
use crate::certs::issuer::order_store::{AccountStore, LedgerError};

impl AcmeAccount {
    /// Remembers the stored account, and writes it again if its key is not on the disk any more; whether it had to. Asks
    /// the authority nothing. While the account is in use it changes nothing.
    pub async fn tend(&self) -> Result<bool, OrderCause> {
        let Ok(mut held) = self.held.try_lock() else { return Ok(false) };
        let Some(registered) = held.clone() else {
            // A next key has to be settled first, and that takes the authority.
            let ledger = Arc::clone(&self.ledger);
            let unsettled = blocking("read account", move || ledger.account()).await?.next_key_pem.is_some();
            *held = if unsettled { None } else { self.stored().await?.map(Arc::new) };
            return Ok(false);
        };
        let ledger = Arc::clone(&self.ledger);
        blocking("tend account", move || keep_if_lost(ledger.as_ref(), &registered)).await
    }
}

fn keep_if_lost(ledger: &dyn AccountStore, registered: &Registered) -> Result<bool, LedgerError> {
    if ledger.account()?.key_pem.is_some() {
        return Ok(false);
    }
    ledger.keep_account_key(registered.key.pem())?;
    ledger.keep_account_url(&registered.url)?;
    Ok(true)
}
