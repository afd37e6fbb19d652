//! The end of an account (RFC 8555 section 7.3.6). Certificates that were issued to it stay valid.

use std::sync::Arc;

use serde_json::json;

use super::lost::may_be_lost;
use super::{AcmeAccount, Registered};
use crate::certs::issuer::acme::{OrderCause, blocking};
use crate::certs::issuer::jws::{self, Signer};

/// How an account ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The authority closed it.
    Deactivated,
    /// The authority did not know it, or had closed it itself.
    Gone,
    /// It may be open still: the key that is here is not the one of this URL any more.
    OtherKey(String),
}

impl AcmeAccount {
    /// Closes the account at the authority and puts its key aside; the next order makes another account. One that the
    /// authority does not know, closed itself, or knows by another key is put aside as well.
    pub async fn deactivate(&self) -> Result<Closed, OrderCause> {
        let mut held = self.held.lock().await;
        let registered = match held.take() {
            Some(registered) => registered,
            None => Arc::new(self.stored().await?.ok_or(OrderCause::NoAccount)?),
        };
        let closed = match self.close(&registered).await {
            Ok(closed) => closed,
            Err(cause) => {
                *held = Some(registered);
                return Err(cause);
            }
        };
        let why = match closed {
            Closed::Deactivated => "it was deactivated",
            Closed::Gone => "the authority no longer takes it",
            Closed::OtherKey(_) => "its key was replaced at the authority",
        };
        let ledger = Arc::clone(&self.ledger);
        blocking("put account aside", move || ledger.put_account_aside(why)).await?;
        Ok(closed)
    }

    async fn close(&self, registered: &Registered) -> Result<Closed, OrderCause> {
        let payload = json!({ "status": "deactivated" });
        let end = async |url: &str| jws::post(&self.http, &registered.key, Signer::Account(url), url, Some(&payload)).await;
        let cause = match end(&registered.url).await {
            Ok(_) => return Ok(Closed::Deactivated),
            Err(error) => OrderCause::from(error),
        };
        if cause.acme_type() == Some("accountDoesNotExist") {
            return Ok(Closed::Gone);
        }
        if !may_be_lost(&cause) {
            return Err(cause);
        }
        match self.account_of(&registered.key).await {
            Ok(Some(url)) if url != registered.url => {
                end(&url).await?;
                Ok(Closed::Deactivated)
            }
            Ok(None) => Ok(Closed::OtherKey(registered.url.clone())),
            // A closed account is refused here, too.
            Ok(Some(_)) | Err(_) if cause.acme_type() == Some("unauthorized") => Ok(Closed::Gone),
            Ok(Some(_)) | Err(_) => Err(cause),
        }
    }
}
