//! What is done for groups of backends beside traffic: one task for each group that has checks, or names to look up, and below
//! it one for each target that is checked. A reload leaves those of unchanged groups alone, and a target's state survives it in
//! any case.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::base::rng::Rng;
use crate::base::task;
use crate::proxy::snapshot::Snapshot;
use crate::proxy::upstream::UpstreamGroup;
use crate::proxy::upstream::endpoint::Endpoint;
use crate::proxy::upstream::health_check;
use crate::server::dns_refresh::Lookups;
use crate::telemetry::metrics::Metrics;

/// See the module. Lives on the control runtime; its tasks end with it.
pub struct HealthTasks {
    metrics: Arc<Metrics>,
    rng: RefCell<Rng>,
    /// By the address of the group in memory, which a [`UpstreamTask`] keeps from being used again.
    running: RefCell<HashMap<usize, UpstreamTask>>,
}

/// The task of one group.
struct UpstreamTask {
    _group: Arc<UpstreamGroup>,
    _task: Task,
}

/// Ends with what it belongs to.
struct Task(JoinHandle<Option<()>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl HealthTasks {
    /// None yet.
    pub fn new(metrics: Arc<Metrics>, rng: Rng) -> Self {
        Self { metrics, rng: RefCell::new(rng), running: RefCell::default() }
    }

    /// Begins what is to be done for this snapshot and does not run yet, and ends what is not in it.
    pub fn follow(&self, snapshot: &Snapshot) {
        let mut running = self.running.borrow_mut();
        let mut before = mem::take(&mut *running);
        let is_cared_for = |group: &&Arc<UpstreamGroup>| group.settings().health.is_some() || group.settings().resolve.is_some();
        for group in snapshot.clusters().iter().filter(is_cared_for) {
            let who = Arc::as_ptr(group).addr();
            let care = before.remove(&who).unwrap_or_else(|| self.begin(group));
            running.insert(who, care);
        }
    }

    fn begin(&self, group: &Arc<UpstreamGroup>) -> UpstreamTask {
        let rng = Rng::seeded(self.rng.borrow_mut().roll());
        let checks = Checks { group: Arc::clone(group), metrics: Arc::clone(&self.metrics), rng, running: HashMap::new() };
        UpstreamTask { _group: Arc::clone(group), _task: Task(task::spawn_local("backends", care(checks))) }
    }
}

/// Keeps the checks with the targets, and the targets with their names.
async fn care(mut checks: Checks) {
    let group = Arc::clone(&checks.group);
    let mut lookups = Lookups::of(group.settings(), group.dialer().resolver());
    loop {
        checks.follow();
        match &mut lookups {
            Some(lookups) => lookups.until_moved(&group).await,
            None => std::future::pending().await,
        }
    }
}

/// The health checks of one group.
struct Checks {
    group: Arc<UpstreamGroup>,
    metrics: Arc<Metrics>,
    rng: Rng,
    /// By the address of the target in memory, which the value keeps from being used again.
    running: HashMap<usize, (Arc<Endpoint>, Task)>,
}

impl Checks {
    /// Begins those of targets that are new, and ends those of targets that are gone.
    fn follow(&mut self) {
        if self.group.settings().health.is_none() {
            return;
        }
        let mut before = mem::take(&mut self.running);
        for target in self.group.roster().members() {
            let who = Arc::as_ptr(target).addr();
            let check = before.remove(&who).unwrap_or_else(|| {
                let rng = Rng::seeded(self.rng.roll());
                let watch = health_check::watch(Arc::clone(&self.group), Arc::clone(target), Arc::clone(&self.metrics), rng);
                (Arc::clone(target), Task(task::spawn_local("health check", watch)))
            });
            self.running.insert(who, check);
        }
    }
}
