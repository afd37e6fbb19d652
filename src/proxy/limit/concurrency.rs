//! How many exchanges and tunnels each client has open. Exact: a place is given back when its guard falls, so nothing is
//! evicted, and the table is no larger than what is open.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::addr::client_prefix;

/// Tables apart, so that two workers seldom meet at one lock.
const SHARDS: usize = 16;

/// Open exchanges by client. IPv6 counts by /64.
#[derive(Debug, Default)]
pub struct ConnLimiter {
    hasher: RandomState,
    shards: [Mutex<HashMap<IpAddr, u32>>; SHARDS],
}

impl ConnLimiter {
    /// A place for one more of this client, unless it has `most` already.
    pub fn enter(self: &Arc<Self>, client: IpAddr, most: u32) -> Option<Permit> {
        let client = client_prefix(client);
        let mut shard = self.shard(client);
        match shard.entry(client) {
            Entry::Occupied(mut count) if *count.get() < most => *count.get_mut() += 1,
            Entry::Vacant(place) if most > 0 => _ = place.insert(1),
            Entry::Occupied(_) | Entry::Vacant(_) => return None,
        }
        drop(shard);
        Some(Permit { crowd: Arc::clone(self), client })
    }

    fn leave(&self, client: IpAddr) {
        let mut shard = self.shard(client);
        match shard.get_mut(&client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                shard.remove(&client);
            }
        }
    }

    /// The lock protects one shard's counts; no code that could panic runs under it.
    fn shard(&self, client: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        let shard = usize::try_from(self.hasher.hash_one(client) % SHARDS as u64).expect("a remainder of 16 is small");
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open exchange of a client, for as long as it lives.
#[derive(Debug)]
pub struct Permit {
    crowd: Arc<ConnLimiter>,
    client: IpAddr,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.crowd.leave(self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_has_so_many_places_and_gets_them_back() {
        let crowd = Arc::new(ConnLimiter::default());
        let first = crowd.enter(ip("192.0.2.1"), 2).unwrap();
        let second = crowd.enter(ip("192.0.2.1"), 2).unwrap();
        assert!(crowd.enter(ip("::ffff:192.0.2.1"), 2).is_none());
        assert!(crowd.enter(ip("192.0.2.2"), 2).is_some());
        drop(first);
        let third = crowd.enter(ip("192.0.2.1"), 2).unwrap();
        assert!(crowd.enter(ip("192.0.2.1"), 2).is_none());
        drop((second, third));
        assert!(crowd.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }

    #[test]
    fn ipv6_clients_count_by_their_64() {
        let crowd = Arc::new(ConnLimiter::default());
        let _place = crowd.enter(ip("2001:db8::1"), 1).unwrap();
        assert!(crowd.enter(ip("2001:db8::ffff:2"), 1).is_none());
        assert!(crowd.enter(ip("2001:db8:0:1::1"), 1).is_some());
    }
}
