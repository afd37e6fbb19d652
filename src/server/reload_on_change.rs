//! The task that reloads the configuration when its files change. Everything that touches the disk is done on a thread that
//! may block: a file system that does not answer holds up this task and nothing else.

use std::rc::Weak;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::base::file_watch::Looked;
use crate::base::task;
use crate::server::gateway::Gateway;
use crate::server::reload::Wanted;

/// Between two looks; a change is read at the second look that finds it the same.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// When a look that was not answered is logged. It goes on; the task waits for it.
const SLOW_LOOK: Duration = Duration::from_secs(10);

/// Looks for as long as the gateway runs.
pub(super) async fn follow(gateway: Weak<Gateway>) {
    while let Some((files, generation)) = gateway.upgrade().map(|gateway| gateway.watch.files()) {
        tokio::time::sleep(interval(files.paths().count())).await;
        let Some(seen) = look(files).await else { continue };
        let Some(gateway) = gateway.upgrade() else { return };
        if gateway.watch.sees(seen, generation) {
            // Its log line says how it ended; a refusal changes nothing.
            let _ = gateway.reload(Wanted::ByFiles).await;
        }
    }
}

/// 2 s, and 2 s more for each full thousand of files, so that looking takes no noticeable share of a core.
fn interval(files: usize) -> Duration {
    LOOK_INTERVAL.saturating_mul(u32::try_from(1 + files / 1_000).unwrap_or(u32::MAX))
}

async fn look(files: Arc<Looked>) -> Option<Looked> {
    let mut looking = Box::pin(task::blocking("config-look", move || files.again()));
    if let Ok(seen) = timeout(SLOW_LOOK, &mut looking).await {
        return seen;
    }
    tracing::warn!(
        event = "config_unanswered",
        "the file system of the configuration has not answered for 10 s: changes are not seen until it does; what is served goes on"
    );
    let seen = looking.await;
    tracing::info!(event = "config_answered", "the file system of the configuration answers again");
    seen
}
