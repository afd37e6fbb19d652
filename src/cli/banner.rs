//! What the gateway says of itself once it listens: every URL that answers, each with its certificate, where the state
//! lives, which authority it asks. Pure: settings and reports in, text or events out.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::admin::api::{CertLine, CertsReport, StatusReport};
use crate::base::duration;
use crate::base::escape::escaped;
use crate::base::time::Timestamp;
use crate::config::settings::{Acme, Block, End, PathPattern, Settings, Site, SiteHost, SiteTls};
use crate::telemetry::log::events;

/// A banner is read by a person; a longer list is `doorward certs`'s job.
const MAX_HOSTS: usize = 40;
/// Characters of an authority's complaint that are repeated.
const MAX_ERROR: usize = 300;
/// More than this until its end, and a certificate needs no countdown in hours.
const DAY: Duration = Duration::from_secs(86_400);

/// What is known at the start.
#[derive(Clone, Copy, Debug)]
pub struct BannerInputs<'a> {
    /// What is served.
    pub settings: &'a Settings,
    /// Where it listens, and by which file.
    pub status: &'a StatusReport,
    /// How the certificates stand.
    pub certs: &'a CertsReport,
    /// The present moment.
    pub now: Timestamp,
}

/// The banner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    version: String,
    config: String,
    state: String,
    listens: Vec<String>,
    hosts: Vec<Host>,
    authority: Option<String>,
    staging: bool,
    notes: Vec<String>,
}

/// One host and what answers there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Host {
    /// URL and what is behind it.
    urls: Vec<(String, String)>,
    /// `None` where everything is plain http.
    certificate: Option<String>,
}

impl Banner {
    /// Gathers the facts.
    pub fn new(scene: BannerInputs<'_>) -> Self {
        let BannerInputs { settings, status, .. } = scene;
        let hosts = settings.sites.iter().flat_map(|site| site.hosts.iter().map(move |host| (site, host)));
        let authorities = authorities(settings);
        Self {
            version: status.version.clone(),
            config: if status.config.is_empty() { "the command line".into() } else { status.config.clone() },
            state: status.state.clone(),
            listens: status.listens.clone(),
            hosts: hosts.map(|(site, host)| describe(scene, site, host)).collect(),
            staging: authorities.iter().any(|acme| acme.staging),
            authority: (!authorities.is_empty())
                .then(|| authorities.iter().map(|acme| authority_name(acme)).collect::<Vec<_>>().join(", ")),
            notes: notes(settings, &authorities),
        }
    }

    /// The same as events, one for the start and one for each URL, for a log that programs read.
    pub fn log(&self) {
        let listens = self.listens.join(", ");
        let (version, config, state) = (self.version.as_str(), self.config.as_str(), self.state.as_str());
        let authority = self.authority.as_deref().unwrap_or("none");
        tracing::info!(
            event = events::STARTED,
            version,
            config,
            state,
            listens,
            authority,
            staging = self.staging,
            "doorward listens"
        );
        for host in &self.hosts {
            let certificate = host.certificate.as_deref().unwrap_or("none, plain http");
            for (url, end) in &host.urls {
                tracing::info!(event = events::SERVING, url, end, certificate, "serving");
            }
        }
        for note in &self.notes {
            tracing::info!(event = events::STARTED, "{note}");
        }
    }
}

impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "doorward {}\n", self.version)?;
        let shown = &self.hosts[..self.hosts.len().min(MAX_HOSTS)];
        let widest = shown.iter().flat_map(|host| &host.urls).map(|(url, _)| url.chars().count()).max().unwrap_or(0).min(60);
        for host in shown {
            for (url, end) in &host.urls {
                writeln!(f, "  {url:widest$}  {end}")?;
            }
            match &host.certificate {
                Some(certificate) => writeln!(f, "      certificate: {certificate}\n")?,
                None => writeln!(f, "      plain http, no certificate\n")?,
            }
        }
        if self.hosts.len() > MAX_HOSTS {
            writeln!(f, "  and {} more names; `doorward certs` lists them\n", self.hosts.len() - MAX_HOSTS)?;
        }
        if self.hosts.is_empty() {
            writeln!(f, "  no site is configured, so every request is refused\n")?;
        }
        for listen in &self.listens {
            writeln!(f, "  listens on     {listen}")?;
        }
        writeln!(f, "  configuration  {}", self.config)?;
        writeln!(f, "  state          {}", self.state)?;
        if let Some(authority) = &self.authority {
            writeln!(f, "  authority      {authority}")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "\n  {note}"))
    }
}

fn describe(scene: BannerInputs<'_>, site: &Site, host: &SiteHost) -> Host {
    let settings = scene.settings;
    let urls = site.blocks.iter().flat_map(|block| urls_of(settings, host, block)).collect();
    let certificate = (!host.plain).then(|| {
        if matches!(&site.tls, SiteTls::Acme(acme) if acme.is_on_demand(&host.pattern)) {
            return "one for each name, when somebody asks for it".into();
        }
        let name = host.pattern.to_string();
        let line = scene.certs.certs.iter().find(|line| line.names.contains(&name));
        line.map_or_else(|| "not looked at yet".into(), |line| certificate(line, site, scene.now))
    });
    Host { urls, certificate }
}

