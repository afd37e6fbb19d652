//! One order as it is executed: the turns of the machine and what they share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use instant_acme::{Account, Order, OrderStatus};

use super::blocking::blocking;
use super::error::{FailedProof, OrderCause, OrderError, Step};
use super::job::{Issued, OrderJob};
use super::replaced;
use super::retry::{PollInterval, Repeat, call};
use crate::base::mutex::lock;
use crate::base::name::Identifier;
use crate::certs::challenge::ChallengeBoard;
use crate::certs::challenge::dns01::RecordError;
use crate::certs::issuer::account::{AcmeAccount, Recovered, Registered};
use crate::certs::issuer::http::Notes;
use crate::certs::issuer::order_store::{LedgerError, OrderStore};
use crate::config::settings::ChallengeKind;

/// Turns of the machine in one call. A straight order takes five; each repeated finalize or failed proof adds two.
const MAX_TURNS: usize = 24;

/// Orders a certificate. Proofs are visible on `board` while the authority looks at them. Dropping the future at any
/// point leaves in the ledgers what the next call needs to go on from there. The future stays on its thread: it is for
/// the control runtime's `spawn_local`.
pub async fn order(
    job: &OrderJob,
    account: &AcmeAccount,
    ledger: &Arc<dyn OrderStore>,
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
pub(super) struct Run<'a> {
    pub(super) job: &'a OrderJob,
    pub(super) account: &'a AcmeAccount,
    pub(super) ledger: &'a Arc<dyn OrderStore>,
    pub(super) board: &'a Arc<ChallengeBoard>,
    pub(super) step: Step,
    pub(super) failed: Vec<FailedProof>,
    /// The challenge that worked in this call.
    pub(super) proved_by: Option<ChallengeKind>,
    /// The challenge that worked in an earlier one.
    pub(super) last: Option<ChallengeKind>,
    /// Whether the order at hand is an earlier call's.
    pub(super) resumed: bool,
    /// How often the authority contradicted itself on whether an order is ready.
    pub(super) not_ready: u32,
    /// Ways that a name cannot be proved in now, because its record is not there.
    pub(super) unplaced: Vec<(Identifier, ChallengeKind, Arc<RecordError>)>,
}

/// instant-acme's account, with what it reads over.
pub(super) struct AcmeSession {
    pub(super) registered: Arc<Registered>,
    pub(super) account: Account,
    pub(super) notes: Arc<Mutex<Notes>>,
}

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

    async fn sign_in(&mut self) -> Result<AcmeSession, OrderCause> {
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
        Ok(AcmeSession { registered, account, notes })
    }

    async fn turn(&mut self, talk: &AcmeSession) -> Result<Issued, OrderCause> {
        self.step = Step::Order;
        let mut order = self.find_or_begin(talk).await?;
        for _ in 0..MAX_TURNS {
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
    pub(super) async fn poll(
        &self,
        talk: &AcmeSession,
        order: &mut Order,
        budget: Duration,
        done: fn(OrderStatus) -> bool,
    ) -> Result<OrderStatus, OrderCause> {
        const MAX_MISSES: u32 = 3;
        let mut rhythm = PollInterval::new(budget);
        let (mut retry_after, mut misses) = (None, 0);
        loop {
            rhythm.beat(retry_after, self.account.http().now()).await?;
            match call(Repeat::Freely, async || order.refresh().await.map(|_| ())).await {
                Ok(()) => misses = 0,
                // What the authority asks for now says more than what it asked for before.
                Err(cause) if cause.said_until().is_some() && misses < MAX_MISSES => {
                    misses += 1;
                    retry_after = Some(rhythm.within(cause.said_until(), self.account.http().now()).ok_or(cause)?);
                    continue;
                }
                Err(cause) if cause.is_passing() && misses < MAX_MISSES => misses += 1,
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
    pub(super) async fn keep<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&dyn OrderStore) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, OrderCause> {
        let store = Arc::clone(self.ledger);
        blocking(what, move || work(&*store)).await
    }
}
