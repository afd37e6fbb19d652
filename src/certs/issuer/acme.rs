//! One order from its beginning, or from where the last try ended, to a proved bundle (RFC 8555 section 7.4), over
//! instant-acme. It does not decide when to order, keeps no bundle, and paces nothing: its caller does.
//!
//! An order is a small machine over the authority's own state, so that a first run, a run after a crash and a run after
//! a lost answer are the same code: pending is proved, ready is finalized, processing is waited for, valid is fetched.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use instant_acme::{Account, Order, OrderStatus};

use super::account::{AcmeAccount, Recovered, Registered};
use super::http::{Notes, lock};
use super::ledger::{LedgerError, OrderLedger};
use crate::base::name::Identifier;
use crate::base::secret::Secret;
use crate::base::task;
use crate::certs::bundle::CertBundle;
use crate::certs::challenge::ChallengeBoard;
use crate::certs::challenge::dns01::RecordError;
use crate::config::settings::{Acme, ChallengeKind};

mod advice;
mod begin;
mod choice;
mod error;
mod obtain;
mod patience;
mod prove;
mod publish;
mod replaced;
mod request;

pub use error::{FailedProof, OrderCause, OrderError, Step};
pub use request::new_key;

use patience::{Repeat, Rhythm, call};

/// What is to be ordered.
#[derive(Clone, Debug)]
pub struct OrderJob {
    /// Challenges, profile, preferred root and key kind.
    pub acme: Arc<Acme>,
    /// What the certificate must cover; at least one.
    pub identifiers: Vec<Identifier>,
    /// The [`CertBundle::renewal_id`] of the certificate of the same authority that this one replaces.
    pub replaces: Option<String>,
    /// How many failed proofs one name may cost in this call, from the budget of failures an hour; at least 1.
    pub most_failures: usize,
}

/// A certificate that was bought. The order stays in the ledger until its caller has kept the bundle and the key and
/// calls [`OrderLedger::forget_order`].
#[derive(Debug)]
pub struct Issued {
    /// Proved, not yet kept.
    pub bundle: CertBundle,
    /// The bundle's key, PKCS#8 as PEM.
    pub key_pem: Secret<String>,
    /// How a name was proved; `None` when the authority still believed an earlier proof, or the order was resumed later.
    pub proved_by: Option<ChallengeKind>,
    /// Proofs that failed on the way.
    pub failed: Vec<FailedProof>,
    /// Whether the chain leads to the preferred root; true when none is preferred.
    pub preferred_root: bool,
}

/// Orders a certificate. Proofs are visible on `board` while the authority looks at them. Dropping the future at any
/// point leaves in the ledgers what the next call needs to go on from there. The future stays on its thread: it is for
/// the control runtime's `spawn_local`.
pub async fn order(
    job: &OrderJob,
    account: &AcmeAccount,
    ledger: &Arc<dyn OrderLedger>,
    board: &Arc<ChallengeBoard>,
) -> Result<Issued, OrderError> {
    let (step, failed) = (Step::Account, Vec::new());
    let mut run = Run {
        job,
        account,
        ledger,
        board,
        step,
        failed,
        proved_by: None,
        last: None,
        resumed: false,
        not_ready: 0,
        unplaced: Vec::new(),
    };
    // Boxed: the machine's future is large, and its caller holds many.
    let result = Box::pin(run.issue()).await;
    result.map_err(|cause| OrderError { step: run.step, cause, failed: run.failed })
}

/// One call of [`order`].
struct Run<'a> {
    job: &'a OrderJob,
    account: &'a AcmeAccount,
    ledger: &'a Arc<dyn OrderLedger>,
    board: &'a Arc<ChallengeBoard>,
    step: Step,
    failed: Vec<FailedProof>,
    /// The challenge that worked in this call.
    proved_by: Option<ChallengeKind>,
    /// The challenge that worked in an earlier one.
    last: Option<ChallengeKind>,
    /// Whether the order at hand is an earlier call's.
    resumed: bool,
    /// How often the authority contradicted itself on whether an order is ready.
    not_ready: u32,
    /// Ways that a name cannot be proved in now, because its record is not there.
    unplaced: Vec<(Identifier, ChallengeKind, Arc<RecordError>)>,
}

/// instant-acme's account, with what it reads over.
struct Talk {
    registered: Arc<Registered>,
    account: Account,
    notes: Arc<Mutex<Notes>>,
}

/// Turns of the machine in one call. A straight order takes five; each repeated finalize or failed proof adds two.
const MOST_TURNS: usize = 24;

