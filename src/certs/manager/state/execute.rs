//! Performing the plan, and taking in what came of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::super::events;
use super::super::local_issuers::{self, FilesRead, FilesRefused};
use super::{ManagerState, STATE_TIMEOUT};
use crate::base::error_chain::ErrorChain;
use crate::base::task::{self, NoResult};
use crate::base::time::Timestamp;
use crate::certs::alert;
use crate::certs::challenge::dns01::cleanup;
use crate::certs::desired::{Authority, DesiredCert, Source};
use crate::certs::inventory::{Blame, Doing, Failure, Outcome, Parts};
use crate::certs::issuer::files;
use crate::certs::order_task::{self, OrderResult, OrderTask, Reporter};
use crate::certs::plan::{self, Action};
use crate::certs::preflight::clock;
use crate::state::history::Ended;
use crate::state::pem_store::Slot;
use crate::state::schema::{IssuerMemory, Key, LastError};
use crate::state::slug::Slug;

/// For certificate files, all that are looked at in one go; the loop over certificates waits for them.
const FILES_TIMEOUT: Duration = Duration::from_secs(5);

/// A step of the plan, free of what it was planned from.
enum Step {
    Issue(DesiredCert, Authority),
    /// At the second, for the first.
    Rehearse(DesiredCert, Authority, Authority),
    Make(DesiredCert),
    Ask(DesiredCert, Authority),
    Look(DesiredCert, Authority),
}

impl ManagerState {
    /// Plans and begins what is due. Returns how long to sleep if nothing happens.
    pub(super) async fn act(&mut self) -> Duration {
        let (steps, wake) = self.due();
        if self.needs_local(&steps) {
            let prepared = self.on_state("local-authority", STATE_TIMEOUT, self.local.preparation(&self.store, self.clock.now()));
            let prepared = prepared.await;
            self.local.take(prepared);
        }
        self.perform(steps, wake)
    }

    /// As [`ManagerState::act`], at the start. Blocks.
    pub(super) fn act_at_once(&mut self) {
        let (steps, wake) = self.due();
        if self.needs_local(&steps) {
            let prepared = self.local.preparation(&self.store, self.clock.now())();
            self.local.take(Some(prepared));
        }
        self.perform(steps, wake);
    }

    fn needs_local(&self, steps: &[Step]) -> bool {
        steps.iter().any(|step| matches!(step, Step::Make(_))) && !self.local.is_ready(self.clock.now())
    }

    /// What is due, and when the plan is to be made again.
    fn due(&mut self) -> (Vec<Step>, Timestamp) {
        let now = self.clock.now();
        if now < plan::EARLIEST && !self.clock_told {
            events::wrong_clock(now);
            self.alarms.clock(&format!("it says {now}, when this program did not exist; nothing is ordered"), now);
        }
        self.clock_told = now < plan::EARLIEST;
        self.stale |= self.book.trust_the_clock(now);
        let plan = plan::plan(&self.needs, &self.book, now);
        let wake = plan.wake;
        let steps: Vec<Step> = plan.actions.iter().map(Step::of).collect();
        self.stale |= !steps.is_empty();
        self.workers.retain(|worker| !worker.is_finished());
        (steps, wake)
    }

    fn perform(&mut self, steps: Vec<Step>, wake: Timestamp) -> Duration {
        for step in steps {
            match step {
                Step::Make(need) => self.make(&need),
                Step::Issue(need, from) if self.ordering_allowed => self.issue(need, from, None),
                Step::Rehearse(need, of, at) if self.ordering_allowed => self.issue(need, at, Some(of.issuer)),
                Step::Ask(need, from) if self.ordering_allowed => self.ask(need, &from),
                Step::Look(need, from) if self.ordering_allowed => self.look(need, &from),
                Step::Issue(..) | Step::Rehearse(..) | Step::Ask(..) | Step::Look(..) => (),
            }
        }
        self.sleep(wake)
    }

    /// Orders, or rehearses an order for the authority `of`.
    fn issue(&mut self, need: DesiredCert, from: Authority, of: Option<Slug>) {
        let (id, issuer) = (need.id.clone(), from.issuer.clone());
        let record = self.book.records.entry(id.clone()).or_default();
        let same = record.held.as_ref().is_some_and(|held| held.issuer == issuer);
        let task = OrderTask {
            memory: record.memory.clone(),
            replaces: self.cache.get(&id).filter(|_| same).and_then(|shelved| shelved.bundle.renewal_id()).map(str::to_owned),
            account: self.authorities.account(
                &from,
                self.email.as_deref(),
                &self.store,
                &self.clock,
                self.book.issuers.get(&issuer),
            ),
            store: Arc::clone(&self.store),
            board: Arc::clone(&self.board),
            ports: self.ports,
            clock: Arc::clone(&self.clock),
            need,
            from,
            rehearsal: of.is_some(),
        };
        let doing = match of {
            Some(of) => Doing::Rehearsing { at: issuer.clone(), of },
            None => Doing::Issuing(issuer.clone()),
        };
        self.book.begin(&id, doing);
        let report = Reporter::new(self.report_to.clone(), id, issuer, false);
        self.workers.push(task::spawn_local("certificate-order", order_task::obtain(task, report)));
    }

