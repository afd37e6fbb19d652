//! What an authority asked us to leave alone for a while: after 429 or 503 with `Retry-After`, nothing of that kind is
//! asked before the time is over.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use crate::base::mutex::lock;
use crate::base::time::Timestamp;
use crate::state::schema::Pause;

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
pub struct Pauses(Mutex<BTreeMap<Kind, Pause>>);

impl Pauses {
    /// Asks nothing of this kind before the pause ends; a longer one that holds stays. With the moment at which it was asked
    /// for, because a pause that was decided under a clock that was ahead ends when the clock is set right.
    pub fn pause(&self, kind: Kind, pause: Pause) {
        let mut pauses = lock(&self.0);
        let held = pauses.entry(kind).or_insert(pause);
        if held.holds(pause.since).is_none_or(|until| until < pause.until) {
            *held = pause;
        }
    }

    /// Until when this kind is paused; `None` when it is not, at `now`.
    pub fn until(&self, kind: Kind, now: Timestamp) -> Option<Timestamp> {
        lock(&self.0).get(&kind)?.holds(now)
    }

    /// The pauses that still hold at `now`, to be stored.
    pub fn snapshot(&self, now: Timestamp) -> Vec<(Kind, Pause)> {
        lock(&self.0).iter().filter(|(_, pause)| pause.holds(now).is_some()).map(|(kind, pause)| (*kind, *pause)).collect()
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
        let pause = |until| Pause { since: at(0), until: at(until) };
        pauses.pause(Kind::NewOrder, pause(100));
        pauses.pause(Kind::NewOrder, pause(50));
        assert_eq!(pauses.until(Kind::NewOrder, at(99)), Some(at(100)));
        assert_eq!(pauses.until(Kind::NewOrder, at(100)), None);
        assert_eq!(pauses.until(Kind::NewAccount, at(0)), None);
        assert_eq!(pauses.snapshot(at(10)), [(Kind::NewOrder, pause(100))]);
        assert_eq!(pauses.snapshot(at(100)), []);
    }

    #[test]
    fn a_pause_from_a_clock_that_was_ahead_ends_when_the_clock_is_right() {
        let at = Timestamp::from_unix;
        let pauses = Pauses::default();
        let year = 31_536_000;
        pauses.pause(Kind::Directory, Pause { since: at(year), until: at(year + 60) });
        assert_eq!((pauses.until(Kind::Directory, at(0)), pauses.snapshot(at(0))), (None, Vec::new()));
        pauses.pause(Kind::Directory, Pause { since: at(0), until: at(60) });
        assert_eq!(pauses.until(Kind::Directory, at(1)), Some(at(60)), "and does not hide another");
    }

    #[test]
    fn kinds_read_back_as_they_are_written() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
    }
}
