//! Targets that are named, by the addresses that their names have: each address is a member of its own. Who looks the names up
//! is no concern of the cluster.
//!
//! Chosen: only where `resolve` is written. By default a name is looked up for each new connection and the first address that
//! answers is used, since that is what people mean by `localhost`, which has two addresses where one is listened at, by a
//! Compose service, whose one address changes at each deploy, and by the name of a service elsewhere, behind which a balancer
//! shows other addresses each minute. Rejected: to guess from the number of addresses what is meant.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::UpstreamGroup;
use super::endpoint::{Endpoint, EndpointAddr};
use super::endpoint_set::EndpointSet;
use crate::base::name::HostName;
use crate::config::settings::{Target, TargetAddress, Upstream};

/// Addresses of one name that are used: more would be a mistake, or an attack.
pub const MAX_ADDRESSES: usize = 64;

/// Where a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResolvedAddr {
    /// An address of it.
    pub ip: IpAddr,
    /// What else was found, where it was looked up as a service.
    pub service: Option<Served>,
}

/// What a service's record says besides its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Served {
    /// Its port, in the place of the target's.
    pub port: u16,
    /// Its share among its like; at least 1.
    pub weight: u32,
    /// Whether it is only for when no other is up.
    pub backup: bool,
}

impl From<IpAddr> for ResolvedAddr {
    fn from(ip: IpAddr) -> Self {
        Self { ip, service: None }
    }
}

impl ResolvedAddr {
    fn of(self, target: &Target, port: u16) -> EndpointAddr<'_> {
        match self.service {
            None => EndpointAddr { at: Some(SocketAddr::new(self.ip, port)), ..target.into() },
            Some(Served { port, weight, backup }) => {
                EndpointAddr { target, at: Some(SocketAddr::new(self.ip, port)), weight, backup }
            }
        }
    }
}

/// What became of the members of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointChange {
    /// The labels of those that are new.
    pub came: Vec<String>,
    /// The labels of those that get nothing new any more.
    pub left: Vec<String>,
}

impl UpstreamGroup {
    /// Has a name's targets be at these spots from now on, [`MAX_ADDRESSES`] of them. Those that stay keep what is known of them; those
    /// that come begin slowly, unless they are the first; of those that go, exchanges and tunnels end in their own time and
    /// resting connections are closed. `None` when nothing changes, as when there is no address at all.
    pub fn found(&self, name: &HostName, spots: &[ResolvedAddr]) -> Option<EndpointChange> {
        let spots = &spots[..spots.len().min(MAX_ADDRESSES)];
        let before = self.roster.load_full();
        let places = places(&self.settings, &before, name, spots);
        let after = EndpointSet::new(&places, |label| self.tag(label), Some(&before));
        let moved = EndpointChange { came: strangers(&after, &before), left: strangers(&before, &after) };
        if spots.is_empty() {
            return None;
        }
        for member in after.members() {
            // A cluster that has had its day may have let go of what it shares with this one.
            member.state().stays();
        }
        if before.is(&after) {
            return None;
        }
        for member in after.members().iter().filter(|member| !has(&before, member)) {
            let is_first = !before.members().iter().any(|known| known.is_of(member.target()) && known.at().is_some());
            if !is_first {
                member.state().comes();
            }
        }
        for member in before.members().iter().filter(|member| !has(&after, member)) {
            member.state().goes();
        }
        self.roster.store(Arc::new(after));
        self.room().ring();
        Some(moved)
    }

    /// Notes why names could not be looked up, so that the addresses known last are used; `None` when all could.
    pub fn set_unresolved(&self, why: Option<String>) {
        self.unresolved.store(why.map(Arc::new));
    }

    /// What was noted last.
    pub fn unresolved(&self) -> Option<Arc<String>> {
        self.unresolved.load_full()
    }

    /// Something failed that a look at the names might explain.
    pub(super) fn doubt(&self) {
        if self.settings.resolve.is_some() {
            self.doubt.notify_one();
        }
    }

    /// Resolves when something failed that a look at the names might explain.
    pub async fn doubted(&self) {
        self.doubt.notified().await;
    }
}

/// Where the members are after `name` was found at `spots`, in the order of the settings.
fn places<'a>(settings: &'a Upstream, before: &'a EndpointSet, name: &HostName, spots: &[ResolvedAddr]) -> Vec<EndpointAddr<'a>> {
    let mut places = Vec::new();
    for target in &settings.targets {
        match &target.address {
            TargetAddress::Name(own, port) if own == name => {
                places.extend(spots.iter().map(|spot| spot.of(target, *port)));
            }
            TargetAddress::Name(..) | TargetAddress::Socket(_) | TargetAddress::Loopback(_) | TargetAddress::Unix(_) => {
                let here = before.members().iter().filter(|member| member.is_of(target));
                places.extend(here.map(|member| member.place()));
            }
        }
    }
    places
}

fn has(roster: &EndpointSet, member: &Endpoint) -> bool {
    roster.members().iter().any(|other| other.is_at(member.place()))
}

/// The labels of members of one that are not in the other.
fn strangers(one: &EndpointSet, other: &EndpointSet) -> Vec<String> {
    one.members().iter().filter(|member| !has(other, member)).map(|member| member.label().to_owned()).collect()
}
