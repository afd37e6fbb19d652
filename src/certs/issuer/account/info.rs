//! What is known of an account, here and at its authority.

use std::sync::Arc;

use serde::Deserialize;

use super::{AcmeAccount, Registered};
use crate::base::error_chain::ErrorChain;
use crate::certs::issuer::acme::{OrderCause, blocking};
use crate::certs::issuer::jws::{self, AccountKey, Signer};

/// An account, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountShown {
    /// The authority's directory.
    pub directory: String,
    /// The account's URL; `None` when there is no account yet.
    pub url: Option<String>,
    /// Its key's thumbprint (RFC 7638).
    pub thumbprint: Option<String>,
    /// What the authority says of it: `valid`, `deactivated`, `revoked`.
    pub status: Option<String>,
    /// The contacts that the authority has.
    pub contacts: Vec<String>,
    /// Why the authority said nothing.
    pub error: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    status: String,
    #[serde(default)]
    contact: Vec<String>,
}

impl AcmeAccount {
    /// Tells of the account, and asks the authority about it. Makes none.
    pub async fn show(&self) -> AccountShown {
        let mut shown = AccountShown { directory: self.http.directory_url().to_owned(), ..AccountShown::default() };
        let registered = match self.known().await {
            Ok(Some(registered)) => registered,
            Ok(None) => return shown,
            Err(cause) => return AccountShown { error: Some(ErrorChain(&cause).to_string()), ..shown },
        };
        shown.url = Some(registered.url.clone());
        shown.thumbprint = Some(registered.key.thumbprint());
        let signer = Signer::Account(&registered.url);
        match jws::post(&self.http, &registered.key, signer, &registered.url, None).await {
            Ok(answer) => match serde_json::from_slice::<Body>(answer.body()) {
                Ok(body) => (shown.status, shown.contacts) = (Some(body.status), body.contact),
                Err(_) => shown.error = Some(answer.garbage().to_string()),
            },
            Err(error) => shown.error = Some(ErrorChain(&OrderCause::from(error)).to_string()),
        }
        shown
    }

    /// The account in use, else the stored one.
    async fn known(&self) -> Result<Option<Arc<Registered>>, OrderCause> {
        let held = self.held.lock().await;
        match &*held {
            Some(registered) => Ok(Some(Arc::clone(registered))),
            None => Ok(self.stored().await?.map(Arc::new)),
        }
    }

    /// What is on disk, where that is a whole account; nothing is asked.
    pub(super) async fn stored(&self) -> Result<Option<Registered>, OrderCause> {
        let ledger = Arc::clone(&self.ledger);
        let facts = blocking("read account", move || ledger.account()).await?;
        let key = facts.key_pem.as_ref().and_then(|pem| AccountKey::from_pem(pem).ok());
        Ok(key.zip(facts.url).map(|(key, url)| Registered { key, url }))
    }
}
