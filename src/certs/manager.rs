//! The only loop over certificates: plan → perform → settle → store → publish → sleep. It owns what is known and what is
//! served; everybody else sees the published catalog or sends a word.
//!
//! [`start`] does at once, before it returns, what needs no network: certificates of the vault, leaves of the local
//! authority and certificate files are in the catalog before the first listener takes a connection. Nothing goes over the
//! network before [`CertManagerHandle::go`].

use std::sync::Arc;

use tokio::sync::mpsc;

use super::challenge::ChallengeBoard;
use super::issuer::local_ca;
use super::on_demand::OnDemandHandle;
use super::on_demand::authorizer::OnDemandAuthorizer;
use super::preflight::PublicPorts;
use crate::base::rng::Rng;
use crate::base::task;
use crate::base::time::Clock;
use crate::config::settings::Settings;
use crate::state::lock::LockError;
use crate::state::store::{self, Store};
use crate::telemetry::metrics::Metrics;

mod alert_state;
mod authorities;
pub(in crate::certs) mod events;
mod handle;
mod hooks;
mod local_issuers;
mod operation;
mod state;

pub use handle::{CertManagerHandle, StallMemory};
pub use operation::{AccountDone, AccountRequest, ErrandError, RenewError, Revoked, Trial};
use state::ManagerState;

/// What a manager is started with.
pub struct Keeping {
    /// What is wanted; the state folder is theirs.
    pub settings: Arc<Settings>,
    /// Where it counts.
    pub metrics: Arc<Metrics>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Chance, for moments of renewal and retry.
    pub rng: Rng,
    /// Where authorities come in, for looks of our own.
    pub ports: PublicPorts,
}

/// The manager cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process uses the state folder.
    #[error(transparent)]
    State(#[from] LockError),
}

/// Loads what is stored, publishes it, and begins the loop on the runtime it is called on, which must be one of
/// tokio's local ones.
///
/// # Errors
/// Only when another process uses the state folder. A folder that cannot be written is served around.
pub fn start(keeping: Keeping) -> Result<CertManagerHandle, StartError> {
    let Keeping { settings, metrics, clock, rng, ports } = keeping;
    let (store, findings) = Store::open(&settings.state, store::LOCK_TIMEOUT, clock.now())?;
    events::findings(&findings);
    let store = Arc::new(store);
    let (words, inbox) = mpsc::unbounded_channel();
    let (demand, knocks) = OnDemandHandle::new();
    let (to_manager, wanted) = mpsc::unbounded_channel();
    let handle = CertManagerHandle {
        catalog: Arc::default(),
        board: ChallengeBoard::new(),
        alert: Arc::default(),
        demand,
        status: Arc::default(),
        words,
        root_file: local_ca::root_file(store.vault()),
        stall: StallMemory::new(&store),
    };
    let mut desk = ManagerState::new(store, metrics, clock, rng, ports, &handle);
    desk.adopt_at_once(&settings);
    task::spawn_local("on-demand", OnDemandAuthorizer::new(Arc::clone(&handle.catalog), to_manager).stand(knocks));
    task::spawn_local("keeper", desk.keep(inbox, wanted));
    Ok(handle)
}

#[cfg(test)]
mod tests;
