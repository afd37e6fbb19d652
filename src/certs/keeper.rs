//! The only loop over certificates: plan → perform → settle → store → publish → sleep. It owns what is known and what is
//! served; everybody else sees the published catalog or sends a word.
//!
//! [`start`] does at once, before it returns, what needs no network: certificates of the vault, leaves of the local
//! authority and certificate files are in the catalog before the first listener takes a connection. Nothing goes over the
//! network before [`KeeperHandle::go`].

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{mpsc, oneshot};

use super::catalog::Catalog;
use super::challenge::ChallengeBoard;
use super::demand::Door;
use super::demand::porter::Porter;
use super::issuer::local_ca;
use super::preflight::PublicPorts;
use super::status::NameStatus;
use crate::base::chain::Chain;
use crate::base::dice::Dice;
use crate::base::task;
use crate::base::time::{Clock, Timestamp};
use crate::config::settings::{Alert, Settings};
use crate::state::lock::LockError;
use crate::state::schema::Key;
use crate::state::store::{self, Store};
use crate::telemetry::metrics::Metrics;

mod alarms;
mod authorities;
mod desk;
mod errand;
mod hooks;
mod local;
pub(in crate::certs) mod tell;

use desk::Desk;
use errand::Errand;
pub use errand::{AccountDone, AccountWish, ErrandError, Revoked, Trial};

/// What a keeper is started with.
pub struct Keeping {
    /// What is wanted; the state folder is theirs.
    pub settings: Arc<Settings>,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Chance, for moments of renewal and retry.
    pub dice: Dice,
    /// Where authorities come in, for looks of our own.
    pub ports: PublicPorts,
}

/// The keeper cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process uses the state folder.
    #[error(transparent)]
    State(#[from] LockError),
}

/// A hold on the keeper. Cloning is cheap; the keeper ends with the last one or at [`KeeperHandle::stop`].
#[derive(Clone)]
pub struct KeeperHandle {
    /// What is served. Written by the keeper only.
    pub catalog: Arc<ArcSwap<Catalog>>,
    /// Which proofs are visible to authorities.
    pub board: Arc<ChallengeBoard>,
    /// Who is told of what concerns the gateway as a whole.
    pub alert: Arc<ArcSwapOption<Alert>>,
    /// Where handshakes ask for names that are obtained on demand.
    pub demand: Door,
    status: Arc<ArcSwap<Vec<NameStatus>>>,
    words: mpsc::UnboundedSender<Word>,
    root_file: PathBuf,
    stall: StallMemory,
}

/// When it was last said that the keeper stands still, over restarts: a restart is what people try first. It does not hold
/// the state folder: once the keeper has ended, nothing is remembered.
#[derive(Clone, Debug)]
pub struct StallMemory(Weak<Store>);

impl StallMemory {
    /// In this state folder.
    pub fn new(store: &Arc<Store>) -> Self {
        Self(Arc::downgrade(store))
    }

    /// When it was said last; `None` once the keeper turned again.
    pub fn raised(&self) -> Option<Timestamp> {
        self.0.upgrade()?.get(&Key::Stall)
    }

    /// Remembers that it was said, or is over. Blocks. A folder that cannot be written costs one alarm more.
    pub fn keep(&self, raised: Option<Timestamp>) {
        let Some(store) = self.0.upgrade() else { return };
        let kept = raised.map_or_else(|| store.remove(&Key::Stall), |at| store.put(&Key::Stall, &at));
        if let Err(error) = kept {
            tracing::debug!(event = "journal_behind", error = %Chain(&error), "the journal is behind, and is written again with the next change");
        }
    }
}

/// What a keeper is told.
enum Word {
    /// The listeners are up: authorities may be asked.
    Go,
    /// Settings changed, or a person says that something was repaired.
    Settings(Arc<Settings>, oneshot::Sender<()>),
    /// A new certificate is wanted for this name, whatever is held.
    Renew(String, Insist, oneshot::Sender<Result<(), RenewError>>),
    /// Something else is to be done at an authority.
    Errand(Errand),
    /// The process ends.
    Stop(oneshot::Sender<()>),
}

