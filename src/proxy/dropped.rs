//! Which dropped fields were logged already: one line for each name and interval, since every request of a program may carry
//! the same field.

use std::cell::RefCell;
use std::collections::HashMap;

use http::HeaderName;

/// Between two lines about the same name, in seconds.
const DROPPED_FIELD_LOG_INTERVAL: u64 = 10 * 60;

/// Names that are remembered. A client may invent any number of them; beyond this none is logged until one is old.
const MAX_NAMES: usize = 64;

/// Characters of a name that are remembered and logged.
const MAX_NAME_LENGTH: usize = 100;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct DroppedFields(RefCell<HashMap<Box<str>, u64>>);

impl DroppedFields {
    /// The name, perhaps cut, if a line about it is due in this `second`.
    pub(super) fn due<'a>(&self, name: &'a HeaderName, second: u64) -> Option<&'a str> {
        let name = &name.as_str()[..name.as_str().len().min(MAX_NAME_LENGTH)];
        let mut known = self.0.borrow_mut();
        if known.get(name).is_some_and(|last| second < last + DROPPED_FIELD_LOG_INTERVAL) {
            return None;
        }
        if known.len() >= MAX_NAMES {
            known.retain(|_, last| second < *last + DROPPED_FIELD_LOG_INTERVAL);
        }
        if known.len() >= MAX_NAMES {
            return None;
        }
        known.insert(name.into(), second);
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_logged_once_in_an_interval_and_many_names_are_bounded() {
        let dropped = DroppedFields::default();
        let name = HeaderName::from_static("x_real_ip");
        assert_eq!(dropped.due(&name, 5), Some("x_real_ip"));
        assert_eq!(dropped.due(&name, 5 + DROPPED_FIELD_LOG_INTERVAL - 1), None);
        assert_eq!(dropped.due(&name, 5 + DROPPED_FIELD_LOG_INTERVAL), Some("x_real_ip"));
        let other = |n: u32| HeaderName::try_from(format!("x_{n}")).unwrap();
        let logged = (0..1000).filter(|n| dropped.due(&other(*n), 700).is_some()).count();
        assert_eq!(logged, MAX_NAMES - 1);
        assert_eq!(dropped.due(&other(2000), 700 + DROPPED_FIELD_LOG_INTERVAL), Some("x_2000"));
        let long = HeaderName::try_from("y_".repeat(4000)).unwrap();
        assert_eq!(dropped.due(&long, 2000).map(str::len), Some(MAX_NAME_LENGTH));
    }
}
