//! What clients have used of each limit, found again when a configuration is reloaded: a limit that did not change goes on
//! counting where it was. Blocks of one site with the same limit share its count, so a site's own limit holds for all its
//! paths together.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::bans::Bans;
use super::bounded_semaphore::BoundedSemaphore;
use super::bucket::Rate;
use super::concurrency::ConnLimiter;
use super::keyed::KeyedRateLimiter;
use crate::base::addr::IpNet;
use crate::config::settings::{Ban, RequestLimit};
use crate::proxy::step::Switch;

/// The counts of one configuration.
#[derive(Debug)]
pub struct LimiterRegistry {
    /// By site; a site has few limits.
    rates: HashMap<String, Vec<(RequestLimit, Arc<KeyedRateLimiter>)>>,
    /// Messages through tunnels, by site.
    messages: HashMap<String, Vec<(Rate, Arc<KeyedRateLimiter>)>>,
    /// By site and limit.
    crowds: HashMap<(String, u32), Arc<ConnLimiter>>,
    /// Of password checks, in the whole process.
    checks: Arc<BoundedSemaphore>,
    /// Who is shut out of the whole gateway.
    bans: Option<Arc<Bans>>,
    /// What the operator's command says of each site.
    switches: HashMap<String, Arc<Switch>>,
}

/// Password checks at a time: more would take the cores from the traffic. And requests that may wait for theirs.
const CHECKS: (usize, usize) = (2, 64);

impl Default for LimiterRegistry {
    fn default() -> Self {
        Self {
            rates: HashMap::new(),
            messages: HashMap::new(),
            crowds: HashMap::new(),
            checks: Arc::new(BoundedSemaphore::new(CHECKS.0, CHECKS.1)),
            bans: None,
            switches: HashMap::new(),
        }
    }
}

impl LimiterRegistry {
    /// Nothing counted here yet; what belongs to the whole process comes from `before`.
    pub fn after(before: Option<&Self>) -> Self {
        let new = Self::default();
        Self { checks: before.map_or_else(|| Arc::clone(&new.checks), Self::checks), ..new }
    }

    /// The turns of password checks.
    pub fn checks(&self) -> Arc<BoundedSemaphore> {
        Arc::clone(&self.checks)
    }

    /// The count of a site's limit: the one that has it here, else that of `before`, else a new one.
    pub fn rates(&mut self, before: Option<&Self>, site: &str, limit: &RequestLimit, now: Instant) -> Arc<KeyedRateLimiter> {
        if let Some(rates) = self.find(site, limit) {
            return rates;
        }
        let rates = before.and_then(|before| before.find(site, limit)).unwrap_or_else(|| {
            let rate = Rate::new(limit.count, limit.per, limit.burst);
            Arc::new(KeyedRateLimiter::new(rate, now))
        });
        self.rates.entry(site.to_owned()).or_default().push((limit.clone(), Arc::clone(&rates)));
        rates
    }

    /// As [`Self::rates`], for messages through tunnels.
    pub fn messages(&mut self, before: Option<&Self>, site: &str, rate: Rate, now: Instant) -> Arc<KeyedRateLimiter> {
        let find =
            |kept: &Self| kept.messages.get(site)?.iter().find(|(known, _)| *known == rate).map(|(_, counts)| Arc::clone(counts));
        if let Some(counts) = find(self) {
            return counts;
        }
        let counts = before.and_then(find).unwrap_or_else(|| Arc::new(KeyedRateLimiter::new(rate, now)));
        self.messages.entry(site.to_owned()).or_default().push((rate, Arc::clone(&counts)));
        counts
    }

    /// Who is shut out: those of `before` where the rule is the same.
    pub fn shut_out(&mut self, before: Option<&Self>, rule: &Ban, spared: &[IpNet], now: Instant) -> Arc<Bans> {
        let known = before.and_then(|before| before.bans.as_ref()).filter(|bans| bans.is_of(rule, spared));
        let bans = known.map_or_else(|| Arc::new(Bans::new(rule.clone(), spared.to_vec(), now)), Arc::clone);
        self.bans = Some(Arc::clone(&bans));
        bans
    }

    /// The switch of a site, over reloads.
    pub fn switch(&mut self, before: Option<&Self>, site: &str) -> Arc<Switch> {
        if let Some(known) = self.switches.get(site) {
            return Arc::clone(known);
        }
        let switch = before.and_then(|before| before.switches.get(site)).map_or_else(Arc::default, Arc::clone);
        self.switches.insert(site.to_owned(), Arc::clone(&switch));
        switch
    }

    fn find(&self, site: &str, limit: &RequestLimit) -> Option<Arc<KeyedRateLimiter>> {
        self.rates.get(site)?.iter().find(|(known, _)| known == limit).map(|(_, rates)| Arc::clone(rates))
    }

    /// As [`Self::rates`], for exchanges at a time.
    pub fn crowd(&mut self, before: Option<&Self>, site: &str, most: u32) -> Arc<ConnLimiter> {
        let key = (site.to_owned(), most);
        let known = || before.and_then(|before| before.crowds.get(&key)).map_or_else(Arc::default, Arc::clone);
        let crowd = self.crowds.get(&key).map_or_else(known, Arc::clone);
        self.crowds.insert(key, Arc::clone(&crowd));
        crowd
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::settings::LimitKey;

    fn limit(count: u32) -> RequestLimit {
        RequestLimit { count, per: Duration::from_secs(60), burst: 0, by: LimitKey::Ip }
    }

    #[test]
    fn an_unchanged_limit_goes_on_counting_and_a_changed_one_begins_anew() {
        let now = Instant::now();
        let mut before = LimiterRegistry::default();
        assert!(before.rates(None, "a.test", &limit(1), now).take("c", now).is_ok());
        let mut after = LimiterRegistry::default();
        let mut free = |site: &str, count| after.rates(Some(&before), site, &limit(count), now).take("c", now).is_ok();
        assert!(!free("a.test", 1));
        assert!(free("a.test", 2));
        assert!(free("b.test", 1));
        assert!(!free("b.test", 1), "the blocks of a site share it");
    }

    #[test]
    fn messages_are_counted_over_the_blocks_of_a_site_and_over_a_reload() {
        let (now, rate) = (Instant::now(), Rate::new(1, Duration::from_secs(60), 0));
        let mut before = LimiterRegistry::default();
        assert!(before.messages(None, "a.test", rate, now).take("c", now).is_ok());
        assert!(before.messages(None, "a.test", rate, now).take("c", now).is_err(), "another block of the site");
        let mut after = LimiterRegistry::default();
        assert!(after.messages(Some(&before), "a.test", rate, now).take("c", now).is_err());
        assert!(after.messages(Some(&before), "b.test", rate, now).take("c", now).is_ok());
    }

    #[test]
    fn open_exchanges_are_counted_over_a_reload() {
        let client = "192.0.2.1".parse().unwrap();
        let mut before = LimiterRegistry::default();
        let _place = before.crowd(None, "a.test", 1).enter(client, 1).unwrap();
        let mut after = LimiterRegistry::default();
        assert!(after.crowd(Some(&before), "a.test", 1).enter(client, 1).is_none());
        assert!(after.crowd(Some(&before), "b.test", 1).enter(client, 1).is_some());
    }
}
