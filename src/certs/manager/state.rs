//! The manager at work: what it owns, and its loop. What it does in each turn is told in the files below.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::alert_state::AlertState;
use super::authorities::Authorities;
use super::handle::CertManagerHandle;
use super::hooks::Hooks;
use super::local_issuers::{self, LocalIssuers};
use super::operation::{Command, OperationResult};
use crate::base::rng::Rng;
use crate::base::task::{self, BlockingSlot};
use crate::base::time::{Clock, Timestamp};
use crate::certs::catalog::Catalog;
use crate::certs::cert_cache::CertCache;
use crate::certs::challenge::ChallengeBoard;
use crate::certs::desired::{Authority, DesiredCert};
use crate::certs::inventory::Inventory;
use crate::certs::issuer::account::AcmeAccount;
use crate::certs::issuer::files::{self, Watch};
use crate::certs::on_demand::authorizer::Wanted;
use crate::certs::order_task::OrderResult;
use crate::certs::preflight::PublicPorts;
use crate::certs::status::NameStatus;
use crate::config::defaults;
use crate::config::settings::Acme;
use crate::state::finding::Finding;
use crate::state::pem_store::Slot;
use crate::state::store::Store;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::metrics::certs::CertMetrics;

mod execute;
mod maintenance;
mod on_demand;
mod on_demand_state;
mod operations;
mod publish;
mod reconfigure;
mod steady;

use on_demand_state::OnDemandState;
use steady::Steady;

/// Everything the manager owns.
pub(super) struct ManagerState {
    needs: Vec<DesiredCert>,
    book: Inventory,
    cache: CertCache,
    watches: BTreeMap<Slot, Watch>,
    /// Where certificate files are read; at most one thread of it hangs.
    files_slot: BlockingSlot,
    /// Where the state folder is read and written for this loop; at most one thread of it hangs.
    state_slot: BlockingSlot,
    /// A look after the state folder that has not come back yet.
    late: Option<Upkeep>,
    /// Accounts whose files are looked after.
    accounts: Option<JoinHandle<Option<()>>>,
    /// The state folder did not answer when certificates were to be loaded.
    unloaded: bool,
    local: LocalIssuers,
    authorities: Authorities,
    hooks: Hooks,
    email: Option<String>,
    /// How authorities are dealt with where no site says otherwise.
    acme: Arc<Acme>,
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    rng: Rng,
    catalog: Arc<ArcSwap<Catalog>>,
    board: Arc<ChallengeBoard>,
    /// Where authorities come in.
    ports: PublicPorts,
    status: Arc<ArcSwap<Vec<NameStatus>>>,
    report_to: UnboundedSender<OrderResult>,
    reports: UnboundedReceiver<OrderResult>,
    /// Authorities' answers to errands that change what is known.
    answered: (UnboundedSender<OperationResult>, UnboundedReceiver<OperationResult>),
    /// Orders and questions under way.
    workers: Vec<JoinHandle<Option<()>>>,
    /// Authorities may be asked.
    ordering_allowed: bool,
    tended: Instant,
    /// That the clock is plainly wrong was said.
    clock_told: bool,
    /// The state folder refused the last write.
    unwritable: bool,
    /// When the folder was last asked to take a file, though nothing was to be written.
    probed: Instant,
    alarms: AlertState,
    demand: OnDemandState,
    /// Whether the clock goes as time does.
    steady: Steady,
    /// When it was last looked for what nobody asks for any more.
    cleared: Option<Timestamp>,
    /// What is published does not show all that is known.
    stale: bool,
    published: Instant,
}

/// A look after the state folder, under way on a thread that may block.
type Upkeep = Pin<Box<dyn Future<Output = Option<Kept>>>>;

/// What a look after the state folder came to.
struct Kept {
    findings: Vec<Finding>,
    /// Certificates that were in memory only, with their generation in the vault.
    saved: Vec<(Slot, u64)>,
    /// Why the folder cannot be written, if so.
    refused: Option<String>,
}

/// For one piece of work on the state folder; the loop over certificates waits for it.
const STATE_TIMEOUT: Duration = Duration::from_secs(5);
/// For loading what the state folder holds of all certificates: ten thousand take a few seconds.
const LOAD_TIMEOUT: Duration = Duration::from_secs(20);
/// Nothing is worth a shorter sleep.
const MIN_SLEEP: Duration = Duration::from_millis(100);