    /// Looks whether what failed at a validation is in order.
    fn look(&mut self, need: DesiredCert, from: &Authority) {
        self.book.begin(&need.id, Doing::Looking(from.issuer.clone()));
        let (account, way_in) = (self.account_at(from), (self.ports, Arc::clone(&self.board)));
        let (acme, now) = (Arc::clone(&from.acme), self.clock.now());
        let report = Reporter::of_look(self.report_to.clone(), need.id.clone(), from.issuer.clone());
        self.workers.push(task::spawn_local("failure-recheck", order_task::look(need, acme, account, way_in, now, report)));
    }

    fn ask(&mut self, need: DesiredCert, from: &Authority) {
        let certificate = self.cache.get(&need.id).and_then(|shelved| shelved.bundle.renewal_id()).map(str::to_owned);
        let Some(certificate) = certificate else {
            let mut rng = self.rng();
            self.book.settle(&need.id, Outcome::WindowUnknown(None), self.clock.now(), &mut rng);
            return;
        };
        self.book.begin(&need.id, Doing::Asking(from.issuer.clone()));
        let limit = self.patience(&need.id);
        let account = self.account_at(from);
        let report = Reporter::new(self.report_to.clone(), need.id, from.issuer.clone(), true);
        self.workers.push(task::spawn_local("renewal-window", order_task::ask_window(account, certificate, limit, report)));
    }

    /// How long an authority may take over a question: not past the moment at which the certificate is renewed without it.
    fn patience(&self, id: &Slot) -> Duration {
        let renewal = self.book.records.get(id).and_then(|record| record.memory.renewal.as_ref());
        let left = renewal.map_or(Duration::ZERO, |renewal| renewal.renew_at.since(self.clock.now()));
        left.clamp(Duration::from_secs(1), order_task::ARI_TIMEOUT)
    }

    /// A leaf of the local authority: made on the spot, in a few milliseconds.
    fn make(&mut self, need: &DesiredCert) {
        let (now, mut rng) = (self.clock.now(), self.rng());
        let outcome = match self.local.make(need, now) {
            Ok(shelved) => {
                let held = shelved.held(&need.id.issuer);
                self.cache.insert(need.id.clone(), shelved);
                self.metrics.certs.made.add_one();
                tracing::debug!(event = "certificate_made", name = need.title(), not_after = %held.validity.not_after, "{}: the local authority issued a certificate", need.title());
                Outcome::Issued(held)
            }
            Err(words) => {
                let (issuer, parts) = (need.id.issuer.clone(), Parts::default());
                let failure = Failure { issuer, blame: Blame::LocalAddrs, ended: Ended::NoOrder, words, parts };
                self.metrics.certs.failed.add_one();
                Outcome::Failed(failure)
            }
        };
        self.book.settle(&need.id, outcome.clone(), now, &mut rng);
        if let (Outcome::Failed(failure), Some(record)) = (&outcome, self.book.records.get(&need.id)) {
            events::failed(need, failure, record);
        }
    }

