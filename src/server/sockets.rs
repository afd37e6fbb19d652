//! Which sockets are open, and how a new configuration changes them: all new ones are opened before any old one is
//! given up, so that a refused change leaves everything as it was.

use std::collections::BTreeSet;
use std::net::TcpListener;

use crate::listeners::bind::{self, BindError, Handed, Spot};
use crate::server::workers::Workers;

/// The open sockets, and those systemd handed over that nobody asked for yet.
pub struct Sockets {
    open: BTreeSet<Spot>,
    handed: Handed,
}

/// A change that is ready: its sockets are open, but nobody accepts on them yet.
pub struct Change {
    opened: Vec<(Spot, Vec<TcpListener>)>,
    wanted: BTreeSet<Spot>,
}

impl Sockets {
    /// None yet.
    pub const fn new(handed: Handed) -> Self {
        Self { open: BTreeSet::new(), handed }
    }

    /// Where we listen now.
    pub const fn open(&self) -> &BTreeSet<Spot> {
        &self.open
    }

    /// Opens what `wanted` needs beyond what is open, for each of `workers`.
    pub fn prepare(&mut self, wanted: BTreeSet<Spot>, workers: usize) -> Result<Change, BindError> {
        let mut opened = Vec::new();
        for spot in wanted.difference(&self.open) {
            opened.push((*spot, bind::open(*spot, workers, &mut self.handed)?));
        }
        Ok(Change { opened, wanted })
    }

    /// Hands the new sockets to `workers` and gives up those no longer wanted.
    pub fn commit(&mut self, change: Change, workers: &Workers) {
        for (spot, listeners) in change.opened {
            workers.listen(spot, listeners);
        }
        for spot in self.open.difference(&change.wanted) {
            workers.leave(*spot);
        }
        self.open = change.wanted;
    }
}
