//! Which files the running configuration, and one that was refused, were read from, and when they have changed.

use std::cell::RefCell;
use std::sync::Arc;

use crate::base::file_watch::{Looked, Schedule};
use crate::base::time::{Clock, SystemClock};

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

    pub(super) fn files(&self) -> (Arc<Looked>, u64) {
        let state = self.0.borrow();
        (Arc::clone(&state.files), state.generation)
    }

    /// Whether to read them again, given how they are now.
    pub(super) fn sees(&self, seen: Looked, generation: u64) -> bool {
        let mut state = self.0.borrow_mut();
        state.generation == generation && state.schedule.sees(seen, SystemClock.now())
    }
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
