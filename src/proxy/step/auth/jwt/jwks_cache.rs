//! Keys that are fetched from their issuer: at the first token, again every ten minutes beside the traffic, and when a
//! token has a key that is not known, but no more often than every half minute. What was fetched last stays in force when
//! the issuer cannot be asked.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{Request, StatusCode};
use tokio::time::Instant;

use super::jwks::{Keys, KeysError};
use crate::base::error_chain::ErrorChain;
use crate::base::task;
use crate::proxy::body::Body;
use crate::proxy::refusal::Refusal;
use crate::proxy::step::auth::service::{self, Service};
use crate::proxy::worker::state::WorkerState;
use crate::telemetry::log::events;

/// When keys are fetched again though nobody missed one: a key that was taken back must not live long.
const FRESH: Duration = Duration::from_secs(600);
/// Between two fetches at the least.
const APART: Duration = Duration::from_secs(30);
/// As [`APART`], while there are no keys at all.
const APART_AT_FIRST: Duration = Duration::from_secs(2);
/// Largest key set that is read.
const MAX_JWKS: usize = 256 * 1024;

/// See the module. Shared by all workers.
pub(super) struct JwksCache(Arc<Inner>);

struct Inner {
    service: Service,
    keys: ArcSwapOption<Keys>,
    /// When a fetch began last.
    last: Mutex<Option<Instant>>,
    /// Held by who fetches; the others wait for what it brings.
    turn: tokio::sync::Mutex<()>,
}

/// Why a fetch brought nothing.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("the issuer's server gave no answer")]
    NoAnswer,
    #[error("the issuer's server answered {0}")]
    Status(StatusCode),
    #[error("the answer broke off, or is longer than {MAX_JWKS} bytes")]
    Body,
    #[error("the answer cannot be used")]
    Keys(#[from] KeysError),
}

impl JwksCache {
    pub(super) fn new(service: Service) -> Self {
        Self(Arc::new(Inner {
            service,
            keys: ArcSwapOption::empty(),
            last: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }))
    }

    /// The keys at hand.
    pub(super) fn at_hand(&self) -> Option<Arc<Keys>> {
        self.0.keys.load_full()
    }

    /// The keys after a fetch, if one may be made now.
    pub(super) async fn newest(&self, worker: &Rc<WorkerState>) -> Result<Arc<Keys>, Refusal> {
        self.0.fetch(worker).await;
        self.at_hand().ok_or(Refusal::NoDecision)
    }

    /// Fetches beside the traffic when the keys are old.
    pub(super) fn refresh(&self, worker: &Rc<WorkerState>) {
        if self.0.is_due(FRESH) && self.0.turn.try_lock().is_ok() {
            let (inner, worker) = (Arc::clone(&self.0), Rc::clone(worker));
            drop(task::spawn_local("keys", async move { inner.fetch(&worker).await }));
        }
    }
}

impl Inner {
    fn is_due(&self, apart: Duration) -> bool {
        self.last().is_none_or(|last| last.elapsed() >= apart)
    }

    /// The lock protects one moment.
    fn last(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self, worker: &Rc<WorkerState>) {
        let _turn = self.turn.lock().await;
        let apart = if self.keys.load().is_some() { APART } else { APART_AT_FIRST };
        if !self.is_due(apart) {
            return;
        }
        *self.last() = Some(Instant::now());
        match self.fetch_now(worker).await {
            Ok(keys) => self.keys.store(Some(Arc::new(keys))),
            Err(error) => {
                let url = self.service.name();
                let remedy = "make the URL of `keys` answer with the issuer's key set; the last keys stay in force";
                tracing::warn!(event = events::KEYS_NOT_FETCHED, url, error = %ErrorChain(&error), remedy, "the keys of {url} could not be fetched: {}; {remedy}", ErrorChain(&error));
            }
        }
    }

    async fn fetch_now(&self, worker: &Rc<WorkerState>) -> Result<Keys, FetchError> {
        let (answered, _lease) = self.service.ask(worker, Request::new(Body::empty())).await.ok_or(FetchError::NoAnswer)?;
        let status = answered.response.status();
        if status != StatusCode::OK {
            return Err(FetchError::Status(status));
        }
        let text = service::whole(answered, MAX_JWKS).await.ok_or(FetchError::Body)?;
        Ok(Keys::read(&text)?)
    }
}
