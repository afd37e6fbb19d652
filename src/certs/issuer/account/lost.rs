//! An account that its authority no longer takes: forgotten (its database was reset), or of which only an older key is here
//! (a state folder restored from before a roll-over). Boulder and Pebble answer the latter with `malformed`, "JWS
//! verification error"; others with `unauthorized`. Which of both it is, the authority says when asked for the account of
//! the key.

use std::sync::Arc;

use serde_json::json;

use super::{AcmeAccount, Registered};
use crate::certs::issuer::acme::{OrderCause, blocking};

/// What has become of an account that a request was refused for.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::certs::issuer) enum Recovered {
    /// It is still ours: the refusal has another reason.
    StillOurs,
    /// The next sign-in finds another account by the same key, or makes one.
    SameKey,
    /// The key belongs to no account: the next sign-in makes a new one. The old key is put aside and not used again: it may
    /// have been replaced because it was stolen.
    NewKey,
}

/// Whether a refusal may mean that the account is not ours any more.
pub(super) fn may_be_lost(cause: &OrderCause) -> bool {
    matches!(cause.acme_type(), Some("accountDoesNotExist" | "malformed" | "unauthorized"))
}

impl AcmeAccount {
    /// Looks after an account for which a request was refused so. Another order may have done so already.
    pub(in crate::certs::issuer) async fn recover(&self, gone: &Registered, cause: &OrderCause) -> Result<Recovered, OrderCause> {
        if !may_be_lost(cause) {
            return Ok(Recovered::StillOurs);
        }
        let mut held = self.held.lock().await;
        let is_same = |one: &Registered| one.url == gone.url && one.key.thumbprint() == gone.key.thumbprint();
        if held.as_ref().is_none_or(|registered| !is_same(registered)) {
            return Ok(Recovered::SameKey);
        }
        let unknown = cause.acme_type() == Some("accountDoesNotExist");
        let ledger = Arc::clone(&self.ledger);
        let recovered = match self.account_of(&gone.key).await? {
            Some(url) if url == gone.url => return Ok(Recovered::StillOurs),
            Some(url) => {
                blocking("keep account", move || ledger.keep_account_url(&url)).await?;
                Recovered::SameKey
            }
            None if unknown => {
                blocking("forget account", move || ledger.forget_account_url()).await?;
                Recovered::SameKey
            }
            None => {
                let why = "its key was replaced at the authority";
                blocking("put account aside", move || ledger.put_account_aside(why)).await?;
                Recovered::NewKey
            }
        };
        *held = None;
        Ok(recovered)
    }

    /// The URL of the account that this key belongs to (RFC 8555 section 7.3.1); `None` when it belongs to none.
    pub(super) async fn account_of(&self, key: &super::AccountKey) -> Result<Option<String>, OrderCause> {
        match self.post(key, &json!({ "onlyReturnExisting": true })).await {
            Ok(url) => Ok(Some(url)),
            Err(cause) if cause.acme_type() == Some("accountDoesNotExist") => Ok(None),
            Err(cause) => Err(cause),
        }
    }
}
