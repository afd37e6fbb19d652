//! What deserves one line and not one for each request: logged once for each key until the next reload, and listed for
//! `doorward doctor` and `doorward certs`. It is asked only where something has failed already, so its lock is never
//! taken for an ordinary request.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;

use crate::base::mutex::lock;
use crate::base::time::Timestamp;

/// Remarks that are kept; when one more comes, the oldest goes, and may be made again.
const MAX_REMARKS: usize = 256;

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The name of its event in the log.
    pub event: &'static str,
    /// The host or backend that it is about.
    pub about: String,
    /// The sentence in the log.
    pub text: String,
    /// When it was made.
    pub at: Timestamp,
    key: String,
}

/// See the module.
#[derive(Default)]
pub struct Remarks(Mutex<VecDeque<Remark>>);

impl Remarks {
    /// Keeps a remark about `about` and gives its text, unless one with this event and key was made before.
    pub fn first(
        &self,
        event: &'static str,
        (about, key): (&str, &str),
        now: Timestamp,
        text: impl FnOnce() -> String,
    ) -> Option<String> {
        let mut kept = lock(&self.0);
        if kept.iter().any(|known| known.event == event && known.key == key) {
            return None;
        }
        if kept.len() >= MAX_REMARKS {
            kept.pop_front();
        }
        let text = text();
        kept.push_back(Remark { event, about: about.to_owned(), text: text.clone(), at: now, key: key.to_owned() });
        Some(text)
    }

    /// The text of the remark with this event and key, if it was made.
    pub fn find(&self, event: &'static str, key: &str) -> Option<String> {
        let kept = lock(&self.0);
        kept.iter().find(|known| known.event == event && known.key == key).map(|known| known.text.clone())
    }

    /// All of them, the oldest first.
    pub fn list(&self) -> Vec<Remark> {
        lock(&self.0).iter().cloned().collect()
    }

    /// Forgets all: a new configuration may have repaired what they say, and says it again if not.
    pub fn clear(&self) {
        lock(&self.0).clear();
    }
}

impl fmt::Debug for Remarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remarks").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(0);

    #[test]
    fn each_key_has_one_remark_until_all_are_cleared() {
        let remarks = Remarks::default();
        let make = |event, key: &str| remarks.first(event, ("a.test", key), NOW, || format!("{event} {key}"));
        assert_eq!(make("one", "a").as_deref(), Some("one a"));
        assert_eq!((make("one", "a"), make("two", "a").is_some(), make("one", "b").is_some()), (None, true, true));
        assert_eq!(remarks.find("two", "a").as_deref(), Some("two a"));
        assert_eq!(remarks.list().len(), 3);
        remarks.clear();
        assert!(make("one", "a").is_some());
    }

    #[test]
    fn the_number_of_remarks_is_bounded() {
        let remarks = Remarks::default();
        for number in 0..=MAX_REMARKS {
            assert!(remarks.first("one", ("a.test", &number.to_string()), NOW, String::new).is_some());
        }
        assert_eq!(remarks.list().len(), MAX_REMARKS);
        assert!(remarks.find("one", "0").is_none(), "the oldest is gone");
    }
}
