//! The life of the process: start in an order that leaves nothing half done, run, drain, end.
//!
//! Sockets before anything that may fail later, certificates from the disk before the first connection, and the first
//! order at an authority only once everything listens.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use sd_notify::NotifyState;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use crate::base::file_watch::Looked;
use crate::base::hostinfo;
use crate::base::rng::Rng;
use crate::base::task::{self, BlockingSlot};
use crate::base::time::SystemClock;
use crate::certs::manager::{self, Keeping};
use crate::certs::preflight::PublicPorts;
use crate::config::load::{self, Loaded};
use crate::config::settings::Settings;
use crate::listeners::bind::{self, BindError};
use crate::listeners::inherited::InheritedSockets;
use crate::listeners::listener_config::ListenerConfig;
use crate::listeners::quic::keys::Keys;
use crate::listeners::tls::TlsRoots;
use crate::proxy::snapshot::{BuildError, Live, Snapshot};
use crate::proxy::upstream::sticky::CookieSigner;
use crate::proxy::upstream::tls::TlsTrust;
use crate::proxy::worker::Shared;
use crate::server::config_source::Source;
use crate::server::drained_targets::Drains;
use crate::server::gateway::Gateway;
use crate::server::health_tasks::HealthTasks;
use crate::server::load_shed;
use crate::server::logs::Logs;
use crate::server::persistent_keys;
use crate::server::reload::Wanted;
use crate::server::reload_on_change;
use crate::server::signals::{Asked, Notifier, Signals};
use crate::server::sockets::Sockets;
use crate::server::verify_served;
use crate::server::watch::Watch;
use crate::server::watchdog::Watchdog;
use crate::server::workers::{SharedState, Workers};
use crate::telemetry::access::AccessLog;
use crate::telemetry::log::LogLevel;
use crate::telemetry::metrics::Metrics;

/// Between two looks at what is still open while draining.
const DRAIN_LOOK: Duration = Duration::from_millis(50);
/// Between two lines about what is still open while draining.
const DRAIN_LINE: Duration = Duration::from_secs(5);

/// For what still blocks on a thread of its own at the end.
const LAST_BLOCKING: Duration = Duration::from_secs(2);
/// For the records of tunnels that were cut.
const LAST_RECORDS: Duration = Duration::from_secs(1);

/// What a gateway is started with.
pub struct Options {
    /// Where its configuration comes from.
    pub source: Source,
    /// That configuration, already read.
    pub loaded: Loaded,
    /// The files it depends on, as they were before they were read.
    pub looked: Looked,
    /// The level of events, to be changed at reloads.
    pub level: LogLevel,
}

/// Why the gateway did not start. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system gave no thread, runtime or signal.
    #[error("the system refused what every start needs")]
    System(#[source] io::Error),
    /// A port cannot be had.
    #[error(transparent)]
    Bind(BindError),
    /// The settings cannot be put to work.
    #[error(transparent)]
    Build(BuildError),
    /// The crypto library refused.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The manager of certificates cannot work.
    #[error(transparent)]
    Keeper(manager::StartError),
}

/// Runs a gateway until it is told to stop. `attend` is called once it listens; what it spawns lives on the control
/// runtime.
pub fn run(options: Options, attend: impl AsyncFnOnce(Rc<Gateway>)) -> Result<(), StartError> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).map_err(StartError::System)?;
    let ended = runtime.block_on(async {
        let mut signals = Signals::new().map_err(StartError::System)?;
        let gateway = Rc::new(start(options)?);
        gateway.tell_ready();
        if !hostinfo::shows_addresses() {
            tracing::warn!(
                event = "addresses_unseen",
                "this machine's addresses cannot be read, so a name's DNS records are not compared with them before an order; \
                 allow AF_NETLINK in RestrictAddressFamilies= of the systemd unit"
            );
        }
        attend(Rc::clone(&gateway)).await;
        gateway.certs.go();
        gateway.checkups.follow(&gateway.snapshot());
        let vigil =
            Watchdog::begin(gateway.metrics(), &gateway.certs.alert, gateway.certs.stall_memory()).map_err(StartError::System)?;
        let watchdog = task::spawn_local("watchdog", gateway.notifier.clone().keep_watchdog(vigil.well()));
        let eyes = task::spawn_local("in service", verify_served::watch(Rc::downgrade(&gateway)));
        let weak = Rc::downgrade(&gateway);
        let limit = move || weak.upgrade().map(|gateway| gateway.settings().limits.memory);
        let scales = task::spawn_local("memory", load_shed::watch(Arc::clone(gateway.metrics()), limit));
        let files = task::spawn_local("config", reload_on_change::follow(Rc::downgrade(&gateway)));
        let reloads = task::spawn_local("reload", reload_when_wanted(Rc::downgrade(&gateway)));
        serve(&gateway, &mut signals).await;
        // The manager is about to stand still on purpose.
        vigil.end();
        drain(&gateway, &mut signals).await;
        for task in [eyes, scales, watchdog, files, reloads] {
            task.abort();
            // It holds the gateway until it is gone.
            let _aborted = task.await;
        }
        // Whoever still holds the gateway (an operator's question) ends with the runtime.
        if let Some(gateway) = Rc::into_inner(gateway) {
            gateway.workers.stop();
        }
        Ok(())
    });
    // A thread that waits for a file system that does not answer must not keep the process.
    runtime.shutdown_timeout(LAST_BLOCKING);
    ended
}

