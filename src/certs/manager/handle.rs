//! A hold on the loop: what others may ask of it.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::mpsc;
use tokio::sync::oneshot::{self, Sender};

use super::operation::{AccountDone, AccountRequest, Command, ErrandError, Insist, Operation, RenewError, Revoked, Trial};
use crate::base::error_chain::ErrorChain;
use crate::base::time::Timestamp;
use crate::certs::catalog::Catalog;
use crate::certs::challenge::ChallengeBoard;
use crate::certs::issuer::account::AccountShown;
use crate::certs::issuer::revoke::Reason;
use crate::certs::on_demand::OnDemandHandle;
use crate::certs::status::NameStatus;
use crate::config::settings::{Alert, Settings};
use crate::state::schema::Key;
use crate::state::store::Store;

/// A hold on the manager. Cloning is cheap; the manager ends with the last one or at [`CertManagerHandle::stop`].
#[derive(Clone)]
pub struct CertManagerHandle {
    /// What is served. Written by the manager only.
    pub catalog: Arc<ArcSwap<Catalog>>,
    /// Which proofs are visible to authorities.
    pub board: Arc<ChallengeBoard>,
    /// Who is told of what concerns the gateway as a whole.
    pub alert: Arc<ArcSwapOption<Alert>>,
    /// Where handshakes ask for names that are obtained on demand.
    pub demand: OnDemandHandle,
    pub(super) status: Arc<ArcSwap<Vec<NameStatus>>>,
    pub(super) words: mpsc::UnboundedSender<Command>,
    pub(super) root_file: PathBuf,
    pub(super) stall: StallMemory,
}

/// When it was last said that the manager stands still, over restarts: a restart is what people try first. It does not hold
/// the state folder: once the manager has ended, nothing is remembered.
#[derive(Clone, Debug)]
pub struct StallMemory(pub(super) Weak<Store>);

impl StallMemory {
    /// In this state folder.
    pub fn new(store: &Arc<Store>) -> Self {
        Self(Arc::downgrade(store))
    }

    /// When it was said last; `None` once the manager turned again.
    pub fn raised(&self) -> Option<Timestamp> {
        self.0.upgrade()?.get(&Key::Stall)
    }

    /// Remembers that it was said, or is over. Blocks. A folder that cannot be written costs one alarm more.
    pub fn keep(&self, raised: Option<Timestamp>) {
        let Some(store) = self.0.upgrade() else { return };
        let kept = raised.map_or_else(|| store.remove(&Key::Stall), |at| store.put(&Key::Stall, &at));
        if let Err(error) = kept {
            tracing::debug!(event = "journal_behind", error = %ErrorChain(&error), "the journal is behind, and is written again with the next change");
        }
    }
}

impl CertManagerHandle {
    /// The listeners are up: orders may begin.
    pub fn go(&self) {
        self.tell(Command::Go);
    }

    /// Puts new settings to work and returns once the catalog has what can be had without a network. Orders in flight go
    /// on. Settings that are the same are a person's word that something was repaired: what failed is tried at once.
    pub async fn settings(&self, settings: Arc<Settings>) {
        let (done, when_done) = oneshot::channel();
        self.tell(Command::Settings(settings, done));
        // A manager that has ended takes nothing up, and the process is about to end, too.
        let _ended = when_done.await;
    }

    /// How every certificate stands, in the order of the settings. Waits for nothing.
    pub fn status(&self) -> Arc<Vec<NameStatus>> {
        self.status.load_full()
    }

    /// Asks for a new certificate for the need that has this name, at once and whatever is held, within what the
    /// authority forgives. Returns when it is begun; how it ends is in the status and the log.
    pub async fn renew(&self, name: &str) -> Result<(), RenewError> {
        self.ask_renewal(name, Insist::No).await
    }

    /// As [`CertManagerHandle::renew`], even if the authority asked to be left alone for longer.
    pub async fn renew_regardless(&self, name: &str) -> Result<(), RenewError> {
        self.ask_renewal(name, Insist::Yes).await
    }

    async fn ask_renewal(&self, name: &str, insist: Insist) -> Result<(), RenewError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Renew(name.to_owned(), insist, reply));
        answer.await.unwrap_or(Err(RenewError::Stopping))
    }

    /// Ends the manager. Orders in flight are left as they are, and the next start goes on with them.
    pub async fn stop(&self) {
        let (done, when_done) = oneshot::channel();
        self.tell(Command::Stop(done));
        let _already_ended = when_done.await;
    }

    /// Where the local authority's root certificate lies, for `trust`. It is there once a site has needed it.
    pub fn root_file(&self) -> &PathBuf {
        &self.root_file
    }

    /// The call that the disk of the state folder has not answered for longest, in words, if it hangs. Does not block.
    pub fn hanging(&self) -> Option<String> {
        self.stall.0.upgrade()?.hanging()
    }

    /// What is remembered of a manager that stood still, for who watches it.
    pub fn stall_memory(&self) -> StallMemory {
        self.stall.clone()
    }

    fn tell(&self, word: Command) {
        let _already_ended = self.words.send(word);
    }

    /// Has the certificate that is served for `name` revoked by its authority, and another one with a new key ordered.
    pub async fn revoke(&self, name: &str, reason: Reason) -> Result<Revoked, ErrandError> {
        self.send(|reply| Operation::Revoke(name.to_owned(), reason, reply)).await
    }

    /// Tries the whole issuance for `name` at a test directory, with the real challenges. What comes is thrown away.
    pub async fn try_order(&self, name: &str, directory: Option<&str>) -> Result<Trial, ErrandError> {
        self.send(|reply| Operation::Try(name.to_owned(), directory.map(str::to_owned), reply)).await
    }

    /// Does something with the account at the authority whose directory or folder has `issuer` in its name.
    pub async fn account(&self, request: AccountRequest, issuer: Option<&str>) -> Result<AccountDone, ErrandError> {
        self.send(|reply| Operation::Account(request, issuer.map(str::to_owned), reply)).await
    }

    /// Every account in use, with what its authority says of it.
    pub async fn accounts(&self) -> Vec<AccountShown> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Operation(Operation::Accounts(reply)));
        answer.await.unwrap_or_default()
    }

    async fn send<T>(&self, operation: impl FnOnce(Sender<Result<T, ErrandError>>) -> Operation) -> Result<T, ErrandError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Operation(operation(reply)));
        answer.await.unwrap_or(Err(ErrandError::Stopping))
    }
}
