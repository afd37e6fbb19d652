//! Names on demand: taken up when somebody wants them, kept while somebody asks for them, forgotten afterwards.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::on_demand_state::Granted;
use super::{ManagerState, STATE_TIMEOUT};
use crate::base::name::{HostName, Identifier};
use crate::base::time::Timestamp;
use crate::certs::catalog::Catalog;
use crate::certs::cert_cache;
use crate::certs::desired::DesiredCert;
use crate::certs::on_demand::authorizer::Wanted;
use crate::certs::on_demand::{OnDemandRules, Waiter};
use crate::certs::plan::{self, Next, Waiting};
use crate::certs::status;
use crate::config::settings::Settings;
use crate::state::pem_store::Slot;
use crate::state::schema::{Key, OnDemand};

/// Names held on demand.
const MAX_NAMES: usize = 10_000;
/// Names among them that have no certificate yet.
const PENDING: usize = 100;
/// A name that nobody asked for in so long is not renewed, and not served until somebody asks again.
const RECENT: Duration = Duration::from_secs(30 * 86_400);
/// The same for one that never got a certificate.
const RECENT_IN_VAIN: Duration = Duration::from_secs(86_400);
/// The disk learns of it no more often that somebody asked.
const A_DAY: Duration = Duration::from_secs(86_400);

impl ManagerState {
    /// The needs of names on demand under these settings; `explicit` are those of the text. Reads the journal the first
    /// time.
    pub(super) fn on_demand(&mut self, settings: &Settings, explicit: &[DesiredCert]) -> Vec<DesiredCert> {
        let now = self.clock.now();
        let desk = &mut self.demand;
        desk.demands = Arc::new(OnDemandRules::of(settings));
        if !std::mem::replace(&mut desk.restored, true) {
            for key in self.store.keys() {
                if let Key::OnDemand(slot) = &key
                    && let Some(OnDemand { name, last }) = self.store.get(&key)
                    && let Ok(name) = HostName::parse(&name)
                    && fate(true, last, last, now) != Retention::Forget
                {
                    desk.granted.insert(slot.clone(), Granted { name, noted: last, last, asked: Arc::default() });
                }
            }
        }
        let demands = &desk.demands;
        let written = |name: &HostName| explicit.iter().any(|need| need.names.contains(&Identifier::Dns(name.clone())));
        let mut needs = Vec::new();
        desk.granted.retain(|id, granted| {
            let need =
                demands.of_name(&granted.name).filter(|_| !written(&granted.name)).map(|demand| demand.need(&granted.name));
            let stays = need.as_ref().is_some_and(|need| need.id == *id);
            needs.extend(need.filter(|_| stays));
            stays
        });
        needs.sort_by(|a, b| a.id.cmp(&b.id));
        needs
    }

    /// Takes up a name that the endpoint wants.
    pub(super) async fn grant(&mut self, Wanted { name, waiters }: Wanted) {
        self.stale = true;
        let refuse = |waiters: Vec<Waiter>, words: &str| {
            waiters.into_iter().for_each(|waiter| _ = waiter.send(Err(words.into())));
        };
        let Some(need) = self.demand.demands.of_name(&name).map(|demand| demand.need(&name)) else {
            return refuse(waiters, "no site takes this name");
        };
        if !self.demand.granted.contains_key(&need.id) && !self.needs.iter().any(|known| known.id == need.id) {
            if self.demand.granted.len() >= MAX_NAMES {
                tracing::warn!(event = "on_demand_full", limit = MAX_NAMES, name = %name, "no further name is taken up on demand");
                return refuse(waiters, "as many names are held on demand as may be");
            }
            let bare = self.needs.iter().filter(|need| need.on_demand && !self.cache.contains_key(&need.id)).count();
            if bare >= PENDING {
                return refuse(waiters, "too many names wait for their certificates; try again in a moment");
            }
            self.take_up(name, need.clone()).await;
        }
        self.demand.waiters.extend(waiters.into_iter().map(|waiter| (need.id.clone(), waiter)));
    }

    async fn take_up(&mut self, name: HostName, need: DesiredCert) {
        let now = self.clock.now();
        let (store, mut rng, wanted) = (Arc::clone(&self.store), self.rng(), need.clone());
        let load = move || {
            let record = OnDemand { name: wanted.names[0].to_string(), last: now };
            // What cannot be remembered is served all the same, and asked for again after a restart.
            let _unwritten = store.put(&Key::OnDemand(wanted.id.clone()), &record);
            cert_cache::load_one(&store, &wanted, now, &mut rng)
        };
        let Some(loaded) = self.on_state("certificate-load", STATE_TIMEOUT, load).await else { return };
        tracing::info!(event = "on_demand_granted", name = %name, "the endpoint of `on-demand ask` wants this name");
        self.demand.granted.insert(need.id.clone(), Granted { name, noted: now, last: now, asked: Arc::default() });
        self.needs.push(need);
        self.take_in(vec![loaded]);
    }

