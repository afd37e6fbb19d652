//! Another key for the same account (RFC 8555 section 7.3.5).
//!
//! The next key is on disk before the authority hears of it. Whatever happens in between, the authority knows which of the
//! two it believes, and is asked before either is used again.

use serde_json::json;

use super::{AcmeAccount, Registered};
use crate::certs::issuer::acme::{OrderCause, blocking};
use crate::certs::issuer::http::HttpFailure;
use crate::certs::issuer::jws::{self, AccountKey, SignedError, Signer};
use crate::certs::issuer::order_store::AccountFacts;
use std::sync::Arc;

impl AcmeAccount {
    /// Gives the account another key, and tells the thumbprint of the new one. Orders that come meanwhile wait; none may be
    /// under way, since it would go on signing with the old key.
    pub async fn roll_key(&self) -> Result<String, OrderCause> {
        let mut held = self.held.lock().await;
        let registered = match held.take() {
            Some(registered) => registered,
            None => Arc::new(self.load().await?),
        };
        let directory = self.http.directory().await?;
        let url = directory.key_change.as_deref().ok_or(OrderCause::NotOffered("keyChange"))?;
        let (next, pem) = AccountKey::generate().map_err(OrderCause::AccountKey)?;
        let agreed = next.succeed(&registered.key, &registered.url, url).map_err(OrderCause::AccountKey)?;
        let ledger = Arc::clone(&self.ledger);
        blocking("keep next account key", move || ledger.keep_next_key(&pem)).await?;
        match jws::post(&self.http, &registered.key, Signer::Account(&registered.url), url, Some(&agreed)).await {
            Ok(_) => {
                self.settle(true).await?;
                let thumbprint = next.thumbprint();
                *held = Some(Arc::new(Registered { key: next, url: registered.url.clone() }));
                tracing::info!(
                    event = "account_key_rolled",
                    directory = self.http.directory_url(),
                    account = registered.url,
                    "the account has a new key"
                );
                Ok(thumbprint)
            }
            Err(error) => {
                if was_refused(&error) {
                    self.settle(false).await?;
                    *held = Some(registered);
                }
                Err(error.into())
            }
        }
    }

    /// A crash, or a lost answer, left two keys: the authority is asked which one is the account's.
    pub(super) async fn settle_next(&self, next: AccountKey, facts: AccountFacts) -> Result<Registered, OrderCause> {
        match self.post(&next, &json!({ "onlyReturnExisting": true })).await {
            Ok(url) => {
                self.settle(true).await?;
                tracing::info!(
                    event = "account_key_rolled",
                    directory = self.http.directory_url(),
                    account = url,
                    late = true,
                    "the account has had its new key since an earlier try"
                );
                self.keep(next, url).await
            }
            Err(cause) if cause.acme_type() == Some("accountDoesNotExist") => {
                self.settle(false).await?;
                self.load_from(AccountFacts { next_key_pem: None, ..facts }).await
            }
            Err(cause) => Err(cause),
        }
    }

    async fn settle(&self, took_place: bool) -> Result<(), OrderCause> {
        let ledger = Arc::clone(&self.ledger);
        blocking("settle account key", move || ledger.settle_next_key(took_place)).await
    }
}

/// Whether the authority itself said no, so that the old key certainly stays.
fn was_refused(error: &SignedError) -> bool {
    match error {
        SignedError::Http(HttpFailure::Refused(refusal)) => refusal.status.is_client_error(),
        SignedError::Http(_) | SignedError::Key(_) => false,
    }
}