    /// A worker's report: settle, shelve, store, publish, tell. The certificate itself is in the vault already.
    pub(super) async fn take(&mut self, done: OrderResult) {
        let OrderResult { id, outcome, tried, shelved, warning, reading } = done;
        let (now, mut rng) = (self.clock.now(), self.rng());
        let renewal = self.cache.contains_key(&id);
        if let Some(shelved) = shelved {
            self.cache.insert(id.clone(), shelved);
        }
        let asked = self.book.records.get(&id).and_then(|record| record.doing.as_ref()).map(|doing| doing.issuer().clone());
        if let Some(tried) = tried {
            let memory = &mut self.book.records.entry(id.clone()).or_default().memory;
            (memory.history, memory.worked) = (tried.history, tried.worked);
            if let (Some(issuer), Some((limit, bucket))) = (&asked, tried.bucket) {
                self.book.count(issuer, limit, bucket, now);
            }
        }
        let recalled = self.is_recalled(&id, &outcome, now);
        self.book.settle(&id, outcome.clone(), now, &mut rng);
        let wrong_clock = reading.and_then(clock::wrong);
        if let Some(difference) = &wrong_clock {
            self.book.explain_doubt(&id, difference);
        }
        // PreOrderCheck the journal: a disk that is slow or full must not keep a good certificate from being served.
        self.publish();
        self.count(&outcome, renewal);
        if let Some(issuer) = &asked {
            self.note_quiet(issuer, now);
        }
        self.remember(&id, asked.as_ref()).await;
        let (need, record) = (self.needs.iter().find(|need| need.id == id), self.book.records.get(&id));
        let (Some(need), Some(record)) = (need, record) else { return };
        match &outcome {
            Outcome::Issued(held) => {
                events::issued(need, held, record, warning.as_deref());
                if let Some(words) = record.memory.last_error.as_ref().map(|doubt| &doubt.words).or(wrong_clock.as_ref()) {
                    events::doubtful_clock(need, words);
                    self.alarms.clock(words, now);
                }
                if let Some(shelved) = self.cache.get(&id) {
                    self.hooks.issued(self.store.vault(), need, shelved);
                }
            }
            Outcome::Failed(failure) => events::failed(need, failure, record),
            Outcome::Rehearsed => events::rehearsed(need),
            Outcome::Window(..) if recalled => {
                events::recalled(need);
                self.alarms.recalled(need, now);
            }
            Outcome::Looked(_) => {
                if record.recheck.is_none() {
                    events::repaired(need);
                }
            }
            Outcome::Window(..) | Outcome::WindowUnknown(_) => (),
        }
    }

    /// What the authority asked for on the way is kept with what is known of it.
    fn note_quiet(&mut self, issuer: &Slug, now: Timestamp) {
        let quiet = self.authorities.quiet(issuer, now);
        match self.book.issuers.get_mut(issuer) {
            Some(memory) => memory.quiet = quiet,
            None if quiet.is_empty() => (),
            None => _ = self.book.issuers.insert(issuer.clone(), IssuerMemory { quiet, ..IssuerMemory::default() }),
        }
    }

    /// Whether the authority calls the certificate held back.
    fn is_recalled(&self, id: &Slot, outcome: &Outcome, now: Timestamp) -> bool {
        let renewal = self.book.records.get(id).and_then(|record| record.memory.renewal.as_ref());
        matches!((renewal, outcome), (Some(before), Outcome::Window(Some(window), _)) if alert::is_recall(before, *window, now))
    }

    /// Puts what is known into the journal. What a journal that refuses or hangs has not written is in memory, and is written by
    /// the next tending.
    pub(super) async fn remember(&self, id: &Slot, issuer: Option<&Slug>) {
        if let Some(record) = self.book.records.get(id) {
            self.store.note(&Key::Need(id.clone()), &record.memory);
        }
        if let Some((issuer, memory)) = issuer.and_then(|issuer| Some((issuer, self.book.issuers.get(issuer)?.clone()))) {
            // The bucket is counted by those who make the orders.
            let keep = |known: &mut IssuerMemory| *known = IssuerMemory { bucket: known.bucket, ..memory };
            self.store.amend(&Key::Issuer(issuer.clone()), keep);
        }
        let store = Arc::clone(&self.store);
        if let Some(Err(error)) = self.on_state("journal-write", STATE_TIMEOUT, move || store.save()).await {
            tracing::debug!(event = "journal_behind", error = %ErrorChain(&error), "the journal is behind, and is written again with the next change");
        }
    }

    fn count(&self, outcome: &Outcome, renewal: bool) {
        let metrics = &self.metrics.certs;
        match outcome {
            Outcome::Issued(_) => {
                metrics.issued.add_one();
                metrics.renewed.add(u64::from(renewal));
            }
            Outcome::Failed(_) => metrics.failed.add_one(),
            Outcome::Rehearsed | Outcome::Window(..) | Outcome::WindowUnknown(_) | Outcome::Looked(_) => (),
        }
    }

    /// Looks at the certificate files, and reads those that changed and hold still. One job for all looks: a job for each
    /// would cost ten times what the looks themselves do.
    pub(super) async fn look_at_files(&mut self) {
        let places: Vec<_> =
            self.needs_of_files().map(|(need, chain, key)| (need.id.clone(), chain.clone(), key.clone())).collect();
        if places.is_empty() {
            return;
        }
        if self.files_slot.is_busy() {
            return;
        }
        let look = move || places.into_iter().map(|(id, chain, key)| (id, files::look(&chain, &key))).collect::<Vec<_>>();
        let Some(looks) = self.on_disk("files-look", look).await else { return };
        for (id, stamp) in looks {
            if !self.sees(&id, stamp) {
                continue;
            }
            let Some(need) = self.needs.iter().find(|need| need.id == id).cloned() else { continue };
            let (now, nothing_held, wanted) = (self.clock.now(), !self.cache.contains_key(&id), need.clone());
            let read = self.on_disk("files-read", move || local_issuers::read_files(&wanted, nothing_held, now)).await;
            self.take_files(&need, read.unwrap_or_else(|| Err(FilesRefused::unanswered())));
            self.stale = true;
        }
    }

