//! Holds a request while no target can take it: all down, all full, or none that lets us connect. One scout for each cluster
//! looks out while anybody waits, so that a thousand who wait do not knock a thousand times.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::UpstreamGroup;
use super::endpoint::Endpoint;
use super::health::Admission;
use super::health_check;
use crate::base::task;

/// Between the first two looks; a backend that restarts is back within seconds.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// Between two later ones: what a person does not notice.
const MAX_RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// For one look at one target.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// What those who come had seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// No target was open.
    NobodyOpen,
    /// Those that were open did not let us connect.
    NobodyThere,
}

/// Waits until a target may be tried, and gives the cluster to go on with, which may have come with a reload meanwhile.
/// `None` when the cluster holds nobody, or not so many, or when it is `until`.
pub async fn hold(cluster: &Arc<UpstreamGroup>, seen: Seen, until: Instant) -> Option<Arc<UpstreamGroup>> {
    let rule = cluster.settings().hold?;
    let room = cluster.room();
    let _seat = room.enter(rule.most)?;
    let mut bell = pin!(room.bell());
    // From here on no ring is missed; what rang before is looked at now.
    bell.as_mut().enable();
    let newest = cluster.newest();
    if !Arc::ptr_eq(newest, cluster) || (seen == Seen::NobodyOpen && cluster.is_open()) {
        return Some(Arc::clone(newest));
    }
    if room.begin_watch() {
        drop(task::spawn_local("scout", scout(Watch(Arc::clone(cluster)))));
    }
    timeout_at(until, bell).await.ok()?;
    Some(Arc::clone(cluster.newest()))
}

/// The duty to look out, which ends with it.
struct Watch(Arc<UpstreamGroup>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.room().end_watch();
    }
}

/// Rings whenever a target can be reached, for as long as somebody waits.
async fn scout(watch: Watch) {
    let cluster = Arc::clone(&watch.0);
    let mut watch = Some(watch);
    while watch.is_some() {
        let mut pause = FIRST_PAUSE;
        while cluster.room().is_occupied() {
            sleep(pause).await;
            if somebody_is_there(&cluster).await {
                cluster.room().ring();
            }
            pause = (pause * 2).min(MAX_RETRY_INTERVAL);
        }
        drop(watch.take());
        // Somebody may have come in just before, and relied on us.
        if cluster.room().is_occupied() && cluster.room().begin_watch() {
            watch = Some(Watch(Arc::clone(&cluster)));
        }
    }
}

async fn somebody_is_there(cluster: &Arc<UpstreamGroup>) -> bool {
    let open = |member: &&Arc<Endpoint>| member.admission(cluster.settings(), 0) != Admission::Closed;
    let members: Vec<Arc<Endpoint>> = cluster.roster().members().iter().filter(open).cloned().collect();
    for member in members {
        if timeout(PROBE_TIMEOUT, health_check::connect(cluster, &member)).await.is_ok_and(|connected| connected.is_ok()) {
            return true;
        }
    }
    false
}
