//! A reload: load → build → bind → certificates → publish. Until the last step nothing that is being served is touched,
//! and the last step cannot fail. What reads files is done on a thread that may block, within a bound.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::error_chain::ErrorChain;
use crate::base::file_watch::Looked;
use crate::base::task::NoResult;
use crate::base::time::{Clock, SystemClock};
use crate::certs::preflight::{self, BadFiles};
use crate::config::diagnostic;
use crate::config::diff::{self, Restart};
use crate::config::load::{self, LoadError, Loaded};
use crate::config::settings::{DefaultCertificate, Settings, SiteTls};
use crate::listeners::bind::{self, BindError};
use crate::listeners::listener_config::ListenerConfig;
use crate::proxy::snapshot::{BuildError, Snapshot};
use crate::proxy::upstream::tls::TlsTrust;
use crate::server::config_source::Source;
use crate::server::gateway::Gateway;

/// For everything that is read from the disk: ten thousand sites take a few seconds.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// What asks for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Changed files, or time after a failure.
    ByFiles,
    /// An operator, by a signal or a command.
    ByOperator,
    /// An operator who means it even if there is no site any more.
    WithoutSites,
}

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
    /// A file that is being written, or a full disk, looks like this.
    #[error(
        "the new configuration has no site, and {} served now; put the sites back, or run `doorward reload --allow-empty` \
         to serve none",
        sites(*.0)
    )]
    NoSites(usize),
    /// The disk does not answer.
    #[error(
        "the configuration and the files that it names could not be read within 60 s; see whether their file system answers, \
         then reload again"
    )]
    Unanswered,
    /// Reading them is broken.
    #[error("reading the configuration failed inside doorward; the log has the details, please report it")]
    Panicked,
}

impl ReloadError {
    /// Whether time alone may mend it, with no change of a file that is watched: a certificate that becomes valid, a port that
    /// comes free, a folder that is mounted.
    const fn may_pass(&self) -> bool {
        match self {
            Self::Load(LoadError::Refused(_)) | Self::NoSites(_) | Self::Panicked | Self::Tls(_) => false,
            Self::Load(LoadError::NotFound | LoadError::Unreadable { .. }) => true,
            Self::Files(_) | Self::Bind(_) | Self::Build(_) | Self::Unanswered => true,
        }
    }
}

fn sites(count: usize) -> String {
    if count == 1 { "1 site is".to_owned() } else { format!("{count} sites are") }
}

/// Settings that were read and can be put to work.
struct Prepared {
    settings: Arc<Settings>,
    snapshot: Snapshot,
    warnings: diagnostic::Report,
    restart: Vec<Restart>,
}

/// What reading depends on besides the files.
struct Before {
    source: Source,
    settings: Arc<Settings>,
    snapshot: Arc<Snapshot>,
    trust: Arc<TlsTrust>,
    wanted: Wanted,
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
    pub async fn reload(&self, wanted: Wanted) -> Result<Report, ReloadError> {
        let mut last_refusal = self.reloading.lock().await;
        self.notifier.send_reloading();
        let (result, looked) = self.try_reload(wanted).await;
        if let Some(looked) = looked {
            self.watch.replace(looked, result.as_ref().err().is_some_and(ReloadError::may_pass));
        }
        match &result {
            Ok(report) => {
                *last_refusal = String::new();
                tracing::info!(event = "reloaded", sites = report.sites, "configuration reloaded");
            }
            Err(error) => {
                let reason = ErrorChain(error).to_string();
                // The same again, found by a retry, is no news.
                if wanted != Wanted::ByFiles || *last_refusal != reason {
                    tracing::error!(event = "reload_refused", reason, "the new configuration is refused; the old one serves on");
                }
                *last_refusal = reason;
            }
        }
        self.tell_ready();
        result
    }

    /// The result, and what it depends on; that is not known when reading it was not answered.
    async fn try_reload(&self, wanted: Wanted) -> (Result<Report, ReloadError>, Option<Looked>) {
        let before = Before {
            source: self.source.clone(),
            settings: self.settings(),
            snapshot: self.snapshot(),
            trust: Arc::clone(&self.trust),
            wanted,
        };
        match self.disk.run("config-read", READ_TIMEOUT, move || prepare(&before)).await {
            Ok((prepared, looked)) => {
                let put_to_work = async { self.put_to_work(prepared?).await };
                (put_to_work.await, Some(looked))
            }
            Err(NoResult::TimedOut) => {
                self.watch.retry();
                (Err(ReloadError::Unanswered), None)
            }
            Err(NoResult::Panicked) => (Err(ReloadError::Panicked), None),
        }
    }

    async fn put_to_work(&self, prepared: Prepared) -> Result<Report, ReloadError> {
        let Prepared { settings, snapshot, warnings, restart } = prepared;
        let change = self.sockets.borrow().prepare(bind::wanted(&settings), self.workers.count()).map_err(ReloadError::Bind)?;
        let front = ListenerConfig::new(&settings, &change.quic(), &self.roots, &self.certs, snapshot.client_certs())
            .map_err(ReloadError::Tls)?;
        let without: Vec<String> = change.warnings().collect();
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
        self.common.metrics.remarks.clear();
        self.logs.adopt(&settings.log);
        let warnings = std::iter::once(warnings.to_string()).chain(restart.iter().map(ToString::to_string)).chain(without);
        let warnings: Vec<String> = warnings.filter(|text| !text.is_empty()).collect();
        Ok(Report { sites: settings.sites.len(), warnings: warnings.join("\n") })
    }
}

/// Reads everything that new settings are made of. Blocks.
fn prepare(before: &Before) -> (Result<Prepared, ReloadError>, Looked) {
    let mut looked = Looked::default();
    let prepared = read(before, &mut looked);
    (prepared, looked)
}

fn read(before: &Before, looked: &mut Looked) -> Result<Prepared, ReloadError> {
    let old = &before.settings;
    let Loaded { mut settings, warnings, .. } = before.source.load_looking(looked).map_err(ReloadError::Load)?;
    if settings.sites.is_empty() && !old.sites.is_empty() && before.wanted != Wanted::WithoutSites {
        return Err(ReloadError::NoSites(old.sites.len()));
    }
    let restart = diff::between(old, &settings).restart;
    // What only a new process can change stays as it is, and is told.
    settings.state.clone_from(&old.state);
    settings.admin.clone_from(&old.admin);
    load::named_files(&settings).for_each(|path| looked.look(path));
    if let Err(error) = certificate_files(&settings) {
        // Once they are accepted, the manager watches them.
        served_files(&settings).for_each(|path| looked.look(path));
        return Err(error);
    }
    let settings = Arc::new(settings);
    let snapshot = Snapshot::build(&settings, Some(&before.snapshot), &before.trust).map_err(ReloadError::Build)?;
    Ok(Prepared { settings, snapshot, warnings, restart })
}

/// The files of certificates that are served.
fn served_files(settings: &Settings) -> impl Iterator<Item = &PathBuf> {
    let sites = settings.sites.iter().filter_map(|site| match &site.tls {
        SiteTls::Files { chain, key, .. } => Some([chain, key]),
        SiteTls::Acme(_) | SiteTls::Internal | SiteTls::Off => None,
    });
    let default = match &settings.tls.default_certificate {
        Some(DefaultCertificate::Files { chain, key, .. }) => Some([chain, key]),
        Some(DefaultCertificate::Host(_)) | None => None,
    };
    sites.chain(default).flatten()
}