    /// Reads or looks at files that are not ours, which may lie where nothing answers; renewals do not wait for that.
    async fn on_disk<T: Send + 'static>(&self, name: &'static str, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        match self.files_slot.run(name, FILES_TIMEOUT, work).await {
            Ok(done) => Some(done),
            Err(NoResult::TimedOut) => {
                tracing::warn!(
                    event = "certificate_files_unanswered",
                    "the file system of certificate files does not answer; what is served stays in service"
                );
                None
            }
            Err(NoResult::Panicked) => None,
        }
    }

    /// As [`ManagerState::look_at_files`], at the start. Blocks.
    pub(super) fn look_at_files_at_once(&mut self) {
        let looks: Vec<_> = self.needs_of_files().map(|(need, chain, key)| (need.clone(), files::look(chain, key))).collect();
        for (need, stamp) in looks {
            if self.sees(&need.id, stamp) {
                let read = local_issuers::read_files(&need, true, self.clock.now());
                self.take_files(&need, read);
            }
        }
    }

    /// Whether the files behind this stamp are to be read.
    fn sees(&mut self, id: &Slot, stamp: files::FileVersion) -> bool {
        let now = self.clock.now();
        match self.watches.get_mut(id) {
            Some(watch) => watch.sees(stamp, now),
            None => self.watches.entry(id.clone()).or_default().sees(stamp, now),
        }
    }

    /// Takes away the DNS records that an earlier process left behind.
    pub(super) fn sweep_records(&self) {
        let mut authorities = BTreeMap::new();
        for need in &self.needs {
            let Source::Acme(all) = &need.source else { continue };
            let rehearsals: Vec<Authority> = all.iter().filter_map(Authority::rehearsal).collect();
            for authority in all.iter().chain(&rehearsals).filter(|authority| authority.acme.dns.is_some()) {
                authorities.insert(authority.issuer.clone(), Arc::clone(&authority.acme));
            }
        }
        let (store, board, clock) = (Arc::clone(&self.store), Arc::clone(&self.board), Arc::clone(&self.clock));
        task::spawn_local("dns-records-sweep", cleanup::sweep(store, board, authorities, clock));
    }

    fn needs_of_files(&self) -> impl Iterator<Item = (&DesiredCert, &PathBuf, &PathBuf)> {
        self.needs.iter().filter_map(|need| local_issuers::files_of(need).map(|(chain, key)| (need, chain, key)))
    }

    fn take_files(&mut self, need: &DesiredCert, read: Result<FilesRead, FilesRefused>) {
        let (now, mut rng) = (self.clock.now(), self.rng());
        match read {
            Ok(FilesRead { shelved, warning }) => {
                let held = shelved.held(&need.id.issuer);
                events::files_taken(need, &held, warning.as_deref());
                self.cache.insert(need.id.clone(), shelved);
                self.book.settle(&need.id, Outcome::Issued(held), now, &mut rng);
                self.metrics.certs.files_taken.add_one();
                self.watches.entry(need.id.clone()).or_default().succeeded();
            }
            Err(FilesRefused { words, remedy, right_from }) => {
                self.watches.entry(need.id.clone()).or_default().failed(right_from);
                let last_error = &mut self.book.records.entry(need.id.clone()).or_default().memory.last_error;
                // The same again, found by a retry, is no news.
                if last_error.as_ref().is_none_or(|last| last.words != words) {
                    events::files_refused(need, &words, remedy.as_deref(), self.cache.contains_key(&need.id));
                    self.metrics.certs.files_refused.add_one();
                }
                *last_error = Some(LastError { at: now, words, remedy });
            }
        }
    }
}

impl Step {
    fn of(action: &Action<'_>) -> Self {
        match action {
            Action::Issue { need, from, .. } => Self::Issue((*need).clone(), (*from).clone()),
            Action::Rehearse { need, of, at, .. } => Self::Rehearse((*need).clone(), (*of).clone(), at.clone()),
            Action::Make { need, .. } => Self::Make((*need).clone()),
            Action::AskWindow { need, from } => Self::Ask((*need).clone(), (*from).clone()),
            Action::Look { need, from } => Self::Look((*need).clone(), (*from).clone()),
        }
    }
}
