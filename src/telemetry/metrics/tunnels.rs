//! How long tunnels stand, and whether clients come back at once when theirs has ended: what tells a network that cuts
//! quiet connections, or a backend that throws everybody out, from people who close a tab.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Counter;

/// Upper ends of the buckets, in seconds: timeouts of the usual culprits lie just below one (30 s, 60 s, 100 s of a CDN,
/// 1 h, 24 h).
pub const BOUNDS: [u64; 8] = [1, 10, 30, 60, 120, 600, 3_600, 86_400];

/// Counts of durations by bucket, the last one without an upper end.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; BOUNDS.len() + 1],
    millis: Counter,
}

impl Histogram {
    /// One more.
    pub fn note(&self, duration: Duration) {
        let at = BOUNDS.iter().position(|bound| duration <= Duration::from_secs(*bound)).unwrap_or(BOUNDS.len());
        self.buckets[at].add_one();
        self.millis.add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    }

    /// Upper end of each bucket with how many lie in it; `None` is no end.
    pub fn read(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let bounds = BOUNDS.iter().copied().map(Some).chain([None]);
        bounds.zip(self.buckets.iter().map(Counter::read))
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        Duration::from_millis(self.millis.read())
    }
}

/// How soon who comes back counts as one who was cut off, in seconds.
const RECONNECT_WINDOW: u64 = 60;
/// What of a second's number is kept.
const SECONDS: u64 = 0x7fff_ffff;
/// Clients remembered; more at once push each other out.
const SLOTS: usize = 2048;

/// Clients whose tunnel ended lately. Two clients may meet in a slot, and the later one is remembered.
#[derive(Debug)]
pub(super) struct Gone {
    /// Half of the client's hash, and the second of its leaving; 0 is empty.
    slots: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Default for Gone {
    fn default() -> Self {
        let slots = std::iter::repeat_with(AtomicU64::default).take(SLOTS).collect();
        Self { slots, hasher: RandomState::new() }
    }
}

impl Gone {
    pub(super) fn went(&self, client: IpAddr, second: u64) {
        let (slot, half) = self.place(client);
        slot.store(half << 32 | ((second & SECONDS) + 1), Ordering::Relaxed);
    }

    /// Whether it went lately; it is then forgotten.
    pub(super) fn comes_back(&self, client: IpAddr, second: u64) -> bool {
        let (slot, half) = self.place(client);
        let seen = slot.load(Ordering::Relaxed);
        let back = seen != 0 && seen >> 32 == half && (second & SECONDS) < (seen & u64::from(u32::MAX)) + RECONNECT_WINDOW;
        if back {
            slot.store(0, Ordering::Relaxed);
        }
        back
    }

    fn place(&self, client: IpAddr) -> (&AtomicU64, u64) {
        let hash = self.hasher.hash_one(client);
        (&self.slots[(hash % SLOTS as u64) as usize], hash >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_holds_it() {
        let durations = Histogram::default();
        for millis in [1_000, 1_001, 59_999, 90_000_000] {
            durations.note(Duration::from_millis(millis));
        }
        let seen: Vec<_> = durations.read().filter(|(_, count)| *count > 0).collect();
        assert_eq!(seen, [(Some(1), 1), (Some(10), 1), (Some(60), 1), (None, 1)]);
        assert_eq!(durations.sum(), Duration::from_millis(90_062_000));
    }

    #[test]
    fn who_comes_back_within_a_minute_is_known_once() {
        let gone = Gone::default();
        let (a, b): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        assert!(!gone.comes_back(a, 0));
        gone.went(a, 1);
        assert!(!gone.comes_back(b, 2), "somebody else");
        assert!(gone.comes_back(a, 60));
        assert!(!gone.comes_back(a, 60), "counted already");
        gone.went(a, 100);
        assert!(!gone.comes_back(a, 162), "too late");
    }
}
