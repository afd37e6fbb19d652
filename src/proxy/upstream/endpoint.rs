//! One target in its cluster.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::endpoint_state::EndpointState;
use super::health::Admission;
use super::pick::{self, Candidate};
use super::sticky::CookieTag;
use crate::config::settings::{Target, TargetAddress, Upstream};

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointAddr<'a> {
    /// As the settings have it.
    pub target: &'a Target,
    /// The one of its name's addresses that is meant; `None` where it has none, or they are not looked up beforehand.
    pub at: Option<SocketAddr>,
    /// Its share among its like.
    pub weight: u32,
    /// Whether it is only for when no other is up.
    pub backup: bool,
}

impl<'a> From<&'a Target> for EndpointAddr<'a> {
    fn from(target: &'a Target) -> Self {
        Self { target, at: None, weight: target.weight, backup: target.backup }
    }
}

/// As logs write it.
impl fmt::Display for EndpointAddr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.at, &self.target.address) {
            (None, address) => write!(f, "{address}"),
            (Some(at), TargetAddress::Name(_, port)) if at.port() == *port => write!(f, "{} at {}", self.target.address, at.ip()),
            (Some(at), address) => write!(f, "{address} at {at}"),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Endpoint {
    target: Target,
    at: Option<SocketAddr>,
    label: Arc<str>,
    /// Of its address, whatever its place among the others.
    id: u64,
    /// How a sticky cookie names it, where there is one.
    tag: Option<CookieTag>,
    state: Arc<EndpointState>,
}

/// How a target stands, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointStatus {
    /// In a word or two.
    pub state: &'static str,
    /// What brought it there, where it does not simply work.
    pub why: Option<String>,
    /// How long ago that was.
    pub since: Option<Duration>,
}

impl Endpoint {
    pub(super) fn new(place: EndpointAddr<'_>, tag: impl Fn(&str) -> Option<CookieTag>, state: Arc<EndpointState>) -> Self {
        let label = place.to_string();
        let target = Target { weight: place.weight, backup: place.backup, ..place.target.clone() };
        Self { target, at: place.at, id: pick::hash(label.as_bytes()), tag: tag(&label), label: label.into(), state }
    }

    pub(super) const fn tag(&self) -> Option<&CookieTag> {
        self.tag.as_ref()
    }

    /// Whether this is where `target` is or one of the places where it is, reached in the same way.
    pub(super) fn is_of(&self, target: &Target) -> bool {
        self.target.address.is_same_place(&target.address) && self.target.scheme == target.scheme
    }

    /// Whether this is just there, reached in the same way.
    pub(super) fn is_at(&self, place: EndpointAddr<'_>) -> bool {
        self.is_of(place.target) && self.at == place.at
    }

    /// Whether nothing about it is another than about `other`, which is at the same place.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.target == other.target && self.tag == other.tag
    }

    /// Where it is.
    pub(super) fn place(&self) -> EndpointAddr<'_> {
        EndpointAddr { at: self.at, ..EndpointAddr::from(&self.target) }
    }

    /// The one of its name's addresses that it is.
    pub const fn at(&self) -> Option<SocketAddr> {
        self.at
    }

    /// What it was made of.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Whether it may be tried now whether it speaks TLS; the answer is yes at most once in ten minutes.
    pub fn may_try_tls(&self) -> bool {
        self.state.may_try_tls()
    }

    /// Its address as it is written in logs.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Who it is, in [`super::PickContext::tried`].
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// Exchanges open on it now, over all workers.
    pub fn in_flight(&self) -> u32 {
        self.state.in_flight()
    }

    /// What is true of it over reloads.
    pub(super) const fn state(&self) -> &Arc<EndpointState> {
        &self.state
    }

    pub(super) fn candidate(&self, open: bool) -> Candidate {
        Candidate { weight: self.target.weight, in_flight: self.in_flight(), open, id: self.id }
    }

    /// Whether a request with this number, its key or a roll of the rng, may go there.
    pub(super) fn admission(&self, settings: &Upstream, number: u64) -> Admission {
        self.state.admission(settings, || pick::mix(number ^ self.id))
    }

    /// How it stands now, by the rules of its cluster.
    pub fn standing(&self, settings: &Upstream) -> EndpointStatus {
        let state = self.state.in_a_word(settings);
        let change = if state == "up" { None } else { self.state.last_change() };
        let (why, since) = change.map(|change| (change.why.clone(), change.at.elapsed())).unzip();
        EndpointStatus { state, why, since }
    }
}
