//! What an authority asked us to leave alone for a while: after 429 or 503 with `Retry-After`, nothing of that kind is
//! asked before the time is over.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use super::lock;
use crate::base::time::Timestamp;

/// Kinds of requests that authorities limit apart from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The directory itself.
    Directory,
    /// A fresh nonce.
    NewNonce,
    /// A new account, or finding the old one.
    NewAccount,
    /// A new order.
    NewOrder,
    /// Renewal information (RFC 9773).
    RenewalInfo,
    /// Everything about an order that exists.
    Other,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Directory, Self::NewNonce, Self::NewAccount, Self::NewOrder, Self::RenewalInfo, Self::Other];

    /// The name in journals and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::NewNonce => "newNonce",
            Self::NewAccount => "newAccount",
            Self::NewOrder => "newOrder",
            Self::RenewalInfo => "renewalInfo",
            Self::Other => "order",
        }
    }

    /// Reads what [`Kind::as_str`] gives.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The pauses an authority asked for. The caller stores them and puts them back after a restart.
#[derive(Debug, Default)]
pub struct Pauses(Mutex<BTreeMap<Kind, Timestamp>>);

impl Pauses {
    /// Asks nothing of this kind before `until`; a longer pause that is known stays.
    pub fn pause(&self, kind: Kind, until: Timestamp) {
        let mut pauses = lock(&self.0);
        let held = pauses.entry(kind).or_insert(until);
        *held = (*held).max(until);
    }

    /// Until when this kind is paused; `None` when it is not, at `now`.
    pub fn until(&self, kind: Kind, now: Timestamp) -> Option<Timestamp> {
        lock(&self.0).get(&kind).copied().filter(|until| now < *until)
    }

    /// The pauses that still hold at `now`, to be stored.
    pub fn snapshot(&self, now: Timestamp) -> Vec<(Kind, Timestamp)> {
        lock(&self.0).iter().filter(|(_, until)| now < **until).map(|(kind, until)| (*kind, *until)).collect()
    }

    /// Forgets all of them: an operator wants a try at once.
    pub fn clear(&self) {
        lock(&self.0).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_holds_until_its_time_and_is_never_shortened() {
        let at = Timestamp::from_unix;
        let pauses = Pauses::default();
        pauses.pause(Kind::NewOrder, at(100));
        pauses.pause(Kind::NewOrder, at(50));
        assert_eq!(pauses.until(Kind::NewOrder, at(99)), Some(at(100)));
        assert_eq!(pauses.until(Kind::NewOrder, at(100)), None);
        assert_eq!(pauses.until(Kind::NewAccount, at(0)), None);
        assert_eq!(pauses.snapshot(at(10)), [(Kind::NewOrder, at(100))]);
        assert_eq!(pauses.snapshot(at(100)), []);
    }

    #[test]
    fn kinds_read_back_as_they_are_written() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
    }
}