impl Run<'_> {
    async fn issue(&mut self) -> Result<Issued, OrderCause> {
        self.last = self.keep("read last challenge", |ledger| ledger.last_challenge()).await?;
        let talk = self.sign_in().await?;
        let cause = match self.turn(&talk).await {
            Ok(issued) => return Ok(issued),
            Err(cause) => cause,
        };
        // A name's own refusal comes as `unauthorized` as well, but not at these steps.
        if !matches!(self.step, Step::Account | Step::Order) && cause.acme_type() != Some("accountDoesNotExist") {
            return Err(cause);
        }
        let step = std::mem::replace(&mut self.step, Step::Account);
        let recovered = self.account.recover(&talk.registered, &cause).await?;
        if recovered == Recovered::StillOurs {
            self.step = step;
            return Err(cause);
        }
        let gone = talk.registered;
        let talk = self.sign_in().await?;
        if gone.url != talk.registered.url {
            let replaced = replaced::Replaced { gone: &gone.url, new: &talk.registered.url, recovered };
            replaced.tell(self.job).await;
        }
        self.turn(&talk).await
    }

    async fn sign_in(&mut self) -> Result<Talk, OrderCause> {
        self.step = Step::Account;
        // Freely: the authority finds the account again by its key, so telling it twice makes no second one.
        let registered = call(Repeat::Freely, async || self.account.registered().await).await?;
        let http = self.account.http();
        let (account, notes) = call(Repeat::Freely, async || {
            let (conversation, notes) = http.conversation();
            let builder = Account::builder_with_http(Box::new(conversation));
            let directory = http.directory_url().to_owned();
            let parts = builder.from_parts(registered.url.clone(), registered.key.pkcs8(), directory);
            parts.await.map(|account| (account, notes))
        })
        .await?;
        Ok(Talk { registered, account, notes })
    }

    async fn turn(&mut self, talk: &Talk) -> Result<Issued, OrderCause> {
        self.step = Step::Order;
        let mut order = self.find_or_begin(talk).await?;
        for _ in 0..MOST_TURNS {
            match order.state().status {
                OrderStatus::Pending => {
                    if !self.prove(talk, &mut order).await? {
                        order = self.begin(talk).await?;
                    }
                }
                OrderStatus::Ready => self.finalize(&mut order).await?,
                OrderStatus::Processing => self.wait(talk, &mut order).await?,
                OrderStatus::Valid => return self.collect(talk, &mut order).await,
                OrderStatus::Invalid => return Err(self.bury(&mut order).await),
            }
        }
        Err(OrderCause::Endless)
    }

    /// The authority called an order invalid that was proved: it changed its mind at issuance, about CAA for example.
    async fn bury(&mut self, order: &mut Order) -> OrderCause {
        let problem = order.state().error.clone();
        match self.keep("forget order", |ledger| ledger.forget_order()).await {
            Ok(()) => OrderCause::Invalid(problem),
            Err(cause) => cause,
        }
    }

    /// Asks for the order's state until `done`, in the authority's rhythm. It bears a few failures in a row: an authority
    /// that is gone for a moment has not lost the order.
    async fn poll(
        &self,
        talk: &Talk,
        order: &mut Order,
        budget: Duration,
        done: fn(OrderStatus) -> bool,
    ) -> Result<OrderStatus, OrderCause> {
        const MOST_MISSES: u32 = 3;
        let mut rhythm = Rhythm::new(budget);
        let (mut retry_after, mut misses) = (None, 0);
        loop {
            rhythm.beat(retry_after, self.account.http().now()).await?;
            match call(Repeat::Freely, async || order.refresh().await.map(|_| ())).await {
                Ok(()) => misses = 0,
                // What the authority asks for now says more than what it asked for before.
                Err(cause) if cause.said_until().is_some() && misses < MOST_MISSES => {
                    misses += 1;
                    retry_after = Some(rhythm.within(cause.said_until(), self.account.http().now()).ok_or(cause)?);
                    continue;
                }
                Err(cause) if cause.is_passing() && misses < MOST_MISSES => misses += 1,
                Err(cause) => return Err(cause),
            }
            let status = order.state().status;
            if misses == 0 && done(status) {
                return Ok(status);
            }
            retry_after = lock(&talk.notes).retry_after;
        }
    }

    /// Asks the ledger, which blocks, on a thread that may.
    async fn keep<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&dyn OrderLedger) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, OrderCause> {
        let ledger = Arc::clone(self.ledger);
        blocking(what, move || work(&*ledger)).await
    }
}

/// Asks a ledger on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, OrderCause> {
    Ok(task::blocking(what, work).await.ok_or(OrderCause::Panicked(what))??)
}
