//! The health checks that run: one task for each target of a group that has checks. A reload leaves those of unchanged
//! groups alone, and a target's state survives it in any case.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::base::dice::Dice;
use crate::base::task;
use crate::proxy::cluster::Cluster;
use crate::proxy::cluster::member::Member;
use crate::proxy::cluster::probe;
use crate::proxy::snapshot::Snapshot;
use crate::telemetry::metrics::Metrics;

/// See the module. Lives on the control runtime; its tasks end with it.
pub struct Checkups {
    metrics: Arc<Metrics>,
    dice: RefCell<Dice>,
    running: RefCell<HashMap<Who, Checkup>>,
}

/// A target in its group, both by their addresses in memory, which a [`Checkup`] keeps from being used again.
type Who = (usize, usize);

struct Checkup {
    _group: Arc<Cluster>,
    _target: Arc<Member>,
    task: JoinHandle<Option<()>>,
}

impl Checkups {
    /// None yet.
    pub fn new(metrics: Arc<Metrics>, dice: Dice) -> Self {
        Self { metrics, dice: RefCell::new(dice), running: RefCell::default() }
    }

    /// Begins the checks of this snapshot that do not run yet, and ends those that are not in it.
    pub fn follow(&self, snapshot: &Snapshot) {
        let mut running = self.running.borrow_mut();
        let mut before = mem::take(&mut *running);
        for group in snapshot.clusters().iter().filter(|group| group.settings().health.is_some()) {
            for target in group.roster().members() {
                let who = (Arc::as_ptr(group).addr(), Arc::as_ptr(target).addr());
                let checkup = before.remove(&who).unwrap_or_else(|| self.begin(group, target));
                running.insert(who, checkup);
            }
        }
    }

    fn begin(&self, group: &Arc<Cluster>, target: &Arc<Member>) -> Checkup {
        let dice = Dice::seeded(self.dice.borrow_mut().roll());
        let watch = probe::watch(Arc::clone(group), Arc::clone(target), Arc::clone(&self.metrics), dice);
        Checkup { _group: Arc::clone(group), _target: Arc::clone(target), task: task::spawn_local("health check", watch) }
    }
}

impl Drop for Checkup {
    fn drop(&mut self) {
        self.task.abort();
    }
}
