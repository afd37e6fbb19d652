//! The end of an account (RFC 8555 section 7.3.6). Certificates that were issued to it stay valid.

use std::sync::Arc;

use serde_json::json;

use super::AcmeAccount;
use crate::certs::issuer::acme::{OrderCause, blocking};
use crate::certs::issuer::jws::{self, Signer};

impl AcmeAccount {
    /// Closes the account at the authority and puts its key aside; the next order makes another account. One that the
    /// authority does not know, or closed itself, is put aside as well.
    pub async fn deactivate(&self) -> Result<(), OrderCause> {
        let mut held = self.held.lock().await;
        let registered = match held.take() {
            Some(registered) => registered,
            None => Arc::new(self.stored().await?.ok_or(OrderCause::NoAccount)?),
        };
        let payload = json!({ "status": "deactivated" });
        let signer = Signer::Account(&registered.url);
        let why = match jws::post(&self.http, &registered.key, signer, &registered.url, Some(&payload)).await {
            Ok(_) => "it was deactivated",
            Err(error) => {
                let cause = OrderCause::from(error);
                match cause.acme_type() {
                    Some("unauthorized" | "accountDoesNotExist") => "the authority no longer takes it",
                    _ => {
                        *held = Some(registered);
                        return Err(cause);
                    }
                }
            }
        };
        let ledger = Arc::clone(&self.ledger);
        blocking("put account aside", move || ledger.put_account_aside(why)).await
    }
}
