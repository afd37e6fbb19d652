//! Which sockets are open, and how a new configuration changes them: all new ones are opened before any old one is
//! given up, so that a refused change leaves everything as it was.

use std::collections::BTreeSet;

use crate::base::error_chain::ErrorChain;
use crate::listeners::bind::{self, BindError, ListenKey, Listening, Role};
use crate::listeners::inherited::{InheritedSockets, Served};
use crate::server::workers::Workers;

/// The open sockets, and those that systemd handed over.
pub struct Sockets {
    open: BTreeSet<ListenKey>,
    handed: InheritedSockets,
    /// How places are served by those.
    served: Served,
}

/// A change that is ready: its sockets are open, but nobody accepts on them yet.
pub struct Change {
    /// By place, for each worker.
    opened: Vec<(ListenKey, Vec<Vec<Listening>>)>,
    wanted: BTreeSet<ListenKey>,
    served: Served,
    missing: Vec<(ListenKey, BindError)>,
}

impl Change {
    /// The ports where QUIC will be spoken on every address that asks for it.
    pub fn quic(&self) -> BTreeSet<u16> {
        let ports = |spots: &mut dyn Iterator<Item = &ListenKey>| -> BTreeSet<u16> {
            spots.filter(|spot| spot.role == Role::Quic).map(|spot| spot.addr.port()).collect()
        };
        let missing = ports(&mut self.missing.iter().map(|(spot, _)| spot));
        ports(&mut self.wanted.iter()).difference(&missing).copied().collect()
    }

    /// What could not be opened and is done without, for the operator.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.missing.iter().map(|(spot, error)| {
            let addr = spot.addr;
            format!("HTTP/3 is off at UDP {addr}, all else is served: {}; `protocols h1 h2` does without it", ErrorChain(error))
        })
    }
}

impl Sockets {
    /// None yet.
    pub const fn new(handed: InheritedSockets) -> Self {
        Self { open: BTreeSet::new(), handed, served: Served::new() }
    }

    /// Where we listen now.
    pub const fn open(&self) -> &BTreeSet<ListenKey> {
        &self.open
    }

    /// Opens what `wanted` needs beyond what is open, for each of `workers`. A client that does not reach QUIC uses TCP,
    /// so a UDP port that cannot be had is done without, until the next change.
    pub fn prepare(&self, mut wanted: BTreeSet<ListenKey>, workers: usize) -> Result<Change, BindError> {
        let (mut opened, mut missing) = (Vec::new(), Vec::new());
        let served = self.handed.served(&wanted);
        // A place that was open may be served by other handed sockets now, since the places of a port share them.
        let is_new = |spot: &&ListenKey| !self.open.contains(spot) || self.served.get(spot) != served.get(spot);
        for spot in wanted.iter().filter(is_new) {
            let sockets = match served.get(spot) {
                Some(numbers) => self.handed.copies(numbers, workers).map_err(|error| bind::explain(*spot, error)),
                None => bind::open(*spot, workers).map(|sockets| sockets.into_iter().map(|socket| vec![socket]).collect()),
            };
            match sockets {
                Ok(sockets) => opened.push((*spot, sockets)),
                Err(error) if spot.role == Role::Quic => missing.push((*spot, error)),
                Err(error) => return Err(error),
            }
        }
        wanted.retain(|spot| missing.iter().all(|(gone, _)| gone != spot));
        Ok(Change { opened, wanted, served, missing })
    }

    /// Hands the new sockets to `workers` and gives up those no longer wanted.
    pub fn commit(&mut self, change: Change, workers: &Workers) {
        for warning in change.warnings() {
            tracing::warn!(event = "quic_off", "{warning}");
        }
        for (spot, sockets) in change.opened {
            workers.listen(spot, sockets);
        }
        for spot in self.open.difference(&change.wanted) {
            workers.leave(*spot);
        }
        self.open = change.wanted;
        self.served = change.served;
    }
}
