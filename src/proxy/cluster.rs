//! A group of backends that answer alike: who they are, how one is chosen, how it is reached. It does not send; that is
//! [`pool`]'s part. A cluster is shared by all workers; what moves in it are atomics.
//!
//! Chosen: a reload hands the previous cluster in. Equal settings give the very same cluster back; changed ones keep each
//! target that is still reached in the same way, with its open exchanges counted on and its idle connections warm.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::config::settings::{Balance, Target, Upstream};

use connect::Dialer;
use lease::Lease;
use pick::{Candidate, Candidates};
use trust::{Trust, TrustError};

pub mod connect;
pub mod key;
pub mod lease;
pub mod pick;
pub mod pool;
pub mod stream;
#[cfg(test)]
mod testing;
pub mod trust;

/// Backends that answer alike, with the policy by which one is chosen.
#[derive(Debug)]
pub struct Cluster {
    settings: Upstream,
    members: Box<[Member]>,
    /// One round of the smooth round robin.
    order: Box<[u16]>,
    turn: AtomicUsize,
    dialer: Dialer,
}

/// One target in its cluster.
#[derive(Debug)]
pub struct Member {
    target: Target,
    label: Arc<str>,
    /// Of its address, for [`Candidate::id`].
    id: u64,
    state: Arc<TargetState>,
}

/// What is true of a target for all workers, over reloads. Its address in memory is its identity.
#[derive(Debug, Default)]
pub struct TargetState {
    in_flight: AtomicU32,
}

/// What a choice depends on besides the cluster.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// One roll of the dice.
    pub roll: u64,
    /// What [`key::of`] makes of the request.
    pub key: Option<u64>,
    /// Members that were tried for this request and are not wanted again.
    pub tried: &'a [usize],
}

/// Why a cluster could not be made of its settings.
#[derive(Debug, thiserror::Error)]
pub enum BuildClusterError {
    /// A file for TLS towards the backends, or the machine's store of roots, is not usable.
    #[error("TLS towards the backends of `{upstream}` cannot be set up")]
    Trust {
        /// The upstream's name.
        upstream: String,
        /// What was wrong.
        #[source]
        source: TrustError,
    },
}

impl Cluster {
    /// A cluster for `settings`, as much of it as possible taken over from `before`. Reads the files that the settings
    /// name, so a changed file counts as a changed setting.
    pub fn build(settings: &Upstream, before: Option<&Arc<Self>>, trust: &Trust) -> Result<Arc<Self>, BuildClusterError> {
        let dialer = Dialer::new(settings, trust)
            .map_err(|source| BuildClusterError::Trust { upstream: settings.name.clone(), source })?;
        if let Some(same) = before.filter(|b| b.settings == *settings && b.dialer.reaches_like(&dialer)) {
            return Ok(Arc::clone(same));
        }
        let before = before.filter(|b| b.dialer.reaches_like(&dialer));
        let members: Box<[Member]> = settings.targets.iter().map(|target| Member::new(target, before)).collect();
        let weights: Vec<u32> = settings.targets.iter().map(|target| target.weight).collect();
        let order = pick::smooth_order(&weights);
        Ok(Arc::new(Self { settings: settings.clone(), members, order, turn: AtomicUsize::new(0), dialer }))
    }

    /// Chooses a target and counts an exchange on it. `None` when every target was tried.
    pub fn pick(self: &Arc<Self>, wish: Wish<'_>) -> Option<Lease> {
        let member = match &*self.members {
            [_only] => (!wish.tried.contains(&0)).then_some(0)?,
            _ => self.choose(wish)?,
        };
        Some(Lease::take(self, member))
    }

    /// How a target is chosen, so that the caller knows what [`Wish::key`] is to be made of.
    pub const fn balance(&self) -> &Balance {
        &self.settings.balance
    }

    /// What it was made of.
    pub const fn settings(&self) -> &Upstream {
        &self.settings
    }

    /// Its targets, in the order of the settings.
    pub const fn members(&self) -> &[Member] {
        &self.members
    }

    pub(super) const fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    fn choose(&self, wish: Wish<'_>) -> Option<usize> {
        let choice = Choice { members: &self.members, tried: wish.tried };
        match (&self.settings.balance, wish.key) {
            (Balance::LeastConnections, _) => pick::least_busy(&choice, wish.roll),
            (Balance::Random, _) => pick::two_choices(&choice, wish.roll),
            (Balance::Hash(_), Some(key)) => pick::by_key(&choice, key),
            (Balance::RoundRobin | Balance::Hash(_), _) => {
                pick::in_turn(&choice, &self.order, self.turn.fetch_add(1, Ordering::Relaxed))
            }
        }
    }
}

/// The members as one request may have them.
struct Choice<'a> {
    members: &'a [Member],
    tried: &'a [usize],
}

impl Candidates for Choice<'_> {
    fn count(&self) -> usize {
        self.members.len()
    }

    fn at(&self, i: usize) -> Candidate {
        let member = &self.members[i];
        Candidate { weight: member.target.weight, in_flight: member.in_flight(), open: self.is_open(i), id: member.id }
    }

    fn is_open(&self, i: usize) -> bool {
        !self.tried.contains(&i)
    }
}

impl Member {
    fn new(target: &Target, before: Option<&Arc<Cluster>>) -> Self {
        let same_place = |m: &&Self| m.target.address == target.address && m.target.scheme == target.scheme;
        let state = before.and_then(|b| b.members.iter().find(same_place)).map(|m| Arc::clone(&m.state)).unwrap_or_default();
        let label = target.address.to_string();
        Self { target: target.clone(), id: pick::hash(label.as_bytes()), label: label.into(), state }
    }

    /// What it was made of.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Its address as it is written in logs.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Exchanges open on it now, over all workers.
    pub fn in_flight(&self) -> u32 {
        self.state.in_flight.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
