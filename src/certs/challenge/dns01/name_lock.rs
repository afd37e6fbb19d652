//! Who changes the records of a name now, and which of its values are in use.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, Weak};

use crate::base::mutex::lock;

/// One name's. The lock is held over the change of its records and waits for nothing else, so it may be held over awaits.
pub(in crate::certs) type NameLockGuard = tokio::sync::Mutex<Uses>;

/// How many orders need each value.
#[derive(Debug, Default)]
pub(in crate::certs) struct Uses(BTreeMap<String, usize>);

/// All names'. The lock protects the table alone.
#[derive(Default)]
pub(in crate::certs) struct NameLocks(Mutex<HashMap<String, Weak<NameLockGuard>>>);

impl NameLocks {
    /// The turn of a name.
    pub(in crate::certs) fn of(&self, name: &str) -> Arc<NameLockGuard> {
        let mut turns = lock(&self.0);
        turns.retain(|_, turn| turn.strong_count() > 0);
        match turns.get(name).and_then(Weak::upgrade) {
            Some(turn) => turn,
            None => {
                let turn = Arc::default();
                turns.insert(name.to_owned(), Arc::downgrade(&turn));
                turn
            }
        }
    }
}

impl Uses {
    /// Whether nobody needed the value before.
    pub(in crate::certs) fn begin(&mut self, value: &str) -> bool {
        let uses = self.0.entry(value.to_owned()).or_default();
        *uses += 1;
        *uses == 1
    }

    /// Whether nobody needs the value any more.
    pub(in crate::certs) fn end(&mut self, value: &str) -> bool {
        let Some(uses) = self.0.get_mut(value) else { return true };
        *uses -= 1;
        let last = *uses == 0;
        if last {
            self.0.remove(value);
        }
        last
    }

    /// Whether somebody needs the value.
    pub(in crate::certs) fn has(&self, value: &str) -> bool {
        self.0.contains_key(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stands_until_its_last_user_is_done() {
        let mut uses = Uses::default();
        assert!(uses.begin("x") && !uses.begin("x") && uses.begin("y"));
        assert!(!uses.end("x") && uses.has("x"));
        assert!(uses.end("x") && !uses.has("x") && uses.has("y"));
    }

    #[test]
    fn a_name_has_one_turn_for_as_long_as_somebody_holds_it() {
        let turns = NameLocks::default();
        let held = turns.of("a.example");
        assert!(Arc::ptr_eq(&held, &turns.of("a.example")));
        assert!(!Arc::ptr_eq(&held, &turns.of("b.example")));
        drop(held);
        let _other = turns.of("c.example");
        assert_eq!(turns.0.lock().unwrap().len(), 1);
    }
}
