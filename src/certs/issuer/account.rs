//! Our account at one authority: found by its key, made when there is none, and loaded when the first order needs it, so
//! that an authority that is down at start does not matter.
//!
//! The key is on disk before the authority hears of it. A crash between the two leaves a key by which the account is
//! found again, so there is never a second account and a one-time external binding is not burnt.

use std::sync::Arc;

use serde_json::json;

use super::acme::{OrderCause, RefusedBinding, blocking};
use super::http::{AcmeHttp, HttpFailure, Refusal, problem};
use super::jws::{self, AccountKey, SignedError, Signer};
use super::order_store::{AccountFacts, AccountStore};
use crate::config::settings::{Acme, Eab};

mod binding;
mod deactivate;
mod info;
mod key_rollover;
mod lost;
mod restore;

pub use deactivate::Closed;
pub use info::AccountShown;
pub(super) use lost::Recovered;

/// Our account at one authority. One for each directory: two would race to make two accounts.
pub struct AcmeAccount {
    http: AcmeHttp,
    ledger: Arc<dyn AccountStore>,
    email: Option<String>,
    eab: Option<Eab>,
    held: tokio::sync::Mutex<Option<Arc<Registered>>>,
}

/// An account the authority knows, or knew when we last heard.
pub(super) struct Registered {
    pub(super) key: AccountKey,
    pub(super) url: String,
}

impl AcmeAccount {
    /// The account at the authority that `http` speaks to. Nothing is read or asked yet.
    pub fn new(http: AcmeHttp, acme: &Acme, email: Option<String>, ledger: Arc<dyn AccountStore>) -> Self {
        Self { http, ledger, email, eab: acme.eab.clone(), held: tokio::sync::Mutex::default() }
    }

    /// The client for this authority.
    pub fn http(&self) -> &AcmeHttp {
        &self.http
    }

    /// The account, registered if need be. Orders that come at the same time wait for the same registration.
    pub(super) async fn registered(&self) -> Result<Arc<Registered>, OrderCause> {
        let mut held = self.held.lock().await;
        if let Some(registered) = &*held {
            return Ok(Arc::clone(registered));
        }
        let registered = Arc::new(self.load().await?);
        *held = Some(Arc::clone(&registered));
        Ok(registered)
    }

    async fn load(&self) -> Result<Registered, OrderCause> {
        let ledger = Arc::clone(&self.ledger);
        let facts = blocking("read account", move || ledger.account()).await?;
        if let Some(next) = facts.next_key_pem.as_ref().and_then(|pem| AccountKey::from_pem(pem).ok()) {
            return self.settle_next(next, facts).await;
        }
        self.load_from(facts).await
    }

    async fn load_from(&self, facts: AccountFacts) -> Result<Registered, OrderCause> {
        let key = facts.key_pem.as_ref().and_then(|pem| match AccountKey::from_pem(pem) {
            Ok(key) => Some(key),
            Err(error) => {
                tracing::warn!(event = "account_key_unusable", %error, "a new account key takes its place");
                None
            }
        });
        match (key, facts.url) {
            (Some(key), Some(url)) => Ok(Registered { key, url }),
            (Some(key), None) => self.find_or_register(key).await,
            (None, _) => self.register_new().await,
        }
    }

    async fn register_new(&self) -> Result<Registered, OrderCause> {
        let (key, pem) = AccountKey::generate().map_err(OrderCause::AccountKey)?;
        let ledger = Arc::clone(&self.ledger);
        blocking("keep account key", move || ledger.keep_account_key(&pem)).await?;
        self.register(key).await
    }

    /// The key was on disk without a URL: a crash came between, or the authority lost the account.
    async fn find_or_register(&self, key: AccountKey) -> Result<Registered, OrderCause> {
        match self.post(&key, &json!({ "onlyReturnExisting": true })).await {
            Ok(url) => self.keep(key, url).await,
            Err(cause) if cause.acme_type() == Some("accountDoesNotExist") => self.register(key).await,
            Err(cause) => Err(cause),
        }
    }

    async fn register(&self, key: AccountKey) -> Result<Registered, OrderCause> {
        let directory = self.http.directory().await?;
        let mut payload = json!({ "termsOfServiceAgreed": true });
        if let Some(email) = &self.email {
            payload["contact"] = json!([format!("mailto:{email}")]);
        }
        match &self.eab {
            Some(eab) => payload["externalAccountBinding"] = key.bind(eab, &directory.new_account),
            None if directory.meta.external_account_required => return Err(OrderCause::BindingMissing),
            None => (),
        }
        let url = self.post(&key, &payload).await.map_err(|cause| self.name_binding(cause))?;
        let terms = directory.meta.terms_of_service.as_deref().unwrap_or("none");
        tracing::info!(
            event = "account_registered",
            directory = self.http.directory_url(),
            account = url,
            terms_agreed = terms,
            "an account is registered with {}",
            self.http.directory_url()
        );
        self.keep(key, url).await
    }

    /// newAccount (RFC 8555 section 7.3); gives the account's URL, of the old account where the key has one.
    async fn post(&self, key: &AccountKey, payload: &serde_json::Value) -> Result<String, OrderCause> {
        let directory = self.http.directory().await?;
        let answer = jws::post(&self.http, key, Signer::Key, &directory.new_account, Some(payload)).await?;
        let url = answer.headers().get(http::header::LOCATION).and_then(|value| value.to_str().ok());
        url.map(str::to_owned).ok_or_else(|| OrderCause::Http(answer.garbage()))
    }

    /// A refusal that is about the external binding names it: the authority's own words rarely say which setting is wrong.
    fn name_binding(&self, cause: OrderCause) -> OrderCause {
        let Some(eab) = &self.eab else { return cause };
        match binding::refused(&cause) {
            Some(part) => OrderCause::Binding(Box::new(RefusedBinding {
                directory: self.http.directory_url().to_owned(),
                key_id: eab.key_id.clone(),
                at: eab.at.clone(),
                part,
                said: cause,
            })),
            None => cause,
        }
    }

    async fn keep(&self, key: AccountKey, url: String) -> Result<Registered, OrderCause> {
        let (ledger, kept) = (Arc::clone(&self.ledger), url.clone());
        blocking("keep account", move || ledger.keep_account_url(&kept)).await?;
        Ok(Registered { key, url })
    }
}

impl From<SignedError> for OrderCause {
    fn from(error: SignedError) -> Self {
        match error {
            SignedError::Http(HttpFailure::Refused(refusal)) if needs_binding(&refusal) => Self::BindingMissing,
            SignedError::Http(failure) => Self::Http(failure),
            SignedError::Key(error) => Self::AccountKey(error),
        }
    }
}

fn needs_binding(refusal: &Refusal) -> bool {
    refusal.problem.as_ref().and_then(problem::short_type) == Some("externalAccountRequired")
}