fn start(options: Options) -> Result<Gateway, StartError> {
    let Options { source, loaded, mut looked, level } = options;
    let Loaded { settings, files_read, .. } = loaded;
    load::named_files(&settings).for_each(|path| looked.look(path));
    let settings = Arc::new(settings);
    let count = thread::available_parallelism().map_or(1, usize::from);
    let mut sockets = Sockets::new(InheritedSockets::from_environment());
    let change = sockets.prepare(bind::wanted(&settings), count).map_err(StartError::Bind)?;
    let metrics = Arc::new(Metrics::default());
    let (access, logs) = Logs::start(&settings.log, level).map_err(StartError::System)?;
    let certs = manager::start(Keeping {
        settings: Arc::clone(&settings),
        metrics: Arc::clone(&metrics),
        clock: Arc::new(SystemClock),
        rng: Rng::from_os(),
        // Where authorities come, whatever port the configuration calls public: the look before an order sees what they see.
        ports: PublicPorts::STANDARD,
    })
    .map_err(StartError::Keeper)?;
    let roots = TlsRoots::new(Keys::of(persistent_keys::QUIC.load(&settings.state).expose())).map_err(StartError::Tls)?;
    let sticky = CookieSigner::new(persistent_keys::STICKY.load(&settings.state).expose());
    let trust = TlsTrust::new(Arc::clone(&roots.provider)).sealing(sticky);
    let common = common(&settings, &change.quic(), &roots, &trust, &certs, access, metrics)?;
    let workers = Workers::start(count, &common).map_err(StartError::System)?;
    sockets.commit(change, &workers);
    let checkups = HealthTasks::new(Arc::clone(&common.metrics), Rng::from_os());
    Ok(Gateway {
        source,
        settings: RefCell::new(settings),
        file: files_read.into_iter().next(),
        watch: Watch::new(looked),
        disk: BlockingSlot::default(),
        sockets: RefCell::new(sockets),
        workers,
        common,
        roots,
        trust: Arc::new(trust),
        certs,
        checkups,
        drains: Drains::default(),
        logs,
        reloading: Mutex::default(),
        reload_wanted: Notify::new(),
        stopping: Notify::new(),
        started: Instant::now(),
        notifier: Notifier::start().map_err(StartError::System)?,
    })
}

fn common(
    settings: &Settings,
    quic: &BTreeSet<u16>,
    roots: &TlsRoots,
    trust: &TlsTrust,
    certs: &manager::CertManagerHandle,
    access: AccessLog,
    metrics: Arc<Metrics>,
) -> Result<SharedState, StartError> {
    let snapshot = Snapshot::build(settings, None, trust).map_err(StartError::Build)?;
    let front = ListenerConfig::new(settings, quic, roots, certs, snapshot.client_certs()).map_err(StartError::Tls)?;
    let live = Arc::new(Live::from_pointee(snapshot));
    Ok(SharedState {
        front: Arc::new(ArcSwap::from_pointee(front)),
        shared: Shared { live, metrics: Arc::clone(&metrics), access },
        metrics,
    })
}

/// Serves until somebody says stop. Nothing is waited for in here, so that a stop never waits for a reload.
async fn serve(gateway: &Rc<Gateway>, signals: &mut Signals) {
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Stop => return,
                Asked::Reload => gateway.reload_wanted.notify_one(),
            },
            () = gateway.stopping.notified() => return,
        }
    }
}

/// Reloads once for all signals that came during the reload before.
async fn reload_when_wanted(gateway: Weak<Gateway>) {
    while let Some(gateway) = gateway.upgrade() {
        gateway.reload_wanted.notified().await;
        // Its log line says how it ended; a refusal changes nothing.
        let _ = gateway.reload(Wanted::ByOperator).await;
    }
}

/// Lets what is open end, up to `drain`; a second signal ends it at once.
async fn drain(gateway: &Rc<Gateway>, signals: &mut Signals) {
    let limit = gateway.settings().drain;
    gateway.notifier.send(&[NotifyState::Stopping]);
    gateway.workers.drain();
    gateway.workers.drain_tunnels(limit);
    let stopped = gateway.certs.stop();
    let drained = async {
        stopped.await;
        until_quiet(gateway).await;
    };
    let why = tokio::select! {
        () = drained => return tracing::info!(event = "stopped", "nothing was cut"),
        () = tokio::time::sleep(limit) => "the drain time is over",
        _ = signals.next() => "told to stop a second time",
    };
    tell_cut(gateway, why);
    gateway.workers.cut_tunnels();
    // Each tunnel still writes its record; that takes no longer than a moment, or it is not worth waiting for.
    let _ = tokio::time::timeout(LAST_RECORDS, until_no_tunnel(gateway)).await;
}

async fn until_no_tunnel(gateway: &Rc<Gateway>) {
    while still_open(gateway).1 > 0 {
        tokio::time::sleep(DRAIN_LOOK).await;
    }
}

async fn until_quiet(gateway: &Rc<Gateway>) {
    let mut next_line = Instant::now();
    loop {
        let (connections, tunnels) = still_open(gateway);
        if connections == 0 && tunnels == 0 {
            return;
        }
        if Instant::now() >= next_line {
            tracing::info!(event = "draining", connections, tunnels, "waiting for what is still open");
            next_line += DRAIN_LINE;
        }
        tokio::time::sleep(DRAIN_LOOK).await;
    }
}

fn tell_cut(gateway: &Rc<Gateway>, why: &'static str) {
    let (connections, tunnels) = still_open(gateway);
    tracing::warn!(event = "cut", connections, tunnels, "{why}; what is still open is closed");
}

fn still_open(gateway: &Rc<Gateway>) -> (u64, u64) {
    let proxy = &gateway.common.metrics.proxy;
    (proxy.connections.read(), proxy.tunnels.read())
}
