//! A group of backends that answer alike: who they are, how one is chosen, how it is reached. It does not send; that is
//! [`pool`]'s part. A cluster is shared by all workers; what moves in it are atomics.
//!
//! Chosen: a reload hands the previous cluster in. Equal settings give the very same cluster back; changed ones keep each
//! target that is still reached in the same way, with its open exchanges counted on, its idle connections warm, and what
//! is known of its health.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use tokio::sync::Notify;

use crate::config::settings::{At, Balance, HashOf, Target, Upstream};

use connect::Connector;
use endpoint::Endpoint;
use endpoint_set::EndpointSet;
use endpoint_state::Transition;
use health::Admission;
pub use pick::PickContext;
use retry_budget::RetryBudget;
use sticky::{CookieSigner, CookieTag};
use tls::{TlsTrust, TrustError};
use wait_queue::WaitQueue;

pub mod circuit_breaker;
pub mod connect;
pub mod dns_discovery;
pub mod endpoint;
pub mod endpoint_set;
pub mod endpoint_state;
mod events;
pub mod hash_key;
pub mod health;
pub mod health_check;
pub mod lease;
pub mod pick;
pub mod pool;
pub mod queue;
pub mod retry_budget;
pub mod sticky;
pub mod stream;
#[cfg(test)]
mod testing;
pub mod tls;
mod wait_queue;

/// Backends that answer alike, with the policy by which one is chosen.
#[derive(Debug)]
pub struct UpstreamGroup {
    settings: Upstream,
    /// Present where cookies name targets.
    seal: Option<CookieSigner>,
    roster: ArcSwap<EndpointSet>,
    /// Where each target of the settings stands in the text in force, which may have moved since these were read.
    written: ArcSwap<Box<[At]>>,
    /// Why names could not be looked up last.
    unresolved: ArcSwapOption<String>,
    /// PrebuiltHeaders when a look at the targets' names might help.
    doubt: Notify,
    turn: AtomicUsize,
    budget: RetryBudget,
    dialer: Connector,
    /// Where requests wait.
    room: WaitQueue,
    /// Who came in its place at a reload.
    successor: OnceLock<Arc<Self>>,
}

/// Why a cluster could not be made of its settings.
#[derive(Debug, thiserror::Error)]
pub enum BuildClusterError {
    /// A file for TLS towards the backends, or the machine's store of roots, is not usable.
    #[error("TLS towards the backends of `{upstream}` cannot be set up")]
    TlsTrust {
        /// The upstream's name.
        upstream: String,
        /// What was wrong.
        #[source]
        source: TrustError,
    },
}

impl UpstreamGroup {
    /// A cluster for `settings`, as much of it as possible taken over from `before`. Reads the files that the settings
    /// name, so a changed file counts as a changed setting.
    pub fn build(settings: &Upstream, before: Option<&Arc<Self>>, trust: &TlsTrust) -> Result<Arc<Self>, BuildClusterError> {
        let dialer = Connector::new(settings, trust)
            .map_err(|source| BuildClusterError::TlsTrust { upstream: settings.name.clone(), source })?;
        if let Some(same) = before.filter(|b| b.settings == *settings && b.dialer.reaches_like(&dialer)) {
            same.written.store(places(settings));
            return Ok(Arc::clone(same));
        }
        let before = before.filter(|b| b.dialer.reaches_like(&dialer)).map(|before| before.roster());
        let before = before.as_deref().map(|roster| &**roster);
        let seal = trust.seal().filter(|_| settings.sticky.is_some());
        let tag = |target: &str| seal.map(|seal| seal.tag(&settings.name, target));
        let roster = EndpointSet::new(&EndpointSet::places(settings, before), tag, before);
        Ok(Arc::new(Self {
            settings: settings.clone(),
            seal: seal.cloned(),
            roster: ArcSwap::from_pointee(roster),
            written: ArcSwap::new(places(settings)),
            unresolved: ArcSwapOption::empty(),
            doubt: Notify::new(),
            turn: AtomicUsize::new(0),
            budget: RetryBudget::default(),
            dialer,
            room: WaitQueue::default(),
            successor: OnceLock::new(),
        }))
    }

