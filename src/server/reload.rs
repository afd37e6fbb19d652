//! A reload: load → build → bind → certificates → publish. Until the last step nothing that is being served is touched,
//! and the last step cannot fail.

use std::fmt;
use std::sync::Arc;

use crate::base::chain::Chain;
use crate::base::time::{Clock, SystemClock};
use crate::certs::preflight::{self, BadFiles};
use crate::config::diff;
use crate::config::load::{LoadError, Loaded};
use crate::config::settings::Settings;
use crate::listeners::bind::{self, BindError};
use crate::listeners::front::Front;
use crate::proxy::snapshot::{BuildError, Snapshot};
use crate::server::gateway::Gateway;
use crate::server::signals;
use crate::server::watch::Watch;

/// Why a new configuration was refused. What was being served still is.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The text has problems.
    #[error(transparent)]
    Load(LoadError),
    /// Certificate files that are named are not right.
    #[error("{}", lines(.0))]
    Files(Vec<BadFiles>),
    /// A new port cannot be opened.
    #[error(transparent)]
    Bind(BindError),
    /// The settings cannot be put to work.
    #[error(transparent)]
    Build(BuildError),
    /// The crypto library refused.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Sites served now.
    pub sites: usize,
    /// What the operator should know all the same.
    pub warnings: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reloaded: {} site{}", self.sites, if self.sites == 1 { "" } else { "s" })
    }
}

/// Refuses settings whose certificate files are missing or do not fit together, with every one of them.
pub fn certificate_files(settings: &Settings) -> Result<(), ReloadError> {
    let bad = preflight::bad_files(settings, SystemClock.now());
    if bad.is_empty() { Ok(()) } else { Err(ReloadError::Files(bad)) }
}

fn lines(bad: &[BadFiles]) -> String {
    bad.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Gateway {
    /// Puts the configuration to work as it is now at its source. One at a time; whoever asks meanwhile waits and gets
    /// a reload of its own.
    pub async fn reload(&self) -> Result<Report, ReloadError> {
        let _one_at_a_time = self.reloading.lock().await;
        signals::tell_reloading();
        let result = self.try_reload().await;
        match &result {
            Ok(report) => tracing::info!(event = "reloaded", sites = report.sites, "configuration reloaded"),
            Err(error) => {
                tracing::error!(event = "reload_refused", reason = %Chain(error), "the new configuration is refused; the old one serves on");
            }
        }
        self.tell_ready();
        result
    }

    async fn try_reload(&self) -> Result<Report, ReloadError> {
        let loaded = self.source.load().map_err(ReloadError::Load)?;
        let watch = Watch::of(&loaded);
        let Loaded { mut settings, warnings, .. } = loaded;
        let old = self.settings();
        let restart = diff::between(&old, &settings).restart;
        // What only a new process can change stays as it is, and is told.
        settings.state.clone_from(&old.state);
        settings.admin.clone_from(&old.admin);
        certificate_files(&settings)?;
        let settings = Arc::new(settings);
        let snapshot =
            Snapshot::build(&settings, Some(&self.common.shared.live.load()), &self.trust).map_err(ReloadError::Build)?;
        let change =
            self.sockets.borrow_mut().prepare(bind::wanted(&settings), self.workers.count()).map_err(ReloadError::Bind)?;
        let front =
            Front::new(&settings, &change.quic(), &self.roots, &self.certs, snapshot.visitors()).map_err(ReloadError::Tls)?;
        let without: Vec<String> = change.warnings().collect();
        self.watch.replace(watch);
        // Certificates before routes: a name is answered only once its certificate, if one can be had at once, is there.
        self.certs.settings(Arc::clone(&settings)).await;
        let snapshot = Arc::new(snapshot);
        self.drains.keep(&snapshot);
        let before = self.common.shared.live.swap(Arc::clone(&snapshot));
        before.succeeded_by(&snapshot);
        self.checkups.follow(&snapshot);
        self.workers.review_tunnels(settings.drain);
        self.common.front.store(Arc::new(front));
        self.sockets.borrow_mut().commit(change, &self.workers);
        self.settings.replace(Arc::clone(&settings));
        self.logs.adopt(&settings.log);
        let warnings = std::iter::once(warnings.to_string()).chain(restart.iter().map(ToString::to_string)).chain(without);
        let warnings: Vec<String> = warnings.filter(|text| !text.is_empty()).collect();
        Ok(Report { sites: settings.sites.len(), warnings: warnings.join("\n") })
    }
}
