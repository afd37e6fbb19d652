//! Notices changed files of the running configuration, and of one that was refused, and has them read again. Everything that
//! touches the disk is done on a thread that may block: a file system that does not answer holds up this task and nothing else.

use std::cell::RefCell;
use std::rc::Weak;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::base::file_watch::{Looked, Schedule};
use crate::base::task;
use crate::base::time::{Clock, SystemClock};
use crate::server::gateway::Gateway;
use crate::server::reload::Wanted;

/// Between two looks; a change is read at the second look that finds it the same.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// When a look that was not answered is logged. It goes on; the task waits for it.
const SLOW_LOOK: Duration = Duration::from_secs(10);

/// The files of a configuration as they were when it was read.
#[derive(Debug)]
pub struct Watch(RefCell<State>);

#[derive(Debug)]
struct State {
    files: Arc<Looked>,
    schedule: Schedule<Looked>,
    /// How often it was replaced, so that a look at files of before is not taken for one at those of now.
    generation: u64,
}

impl Watch {
    /// Watches what a configuration was read from.
    pub fn new(files: Looked) -> Self {
        Self(RefCell::new(State { schedule: Schedule::after_reading(files.clone()), files: Arc::new(files), generation: 0 }))
    }

    /// Watches these from now on, with how they were just before they were read. `retry` is whether reading failed in a way
    /// that time alone may mend.
    pub fn replace(&self, files: Looked, retry: bool) {
        let mut state = self.0.borrow_mut();
        if files != *state.files {
            state.schedule = Schedule::after_reading(files.clone());
            state.files = Arc::new(files);
            state.generation += 1;
        }
        if retry {
            state.schedule.failed(None);
        } else {
            state.schedule.succeeded();
        }
    }

    /// Has the same files read again after a while, whether or not they change.
    pub fn retry(&self) {
        self.0.borrow_mut().schedule.failed(None);
    }

    fn files(&self) -> (Arc<Looked>, u64) {
        let state = self.0.borrow();
        (Arc::clone(&state.files), state.generation)
    }

    /// Whether to read them again, given how they are now.
    fn sees(&self, seen: Looked, generation: u64) -> bool {
        let mut state = self.0.borrow_mut();
        state.generation == generation && state.schedule.sees(seen, SystemClock.now())
    }
}

/// Looks for as long as the gateway runs.
pub async fn follow(gateway: Weak<Gateway>) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_refused_configuration_is_read_again_when_what_it_was_read_from_changes() {
        let folder = tempfile::tempdir().unwrap();
        let looked = |name: &str| {
            let mut files = Looked::default();
            files.look(&folder.path().join(name));
            files
        };
        fs::write(folder.path().join("a"), "a").unwrap();
        let watch = Watch::new(looked("a"));
        let look = || {
            let (files, generation) = watch.files();
            watch.sees(files.again(), generation)
        };
        assert!(!look() && !look());
        // Refused because of a file that is not there yet.
        watch.replace(looked("b"), false);
        assert!(!look());
        let (files, of_before) = watch.files();
        fs::write(folder.path().join("b"), "b").unwrap();
        assert!(!look(), "it may be being written");
        assert!(look());
        assert!(!look());
        watch.replace(looked("a"), true);
        assert!(!watch.sees(files.again(), of_before), "a look at other files");
        let retried = (0..5).map(|_| look()).collect::<Vec<_>>();
        assert_eq!(retried, [false, false, false, false, true]);
    }
}
