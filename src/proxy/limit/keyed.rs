//! A token bucket for each client, in a table that never grows beyond a bound. Shared by all workers, since a client's
//! connections spread over them, and kept over a reload that does not change the limit.
//!
//! Chosen: sets of eight slots, found by a keyed hash. A full set gives up the slot that is fullest again soonest, so
//! a flood of new addresses pushes out those who used least, never the one who is being held back; nothing must sweep.
//! Rejected: a map with a sweeper, which has no bound between two sweeps, or costs a walk for each stranger.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::bucket::{Rate, nanos};

/// Tables apart, so that two workers seldom meet at one lock.
const SHARDS: usize = 16;
/// Slots that are searched for one client.
const WAYS: usize = 8;
/// Most sets of one shard: 16 shards of 1024 sets of 8 are 131,072 clients in 2 MiB.
const MAX_SETS: usize = 1024;

/// One limit and what each client has used of it.
#[derive(Debug)]
pub struct KeyedRateLimiter {
    rate: Rate,
    start: Instant,
    /// Keyed by chance, so that nobody can choose addresses that share a slot.
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

/// Grows by doubling, and only when a set is full of clients that still count.
#[derive(Debug, Default)]
struct Shard {
    sets: Vec<[Slot; WAYS]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot {
    /// A client's hash; two clients with the same one share a bucket, once in 10^14 pairs.
    client: u64,
    /// When its bucket is full again; 0 is a free slot.
    full_at: u64,
}

impl KeyedRateLimiter {
    /// Nobody has used anything yet; `start` is any moment before the first request.
    pub fn new(rate: Rate, start: Instant) -> Self {
        Self { rate, start, hasher: RandomState::new(), shards: Default::default() }
    }

    /// Takes one token of `client`, or says how long it has to wait for one.
    pub fn take(&self, client: impl Hash, now: Instant) -> Result<(), Duration> {
        let hash = self.hasher.hash_one(client);
        // One second beyond the start, because a slot that is full at 0 is free.
        let now = nanos(now.saturating_duration_since(self.start)).saturating_add(1_000_000_000);
        let mut shard = self.shard(hash);
        let slot = shard.slot(hash, now);
        slot.full_at = self.rate.take(slot.full_at, now)?;
        slot.client = hash;
        Ok(())
    }

    /// Forgets what `client` has used.
    pub fn forget(&self, client: impl Hash) {
        let hash = self.hasher.hash_one(client);
        let mut shard = self.shard(hash);
        if let Some(set) = shard.set_of(hash)
            && let Some(slot) = shard.sets[set].iter_mut().find(|slot| slot.client == hash)
        {
            *slot = Slot::default();
        }
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        lock(&self.shards[usize::try_from(hash % SHARDS as u64).expect("a remainder of 16 is small")])
    }

    /// Slots there is memory for.
    #[cfg(test)]
    fn room(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).sets.len() * WAYS).sum()
    }
}

impl Shard {
    /// The client's slot, or one that may become it: then it holds a full bucket.
    fn slot(&mut self, client: u64, now: u64) -> &mut Slot {
        loop {
            if let Some(at) = self.place(client, now) {
                let slot = &mut self.sets[at.0][at.1];
                if slot.client != client {
                    *slot = Slot::default();
                }
                return slot;
            }
            self.grow(now);
        }
    }

    /// Where the client stands or may stand; `None` when the table should grow first.
    fn place(&self, client: u64, now: u64) -> Option<(usize, usize)> {
        let set = self.set_of(client)?;
        let slots = &self.sets[set];
        if let Some(way) = slots.iter().position(|slot| slot.client == client && slot.full_at != 0) {
            return Some((set, way));
        }
        let (way, soonest) = slots.iter().enumerate().min_by_key(|(_, slot)| slot.full_at)?;
        (soonest.full_at <= now || self.sets.len() >= MAX_SETS).then_some((set, way))
    }

    fn set_of(&self, client: u64) -> Option<usize> {
        // The lowest bits chose the shard.
        usize::try_from(client >> 8).unwrap_or(usize::MAX).checked_rem(self.sets.len())
    }

    fn grow(&mut self, now: u64) {
        let sets = (self.sets.len() * 2).max(1);
        let old = std::mem::replace(&mut self.sets, vec![<[Slot; WAYS]>::default(); sets]);
        for slot in old.into_iter().flatten().filter(|slot| slot.full_at > now) {
            let set = self.set_of(slot.client).expect("a grown table has sets");
            // A set splits into two, so each of its slots finds a free one.
            if let Some(free) = self.sets[set].iter_mut().find(|free| free.full_at == 0) {
                *free = slot;
            }
        }
    }
}

/// The lock protects one shard's slots; every state of them is sound, so a panic elsewhere does not spoil it.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(burst: u32) -> (KeyedRateLimiter, Instant) {
        let start = Instant::now();
        (KeyedRateLimiter::new(Rate::new(1, Duration::from_secs(1), burst), start), start)
    }

    #[test]
    fn clients_are_counted_apart() {
        let (rates, now) = rates(0);
        assert_eq!(rates.take("a", now), Ok(()));
        assert_eq!(rates.take("a", now), Err(Duration::from_secs(1)));
        assert_eq!(rates.take("b", now), Ok(()));
        assert_eq!(rates.take("a", now + Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_those_who_used_least() {
        let (rates, now) = rates(4);
        for _ in 0..5 {
            rates.take("greedy", now).unwrap();
        }
        for stranger in 0..400_000_u32 {
            rates.take(stranger, now).unwrap();
        }
        assert_eq!(rates.room(), SHARDS * MAX_SETS * WAYS);
        assert!(rates.take("greedy", now).is_err(), "a flood of strangers does not free who is held back");
    }

    #[test]
    fn a_table_whose_clients_come_one_after_another_stays_small() {
        let (rates, now) = rates(0);
        for client in 0..20_000_u32 {
            rates.take(client, now + Duration::from_secs(u64::from(client) * 2)).unwrap();
        }
        assert!(rates.room() <= SHARDS * WAYS, "{}", rates.room());
    }

    #[test]
    fn growing_forgets_nobody() {
        let (rates, now) = rates(0);
        for client in 0..5_000_u32 {
            rates.take(client, now).unwrap();
        }
        let free = (0..5_000_u32).filter(|client| rates.take(client, now).is_ok()).count();
        assert_eq!(free, 0);
    }

    #[test]
    fn workers_share_one_count() {
        let (rates, now) = rates(99);
        let taken: usize = std::thread::scope(|scope| {
            let worker = || (0..100).filter(|_| rates.take("c", now).is_ok()).count();
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        assert_eq!(taken, 100);
    }
}
