//! Clients that are shut out for a while, because they were refused more often than `ban` allows. Shared by all workers;
//! the table never grows beyond a bound, and costs one relaxed read while nobody is in it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::bucket::Rate;
use super::keyed::KeyedRateLimiter;
use crate::base::addr::{IpNet, client_prefix};
use crate::config::settings::Ban;

/// Tables apart, so that two workers seldom meet at one lock.
const SHARDS: usize = 16;
/// Most clients in each: 65,536 in all, in about 4 MiB.
const MAX_BANNED: usize = 4096;

/// See the module.
#[derive(Debug)]
pub struct Bans {
    rule: Ban,
    /// Who is never shut out: those that `ban` excepts, and proxies that speak for others.
    spared: Vec<IpNet>,
    rates: KeyedRateLimiter,
    /// Clients in the table; some of them may be due to leave it.
    count: AtomicUsize,
    /// Keyed by chance, so that nobody can choose addresses that share a table.
    hasher: RandomState,
    shards: [Mutex<HashMap<IpAddr, Instant>>; SHARDS],
}

impl Bans {
    /// Nobody is shut out yet; `now` is any moment before the first request.
    pub fn new(rule: Ban, spared: Vec<IpNet>, now: Instant) -> Self {
        // The last of so many finds the bucket empty; the language wants at least two.
        let rate = Rate::new(rule.refusals, rule.within, rule.refusals.saturating_sub(2));
        let rates = KeyedRateLimiter::new(rate, now);
        Self { rule, spared, rates, count: AtomicUsize::new(0), hasher: RandomState::new(), shards: Default::default() }
    }

    /// Whether it is made of these.
    pub fn is_of(&self, rule: &Ban, spared: &[IpNet]) -> bool {
        self.rule == *rule && self.spared == spared
    }

    /// How long a client stays out.
    pub const fn span(&self) -> Duration {
        self.rule.span
    }

    /// Whether `client` is shut out. IPv6 counts by /64.
    pub fn is_out(&self, client: IpAddr, now: Instant) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let client = client_prefix(client);
        let mut shard = self.shard(client);
        match shard.get(&client) {
            Some(until) if *until > now => true,
            Some(_) => {
                shard.remove(&client);
                self.count.fetch_sub(1, Ordering::Relaxed);
                false
            }
            None => false,
        }
    }

    /// Counts a refusal of `client`, and says whether it was the one too many, which shuts it out.
    pub fn refused(&self, client: IpAddr, now: Instant) -> bool {
        let prefix = client_prefix(client);
        if self.spared.iter().any(|net| net.contains(&client)) || self.rates.take(prefix, now).is_ok() {
            return false;
        }
        let mut shard = self.shard(prefix);
        if shard.len() >= MAX_BANNED && !shard.contains_key(&prefix) {
            let before = shard.len();
            shard.retain(|_, until| *until > now);
            // Still full: the one that would leave first makes room, so that the newest attacker is never the one spared.
            if shard.len() >= MAX_BANNED
                && let Some(first) = shard.iter().min_by_key(|(_, until)| **until).map(|(client, _)| *client)
            {
                shard.remove(&first);
            }
            self.count.fetch_sub(before - shard.len(), Ordering::Relaxed);
        }
        let news = shard.insert(prefix, now + self.rule.span).is_none();
        if news {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        news
    }

    /// Those that are shut out, and for how long yet; at most so many.
    pub fn out(&self, now: Instant, most: usize) -> Vec<(IpAddr, Duration)> {
        let mut out = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            let left = shard.iter().filter(|(_, until)| **until > now).map(|(client, until)| (*client, *until - now));
            out.extend(left.take(most - out.len()));
        }
        out
    }

    /// Lets one client in again, or all, and forgets what they were refused for; how many were out.
    pub fn let_in(&self, client: Option<IpAddr>, now: Instant) -> usize {
        let mut freed = 0;
        let mut take = |shard: &mut HashMap<IpAddr, Instant>, wanted: &dyn Fn(&IpAddr) -> bool| {
            for (client, until) in shard.extract_if(|client, _| wanted(client)) {
                self.rates.forget(client);
                self.count.fetch_sub(1, Ordering::Relaxed);
                freed += usize::from(until > now);
            }
        };
        match client.map(client_prefix) {
            Some(client) => take(&mut self.shard(client), &|known| *known == client),
            None => self.shards.iter().for_each(|shard| take(&mut lock(shard), &|_| true)),
        }
        freed
    }

    fn shard(&self, client: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        let shard = usize::try_from(self.hasher.hash_one(client) % SHARDS as u64).expect("a remainder of 16 is small");
        lock(&self.shards[shard])
    }
}