/// A block's URLs: https always, wss where a backend may take an upgrade.
fn urls_of(settings: &Settings, host: &SiteHost, block: &Block) -> Vec<(String, String)> {
    let (web, socket, usual) = if host.plain { ("http", "ws", 80) } else { ("https", "wss", 443) };
    let port = settings.port_map().public(host.port);
    let port = if port == usual { String::new() } else { format!(":{port}") };
    let path = match &block.path {
        PathPattern::Prefix(prefix) if prefix == "/" => String::new(),
        path => path.to_string(),
    };
    let url = |scheme: &str| format!("{scheme}://{}{port}{path}", host.pattern);
    let end = end_of(settings, block);
    match block.end {
        End::Proxy(_) => vec![(url(web), end.clone()), (url(socket), end)],
        End::Redirect { .. } | End::Respond { .. } | End::Files(_) => vec![(url(web), end)],
    }
}

fn end_of(settings: &Settings, block: &Block) -> String {
    match &block.end {
        End::Proxy(id) => {
            let upstream = &settings.upstreams[id.0];
            let targets: Vec<String> = upstream.targets.iter().map(|target| target.address.to_string()).collect();
            match targets.as_slice() {
                [one] => format!("to {one}"),
                several => format!("to {} ({})", upstream.name, several.join(", ")),
            }
        }
        End::Redirect { target, code } => format!("redirect {code} to {target}"),
        End::Respond { code, .. } => format!("answers {code}"),
        End::Files(files) => format!("files of {}", files.folder.display()),
    }
}

/// `by Let's Encrypt R11, until 2027-02-19 (88d 4h)`.
fn certificate(line: &CertLine, site: &Site, now: Timestamp) -> String {
    // An authority's words are a stranger's.
    let error = line.last_error.as_deref().map(|words| escaped(words, MAX_ERROR));
    let waiting = || match (&site.tls, &error) {
        (SiteTls::Files { chain, .. }, Some(error)) => format!("{} cannot be used: {error}", chain.display()),
        (SiteTls::Files { chain, .. }, None) => format!("being read from {}", chain.display()),
        (_, Some(error)) => format!("{} ({}); the last attempt failed: {error}", line.state, line.issuer),
        (_, None) => format!("{} ({})", line.state, line.issuer),
    };
    let Some(expires) = line.expires.as_deref() else { return waiting() };
    match Timestamp::parse(expires) {
        Some(end) if end <= now => format!("by {}, EXPIRED on {expires}; {}", line.issuer, line.state),
        Some(end) => {
            format!("by {}, until {} ({})", line.issuer, shown_day(expires, end.since(now)), duration::rough(end.since(now)))
        }
        None => format!("by {}, until {expires}", line.issuer),
    }
}

/// The day is enough for what is far away.
fn shown_day(expires: &str, left: Duration) -> &str {
    if left > 2 * DAY { expires.split('T').next().unwrap_or(expires) } else { expires }
}

/// The authorities asked by any site, each once.
fn authorities(settings: &Settings) -> Vec<&Acme> {
    let mut seen = BTreeSet::new();
    let asked = settings.sites.iter().filter_map(|site| match &site.tls {
        SiteTls::Acme(acme) => Some(acme.as_ref()),
        SiteTls::Internal | SiteTls::Files { .. } | SiteTls::Off => None,
    });
    asked.filter(|acme| seen.insert(acme.directory.as_str())).collect()
}

/// `Let's Encrypt (https://…)`, with a warning where it is staging.
fn authority_name(acme: &Acme) -> String {
    const KNOWN: [(&str, &str); 5] = [
        ("api.letsencrypt.org", "Let's Encrypt"),
        ("acme.zerossl.com", "ZeroSSL"),
        ("dv.acme-v02.api.pki.goog", "Google Trust Services"),
        ("api.buypass.com", "Buypass"),
        ("acme.ssl.com", "SSL.com"),
    ];
    let host = acme.directory.split('/').nth(2).unwrap_or_default();
    let name = KNOWN.iter().find(|(end, _)| host.ends_with(end)).map(|(_, name)| *name);
    let stage = if acme.staging { "staging" } else { "production" };
    match name {
        Some(name) => format!("{name}, {stage} ({})", acme.directory),
        None if acme.staging => format!("{} (staging)", acme.directory),
        None => acme.directory.clone(),
    }
}

fn notes(settings: &Settings, authorities: &[&Acme]) -> Vec<String> {
    let mut notes = Vec::new();
    if authorities.iter().any(|acme| acme.staging) {
        notes.push("Staging: browsers do not trust these certificates. Take `staging` away once everything else works.".into());
    }
    if !authorities.is_empty() {
        notes.push("Ordering certificates means agreeing to the authority's terms of service, which its directory names.".into());
    }
    if settings.sites.iter().any(|site| site.tls == SiteTls::Internal) {
        notes.push(
            "The local authority vouches for local names; run `doorward trust` once so that this machine believes it.".into(),
        );
    }
    notes
}

#[cfg(test)]
mod tests;