/// Whether a person who asks for a renewal overrules an authority that asked to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Insist {
    No,
    Yes,
}

/// A renewal by hand was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenewError {
    /// No such certificate is wanted.
    #[error("no certificate is configured for `{0}`; `doorward certs` lists those that are")]
    Unknown(String),
    /// Somebody else renews it.
    #[error("the certificate of `{name}` comes from {}; replace that file and its key, and they are taken over by themselves", file.display())]
    Files {
        /// As asked.
        name: String,
        /// The chain's file.
        file: PathBuf,
    },
    /// The authority's limits forbid it for now.
    #[error("`{name}` cannot be ordered before {until}: {why}")]
    Held {
        /// As asked.
        name: String,
        /// RFC 3339.
        until: String,
        /// Which limit.
        why: String,
    },
    /// The keeper has ended.
    #[error("doorward is stopping")]
    Stopping,
}

/// Loads what is stored, publishes it, and begins the loop on the runtime it is called on, which must be one of
/// tokio's local ones.
///
/// # Errors
/// Only when another process uses the state folder. A folder that cannot be written is served around.
pub fn start(keeping: Keeping) -> Result<KeeperHandle, StartError> {
    let Keeping { settings, metrics, clock, dice, ports } = keeping;
    let (store, findings) = Store::open(&settings.state, store::PATIENCE, clock.now())?;
    tell::findings(&findings);
    let store = Arc::new(store);
    let (words, inbox) = mpsc::unbounded_channel();
    let (demand, knocks) = Door::new();
    let (to_keeper, wanted) = mpsc::unbounded_channel();
    let handle = KeeperHandle {
        catalog: Arc::default(),
        board: ChallengeBoard::new(),
        alert: Arc::default(),
        demand,
        status: Arc::default(),
        words,
        root_file: local_ca::root_file(store.vault()),
        stall: StallMemory::new(&store),
    };
    let mut desk = Desk::new(store, metrics, clock, dice, ports, &handle);
    desk.adopt_at_once(&settings);
    task::spawn_local("on-demand", Porter::new(Arc::clone(&handle.catalog), to_keeper).stand(knocks));
    task::spawn_local("keeper", desk.keep(inbox, wanted));
    Ok(handle)
}

impl KeeperHandle {
    /// The listeners are up: orders may begin.
    pub fn go(&self) {
        self.tell(Word::Go);
    }

    /// Puts new settings to work and returns once the catalog has what can be had without a network. Orders in flight go
    /// on. Settings that are the same are a person's word that something was repaired: what failed is tried at once.
    pub async fn settings(&self, settings: Arc<Settings>) {
        let (done, when_done) = oneshot::channel();
        self.tell(Word::Settings(settings, done));
        // A keeper that has ended takes nothing up, and the process is about to end, too.
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

    /// As [`KeeperHandle::renew`], even if the authority asked to be left alone for longer.
    pub async fn renew_regardless(&self, name: &str) -> Result<(), RenewError> {
        self.ask_renewal(name, Insist::Yes).await
    }

    async fn ask_renewal(&self, name: &str, insist: Insist) -> Result<(), RenewError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Word::Renew(name.to_owned(), insist, reply));
        answer.await.unwrap_or(Err(RenewError::Stopping))
    }

    /// Ends the keeper. Orders in flight are left as they are, and the next start goes on with them.
    pub async fn stop(&self) {
        let (done, when_done) = oneshot::channel();
        self.tell(Word::Stop(done));
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

    /// What is remembered of a keeper that stood still, for who watches it.
    pub fn stall_memory(&self) -> StallMemory {
        self.stall.clone()
    }

    fn tell(&self, word: Word) {
        let _already_ended = self.words.send(word);
    }
}

#[cfg(test)]
mod tests;