/// The lock protects one table; no code that could panic runs under it.
fn lock(shard: &Mutex<HashMap<IpAddr, Instant>>) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bans(refusals: u32, spared: &[&str]) -> (Bans, Instant) {
        let now = Instant::now();
        let rule = Ban { refusals, within: Duration::from_secs(60), span: Duration::from_secs(600), except: Vec::new() };
        (Bans::new(rule, spared.iter().map(|net| net.parse().unwrap()).collect(), now), now)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_refusal_of_so_many_shuts_out_and_time_lets_in_again() {
        let (bans, now) = bans(3, &[]);
        let client = ip("192.0.2.1");
        assert!(!bans.refused(client, now) && !bans.refused(client, now) && !bans.is_out(client, now));
        assert!(bans.refused(client, now));
        assert!(!bans.refused(client, now), "it is out already");
        assert!(bans.is_out(client, now) && !bans.is_out(ip("192.0.2.2"), now));
        assert_eq!(bans.out(now, 9), [(client, Duration::from_secs(600))]);
        let later = now + Duration::from_secs(601);
        assert!(!bans.is_out(client, later));
        assert_eq!(bans.count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn who_is_refused_now_and_then_stays() {
        let (bans, now) = bans(3, &[]);
        for minute in 0..100 {
            let now = now + Duration::from_secs(60 * minute);
            assert!(!bans.refused(ip("192.0.2.1"), now) && !bans.refused(ip("192.0.2.1"), now + Duration::from_secs(1)));
        }
    }

    #[test]
    fn who_is_spared_is_never_shut_out_and_a_64_counts_as_one() {
        let (bans, now) = bans(2, &["10.0.0.0/8"]);
        for _ in 0..10 {
            assert!(!bans.refused(ip("10.1.1.1"), now));
        }
        bans.refused(ip("2001:db8::1"), now);
        assert!(bans.refused(ip("2001:db8::2"), now));
        assert!(bans.is_out(ip("2001:db8::ffff"), now) && !bans.is_out(ip("2001:db8:0:1::1"), now));
    }

    #[test]
    fn who_is_let_in_again_begins_anew() {
        let (bans, now) = bans(2, &[]);
        let (one, other) = (ip("192.0.2.1"), ip("2001:db8::1"));
        for client in [one, other] {
            bans.refused(client, now);
            assert!(bans.refused(client, now));
        }
        assert_eq!(bans.let_in(Some(ip("192.0.2.9")), now), 0);
        assert_eq!(bans.let_in(Some(one), now), 1);
        assert!(!bans.is_out(one, now) && bans.is_out(other, now));
        assert!(!bans.refused(one, now), "one refusal is not two");
        assert!(bans.refused(one, now));
        assert_eq!(bans.let_in(Some(ip("2001:db8::7")), now), 1, "a /64 is one client");
        assert_eq!((bans.let_in(None, now), bans.let_in(None, now)), (1, 0));
        assert_eq!(bans.count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_table_has_a_bound() {
        let (bans, now) = bans(2, &[]);
        for number in 0..100_000_u32 {
            let client = IpAddr::from(number.to_be_bytes());
            bans.refused(client, now);
            assert!(bans.refused(client, now) && bans.is_out(client, now));
        }
        assert!(bans.count.load(Ordering::Relaxed) <= SHARDS * MAX_BANNED);
        assert!(bans.out(now, usize::MAX).len() <= SHARDS * MAX_BANNED);
    }
}
