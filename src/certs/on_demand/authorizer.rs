//! Stands between handshakes and the manager: asks the endpoint, remembers what it said, and lets only wanted names through.
//! A flood of made-up names ends here; the manager's loop never hears of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::mpsc::{self, Receiver, UnboundedReceiver, UnboundedSender};
use tokio::time::Instant;

use super::ask::{Decision, ask};
use super::decisions::Decisions;
use super::{OnDemandRequest, Waiter};
use crate::base::name::HostName;
use crate::base::task;
use crate::certs::catalog::Catalog;
use crate::telemetry::log_rate_limit::LogRateLimit;

/// Questions to the endpoint at a time.
const ASKING: usize = 32;
/// Lines a second about an endpoint that gives no answer.
const LINES: u32 = 1;

/// A name that is wanted, and who waits for it.
pub(in crate::certs) struct Wanted {
    pub(in crate::certs) name: HostName,
    pub(in crate::certs) waiters: Vec<Waiter>,
}

/// See the module.
pub(in crate::certs) struct OnDemandAuthorizer {
    catalog: Arc<ArcSwap<Catalog>>,
    manager: UnboundedSender<Wanted>,
    asking: BTreeMap<HostName, Vec<Waiter>>,
    verdicts: Decisions,
    answer_to: UnboundedSender<(HostName, Decision)>,
    answers: UnboundedReceiver<(HostName, Decision)>,
    throttle: LogRateLimit,
    started: Instant,
}

impl OnDemandAuthorizer {
    /// One that tells `manager` what is wanted.
    pub(in crate::certs) fn new(catalog: Arc<ArcSwap<Catalog>>, manager: UnboundedSender<Wanted>) -> Self {
        let (answer_to, answers) = mpsc::unbounded_channel();
        Self {
            catalog,
            manager,
            asking: BTreeMap::new(),
            verdicts: Decisions::default(),
            answer_to,
            answers,
            throttle: LogRateLimit::new(LINES),
            started: Instant::now(),
        }
    }

    /// Works until nobody can knock any more.
    pub(in crate::certs) async fn stand(mut self, mut inbox: Receiver<OnDemandRequest>) {
        loop {
            tokio::select! {
                knock = inbox.recv() => match knock {
                    Some(OnDemandRequest { name, waiter }) => self.knocked(name, waiter),
                    None => return,
                },
                Some((name, verdict)) = self.answers.recv() => self.answered(&name, &verdict),
            }
        }
    }

    fn knocked(&mut self, name: HostName, waiter: Option<Waiter>) {
        match self.verdicts.of(&name, Instant::now()) {
            Some(Ok(())) if waiter.is_some() => self.pass(name, waiter.into_iter().collect()),
            Some(Ok(())) => (),
            Some(Err(words)) => tell(waiter, &words),
            None => match self.asking.get_mut(&name) {
                Some(waiters) => waiters.extend(waiter),
                None => self.ask(name, waiter),
            },
        }
    }

    fn ask(&mut self, name: HostName, waiter: Option<Waiter>) {
        if self.asking.len() >= ASKING {
            return tell(waiter, &"too many names are being asked for; try again in a moment".into());
        }
        let catalog = self.catalog.load();
        let Some(demand) = catalog.demands().and_then(|demands| demands.of_name(&name)) else {
            return tell(waiter, &"no site takes this name".into());
        };
        let (url, asked, answer_to) = (Arc::clone(&demand.ask), name.clone(), self.answer_to.clone());
        self.asking.insert(name, waiter.into_iter().collect());
        task::spawn_local("on-demand ask", async move {
            let verdict = ask(&url, &asked).await;
            let _ended = answer_to.send((asked, verdict));
        });
    }

    fn answered(&mut self, name: &HostName, verdict: &Decision) {
        let waiters = self.asking.remove(name).unwrap_or_default();
        if let Decision::Silent(words) = verdict
            && self.throttle.admit(self.started.elapsed().as_secs()).is_some()
        {
            let remedy = "look after the endpoint of `on-demand ask`; certificates that are held are served meanwhile";
            tracing::warn!(event = "on_demand_ask_failed", name = %name, reason = %words, remedy, "whether {name} is wanted is not known: {words}; {remedy}");
        }
        match self.verdicts.note(name, verdict, Instant::now()) {
            Ok(()) => self.pass(name.clone(), waiters),
            Err(words) => waiters.into_iter().for_each(|waiter| tell(Some(waiter), &words)),
        }
    }

    fn pass(&self, name: HostName, waiters: Vec<Waiter>) {
        let _ended = self.manager.send(Wanted { name, waiters });
    }
}

/// Somebody who left is not told.
fn tell(waiter: Option<Waiter>, words: &Arc<str>) {
    if let Some(waiter) = waiter {
        let _left = waiter.send(Err(Arc::clone(words)));
    }
}
