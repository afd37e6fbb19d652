//! The running gateway as the control thread sees it: what is served, what serves it, and what may be asked of it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use sd_notify::NotifyState;
use tokio::sync::{Mutex, Notify};
use tokio::time::Instant;

use crate::base::name::HostPattern;
use crate::base::task::BlockingSlot;
use crate::certs::manager::CertManagerHandle;
use crate::config::settings::{Settings, Site, SiteHost};
use crate::listeners::bind::ListenKey;
use crate::listeners::tls::TlsRoots;
use crate::proxy::snapshot::Snapshot;
use crate::proxy::upstream::tls::TlsTrust;
use crate::server::config_source::Source;
use crate::server::drained_targets::{Drained, Drains, UnknownTarget};
use crate::server::health_tasks::HealthTasks;
use crate::server::logs::Logs;
use crate::server::signals::Notifier;
use crate::server::sockets::Sockets;
use crate::server::watch::Watch;
use crate::server::workers::{SharedState, Workers};
use crate::telemetry::metrics::Metrics;

/// See the module. Lives on the control thread; what traffic threads share with it is in `common`.
pub struct Gateway {
    pub(super) source: Source,
    pub(super) settings: RefCell<Arc<Settings>>,
    pub(super) file: Option<PathBuf>,
    pub(super) watch: Watch,
    /// Where the configuration is read; at most one thread of it hangs.
    pub(super) disk: BlockingSlot,
    pub(super) sockets: RefCell<Sockets>,
    pub(super) workers: Workers,
    pub(super) common: SharedState,
    pub(super) roots: TlsRoots,
    pub(super) trust: Arc<TlsTrust>,
    pub(super) certs: CertManagerHandle,
    pub(super) checkups: HealthTasks,
    pub(super) drains: Drains,
    pub(super) logs: Logs,
    /// Held for the length of a reload, so that two never mix; why the last one was refused.
    pub(super) reloading: Mutex<String>,
    /// An operator wants a reload, by a signal.
    pub(super) reload_wanted: Notify,
    pub(super) stopping: Notify,
    pub(super) started: Instant,
    pub(super) notifier: Notifier,
}

impl Gateway {
    /// What is being served.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }

    /// The configuration file in use; `None` when there is none.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Where we listen.
    pub fn spots(&self) -> BTreeSet<ListenKey> {
        self.sockets.borrow().open().clone()
    }

    /// The certificates' manager.
    pub fn certs(&self) -> &CertManagerHandle {
        &self.certs
    }

    /// The cryptography all of it shares.
    pub fn provider(&self) -> &Arc<CryptoProvider> {
        &self.roots.provider
    }

    /// The counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.common.metrics
    }

    /// What the request path acts on.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.common.shared.live.load_full()
    }

    /// Sends nothing new to a target, or takes it back. What is open on it goes on.
    pub fn set_drained(&self, target: &str, drained: bool) -> Result<Drained, UnknownTarget> {
        self.drains.set(&self.snapshot(), target, drained)
    }

    /// Closes the sites of `host` for maintenance, or all of them, and opens them with `None`; whom that concerned.
    pub fn maintain(&self, host: Option<&HostPattern>, after: Option<u64>) -> Vec<String> {
        let snapshot = self.common.shared.live.load();
        let settings = self.settings();
        let wanted = |site: &Site| host.is_none_or(|host| site.hosts.iter().any(|known| known.pattern == *host));
        let concerned = settings.sites.iter().enumerate().filter(|(_, site)| wanted(site));
        concerned
            .flat_map(|(number, site)| {
                snapshot.switch(number).set(after);
                site.hosts.iter().map(named)
            })
            .collect()
    }

    /// Hosts that are closed for maintenance by command.
    pub fn maintained(&self) -> Vec<String> {
        let snapshot = self.common.shared.live.load();
        let settings = self.settings();
        let closed = settings.sites.iter().enumerate().filter(|(number, _)| snapshot.switch(*number).after().is_some());
        closed.flat_map(|(_, site)| site.hosts.iter().map(named)).collect()
    }

    /// Clients that are shut out, and for how long yet; at most so many.
    pub fn shut_out(&self, most: usize) -> Vec<(IpAddr, Duration)> {
        self.common.shared.live.load().bans.as_ref().map(|bans| bans.out(Instant::now(), most)).unwrap_or_default()
    }

    /// Lets one client in again, or all; how many were out. `None` where nobody can be: the configuration has no `ban`.
    pub fn let_in(&self, client: Option<IpAddr>) -> Option<usize> {
        self.common.shared.live.load().bans.as_ref().map(|bans| bans.let_in(client, Instant::now()))
    }

    /// How long it runs.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends the gateway as TERM would.
    pub fn stop(&self) {
        self.stopping.notify_one();
    }

    /// Tells systemd that we serve, and what.
    pub(super) fn tell_ready(&self) {
        let sites = self.settings().sites.len();
        let status = format!("serving {sites} site{}", if sites == 1 { "" } else { "s" });
        self.notifier.send(&[NotifyState::Ready, NotifyState::Status(&status)]);
    }
}

fn named(host: &SiteHost) -> String {
    format!("{}:{}", host.pattern, host.port)
}