    /// How a sticky cookie names the target with this label.
    fn tag(&self, label: &str) -> Option<CookieTag> {
        self.seal.as_ref().map(|seal| seal.tag(&self.settings.name, label))
    }

    /// Whether a target can be chosen.
    pub fn is_open(&self) -> bool {
        self.roster().members().iter().any(|member| member.admission(&self.settings, 0) != Admission::Closed)
    }

    /// How long until a target may be tried again, where circuits that are open are all that keeps the targets from being used.
    pub fn opens_in(&self) -> Option<Duration> {
        let roster = self.roster();
        let usable = roster.members().iter().filter(|member| !member.state().is_out(&self.settings));
        let waits: Option<Vec<Duration>> = usable.map(|member| member.state().opens_in(&self.settings)).collect();
        waits?.into_iter().min()
    }

    /// Whether the choice of a target reads the request's fields.
    pub const fn reads_fields(&self) -> bool {
        matches!(self.settings().balance, Balance::Hash(HashOf::Header(_)))
    }

    /// Whether somebody waits who should be served first.
    pub fn is_queueing(&self) -> bool {
        self.settings.max_connections.is_some() && self.settings.hold.is_some() && self.room.is_occupied()
    }

    /// Has requests that wait here go on with `next`.
    pub fn succeeded_by(self: &Arc<Self>, next: &Arc<Self>) {
        if !Arc::ptr_eq(self, next) {
            let _twice = self.successor.set(Arc::clone(next));
            self.room.ring();
        }
    }

    /// The newest that came in its place.
    fn newest(self: &Arc<Self>) -> &Arc<Self> {
        let mut newest = self;
        while let Some(next) = newest.successor.get() {
            newest = next;
        }
        newest
    }

    /// How many requests may be tried again.
    pub const fn budget(&self) -> &RetryBudget {
        &self.budget
    }

    const fn room(&self) -> &WaitQueue {
        &self.room
    }

    /// Takes a target out for new requests, or back in; what is open on it goes on.
    pub fn set_drained(&self, member: &Endpoint, drained: bool) {
        match member.state().set_drained(drained) {
            Some(Transition::Down) => events::drained(&self.settings.name, member),
            Some(Transition::Up) => {
                events::is_back(&self.settings.name, member, events::TAKEN_BACK);
                self.room.ring();
            }
            None => (),
        }
    }

    /// How a target is chosen, so that the caller knows what [`PickContext::key`] is to be made of.
    pub const fn balance(&self) -> &Balance {
        &self.settings.balance
    }

    /// Whether a target is among its own, however much of the work it gets.
    pub fn has(&self, target: &Target) -> bool {
        self.roster.load().members().iter().any(|member| member.is_of(target))
    }

    /// What it was made of.
    pub const fn settings(&self) -> &Upstream {
        &self.settings
    }

    /// Its targets as they are now, in the order of the settings.
    pub fn roster(&self) -> Guard<Arc<EndpointSet>> {
        self.roster.load()
    }

    /// A target with the place where it stands in the text in force.
    pub fn as_written(&self, target: &Target) -> Target {
        let is_it = |known: &Target| known.address == target.address && known.scheme == target.scheme;
        let number = self.settings.targets.iter().position(is_it);
        let at = number.and_then(|number| self.written.load().get(number).cloned()).unwrap_or_default();
        Target { at, ..target.clone() }
    }

    /// What reaches its targets, also for who asks one outside of any exchange.
    pub const fn dialer(&self) -> &Connector {
        &self.dialer
    }

    /// Every target with what keeps it from being used, in one line for the log.
    pub fn in_words(&self) -> String {
        let line = |member: &Arc<Endpoint>| {
            let standing = member.standing(&self.settings);
            let why = standing.why.map(|why| format!(" ({why})")).unwrap_or_default();
            format!("{} is {}{why}", member.label(), standing.state)
        };
        self.roster().members().iter().map(line).collect::<Vec<_>>().join("; ")
    }
}

/// Where each target stands.
fn places(settings: &Upstream) -> Arc<Box<[At]>> {
    Arc::new(settings.targets.iter().map(|target| target.at.clone()).collect())
}

#[cfg(test)]
mod tests;