impl ManagerState {
    pub(super) fn new(
        store: Arc<Store>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        rng: Rng,
        ports: PublicPorts,
        handle: &CertManagerHandle,
    ) -> Self {
        let (report_to, reports) = mpsc::unbounded_channel();
        let alarms = AlertState::new(&metrics, &handle.alert);
        let steady = Steady::new(clock.now(), Instant::now());
        Self {
            needs: Vec::new(),
            book: Inventory::default(),
            cache: CertCache::new(),
            watches: BTreeMap::new(),
            files_slot: BlockingSlot::default(),
            state_slot: BlockingSlot::default(),
            late: None,
            accounts: None,
            unloaded: false,
            local: LocalIssuers::default(),
            authorities: Authorities::default(),
            hooks: Hooks::default(),
            email: None,
            acme: Arc::new(defaults::acme()),
            store,
            metrics,
            clock,
            rng,
            ports,
            catalog: Arc::clone(&handle.catalog),
            board: Arc::clone(&handle.board),
            status: Arc::clone(&handle.status),
            report_to,
            reports,
            answered: mpsc::unbounded_channel(),
            workers: Vec::new(),
            ordering_allowed: false,
            tended: Instant::now(),
            clock_told: false,
            unwritable: false,
            probed: Instant::now(),
            alarms,
            demand: OnDemandState::default(),
            steady,
            cleared: None,
            stale: true,
            published: Instant::now(),
        }
    }

    /// The loop. Ends at [`Command::Stop`], or when nobody holds a handle any more.
    pub(super) async fn keep(mut self, mut inbox: UnboundedReceiver<Command>, mut wanted: UnboundedReceiver<Wanted>) {
        loop {
            self.metrics.certs.ticks.add_one();
            self.metrics.certs.last_tick.set(self.clock.now().unix());
            self.look_at_state();
            let sleep = self.act().await;
            // Publishing goes through every name, so it is not done for nothing; now and then it is, for what time alone
            // changes: what has expired, what is in danger.
            if self.stale || self.published.elapsed() >= CertMetrics::INTERVAL {
                self.publish();
            }
            self.answer_waiters();
            tokio::select! {
                word = inbox.recv() => match word {
                    None => break,
                    Some(Command::Stop(done)) => {
                        self.end().await;
                        let _nobody_waits = done.send(());
                        return;
                    }
                    Some(word) => self.heed(word).await,
                },
                Some(done) = self.reports.recv() => self.take(done).await,
                Some(name) = wanted.recv() => self.grant(name).await,
                Some(answered) = self.answered.1.recv() => self.take_answer(answered).await,
                () = tokio::time::sleep(sleep) => {
                    self.look_at_files().await;
                    self.tend().await;
                }
            }
        }
        self.end().await;
    }

    async fn heed(&mut self, word: Command) {
        self.stale = true;
        match word {
            Command::Go => {
                self.ordering_allowed = true;
                self.sweep_records();
            }
            Command::Settings(settings, done) => {
                self.adopt(&settings).await;
                let _nobody_waits = done.send(());
            }
            Command::Renew(name, insist, reply) => {
                let _nobody_waits = reply.send(self.renew(&name, insist));
            }
            Command::Operation(errand) => self.run(errand).await,
            Command::Stop(_) => (),
        }
    }

    /// How long to sleep when nothing happens: until the plan's next moment, but never past the next look around, which
    /// is also when a jump of the clock is noticed.
    fn sleep(&self, wake: Timestamp) -> Duration {
        let files = self.needs.iter().filter(|need| local_issuers::files_of(need).is_some()).count();
        let longest = files::every(files).min(CertMetrics::INTERVAL);
        wake.since(self.clock.now()).clamp(MIN_SLEEP, longest)
    }

    /// Leaves orders in flight as a crash would: everything they need is on the disk.
    async fn end(&mut self) {
        for worker in self.workers.drain(..).chain(self.accounts.take()) {
            worker.abort();
        }
        // LocalAddrs, because the journal is written once more when it is closed, and the last hold on it may fall on this thread.
        let store = Arc::clone(&self.store);
        let closed = task::blocking("state-close", move || store.close());
        let _process_ends_anyway = tokio::time::timeout(STATE_TIMEOUT, closed).await;
    }

    /// Reads or writes the state folder, which may hang: waits within a bound, and begins nothing while the work before has not
    /// come back. `None` when there is no result.
    async fn on_state<T, W>(&self, name: &'static str, limit: Duration, work: W) -> Option<T>
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        if self.state_slot.is_busy() {
            return None;
        }
        self.state_slot.run(name, limit, work).await.ok()
    }

    /// Our account at an authority.
    fn account_at(&mut self, authority: &Authority) -> Arc<AcmeAccount> {
        let memory = self.book.issuers.get(&authority.issuer);
        self.authorities.account(authority, self.email.as_deref(), &self.store, &self.clock, memory)
    }

    /// A stream of chance for one purpose.
    fn rng(&mut self) -> Rng {
        Rng::seeded(self.rng.roll())
    }
}