    /// Tells those who wait what has become of their names; to be called when what is held is published.
    pub(super) fn answer_waiters(&mut self) {
        if self.demand.waiters.is_empty() {
            return;
        }
        let now = self.clock.now();
        for (id, waiter) in std::mem::take(&mut self.demand.waiters) {
            let need = self.needs.iter().find(|need| need.id == id);
            let answer = match need {
                None => Some(Err("it is no longer wanted".into())),
                Some(_) if self.cache.contains_key(&id) => Some(Ok(())),
                Some(need) => match plan::next(need, &self.book, now) {
                    Next::Act(_) | Next::Nothing | Next::Wait(_, Waiting::Renewal) => None,
                    Next::Wait(..) => Some(Err(status::why_coming(need, &self.book).into())),
                },
            };
            match answer {
                Some(answer) => _ = waiter.send(answer),
                None if waiter.is_closed() => (),
                None => self.demand.waiters.push((id, waiter)),
            }
        }
    }

    /// Now and then: sees which names are still asked for, and forgets the others.
    pub(super) async fn tend_on_demand(&mut self) {
        let now = self.clock.now();
        let mut writes: Vec<(Key, Option<OnDemand>)> = Vec::new();
        let mut forgotten = Vec::new();
        for (id, granted) in &mut self.demand.granted {
            if granted.asked.swap(false, Ordering::Relaxed) {
                granted.last = now;
            }
            let busy = self.book.records.get(id).is_some_and(|record| record.doing.is_some());
            match fate(self.cache.contains_key(id), granted.last, granted.noted, now) {
                Retention::Forget if !busy => forgotten.push(id.clone()),
                Retention::Note => {
                    granted.noted = granted.last;
                    let record = OnDemand { name: granted.name.to_string(), last: granted.last };
                    writes.push((Key::OnDemand(id.clone()), Some(record)));
                }
                Retention::Forget | Retention::Stay => (),
            }
        }
        for id in forgotten {
            self.forget(&id);
            writes.push((Key::OnDemand(id), None));
        }
        if !writes.is_empty() {
            for (key, record) in writes {
                record.map_or_else(|| self.store.forget(&key), |record| self.store.note(&key, &record));
            }
            let store = Arc::clone(&self.store);
            // What is not written now is written by the next tending.
            self.on_state("on-demand-note", STATE_TIMEOUT, move || store.save()).await;
        }
    }

    fn forget(&mut self, id: &Slot) {
        let Some(granted) = self.demand.granted.remove(id) else { return };
        tracing::info!(event = "on_demand_forgotten", name = %granted.name, "nobody asks for this name any more; it is not renewed");
        self.needs.retain(|need| need.id != *id);
        // How it was tried stays in the journal, so that budgets hold when somebody asks again.
        self.book.records.remove(id);
        self.stale = true;
    }

    /// The catalog with what may be asked for.
    pub(super) fn with_demands(&self, catalog: Catalog) -> Catalog {
        let desk = &self.demand;
        if desk.demands.is_empty() {
            return catalog;
        }
        let asked = desk.granted.values().map(|granted| (granted.name.as_str().into(), Arc::clone(&granted.asked))).collect();
        catalog.with_demands(Arc::clone(&desk.demands), asked)
    }
}

/// What becomes of a name on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retention {
    Stay,
    /// The disk is told that it was asked for.
    Note,
    Forget,
}

/// By when somebody asked last, and what the disk knows of that. Pure.
fn fate(held: bool, last: Timestamp, noted: Timestamp, now: Timestamp) -> Retention {
    let recent = if held { RECENT } else { RECENT_IN_VAIN };
    if now.since(last) > recent {
        Retention::Forget
    } else if last.since(noted) > A_DAY {
        Retention::Note
    } else {
        Retention::Stay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_while_somebody_asks_for_it() {
        let day = |n: u64| Timestamp::from_unix(1_795_219_200) + Duration::from_secs(n * 86_400);
        let check = |held, last, noted, now, expected| assert_eq!(fate(held, day(last), day(noted), day(now)), expected);
        check(true, 0, 0, 30, Retention::Stay);
        check(true, 0, 0, 31, Retention::Forget);
        check(true, 29, 0, 31, Retention::Note);
        check(true, 29, 29, 31, Retention::Stay);
        check(false, 0, 0, 1, Retention::Stay);
        check(false, 0, 0, 2, Retention::Forget);
    }
}
