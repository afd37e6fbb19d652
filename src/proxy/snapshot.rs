//! What the request path acts on: routes, blocks, clusters and limits, built whole from the settings and never changed.
//! A reload builds another one and swaps it in; requests that began with this one end with it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

use super::client_cert::ClientCertPolicy;
use super::error_pages::{Pages, PagesError};
use super::files::Files;
use super::files::private::Private;
use super::forward::Guard;
use super::limit::bans::Bans;
use super::limit::keyed::KeyedRateLimiter;
use super::limit::registry::LimiterRegistry;
use super::redirect::Redirect;
use super::refuse::RefusalStyle;
use super::route::{Found, RouteTable};
use super::step::{BuildAuthError, Building, Edits, Step, Switch};
use super::tunnel::facts::TunnelFacts;
use super::tunnel::framed::limits::MessageBudget;
use super::tunnel::framed::state_machine::Rules;
use super::upstream::tls::{TlsTrust, TrustError};
use super::upstream::{BuildClusterError, UpstreamGroup};
use super::validate::Host;
use crate::base::addr::IpNet;
use crate::config::settings::{Auth, Block, End, GatewayLimits, Place, PortMap, Settings, Timeouts, Upstream};

/// The snapshot in force. Written by the reload only, loaded once for each request.
pub type Live = ArcSwap<Snapshot>;

/// See the module.
#[derive(Debug)]
pub struct Snapshot {
    /// Which block answers.
    pub routes: RouteTable,
    /// The ports of URLs that lead here.
    pub ports: PortMap,
    /// Limits on requests.
    pub limits: GatewayLimits,
    /// Limits on clients' slowness.
    pub timeouts: Timeouts,
    /// Whose forwarding headers are believed.
    pub trusted: Vec<IpNet>,
    /// By site and block, as [`Found`] counts them.
    lanes: Vec<Box<[Route]>>,
    /// By site, what it adds to the refusals that none of its blocks answers.
    refusals: Vec<RefusalStyle>,
    /// By site, where not everybody may come.
    client_certs: Vec<Option<Arc<ClientCertPolicy>>>,
    clusters: Vec<Arc<UpstreamGroup>>,
    /// Services that are asked who may pass.
    services: Vec<Arc<UpstreamGroup>>,
    /// What clients have used of their limits.
    kept: LimiterRegistry,
    /// Who is shut out.
    pub bans: Option<Arc<Bans>>,
    /// What the operator's command says of each site, in the order of the settings.
    switches: Vec<Arc<Switch>>,
}

/// One block, ready to run.
#[derive(Debug)]
pub struct Route {
    /// What is done on the way in and out.
    pub steps: Box<[Step]>,
    /// Last word on the header a backend gets.
    pub request_headers: Option<Edits>,
    /// Which names could pass for fields that matter here.
    pub(super) guard: Arc<Guard>,
    /// Whether a step adds fields to a request.
    pub(super) adds_fields: bool,
    /// What answers.
    pub ending: Handler,
    /// Who may come, where not everybody may.
    pub client_certs: Option<Arc<ClientCertPolicy>>,
    /// Whether its exchanges may be logged.
    pub logged: bool,
    /// The site's own pages for refusals.
    pub pages: Option<Arc<Pages>>,
    /// Rules of its tunnels, without a client's budget of messages.
    tunnel: Rules,
    /// Messages of each client over all of its tunnels.
    messages: Option<Arc<KeyedRateLimiter>>,
    /// How long a tunnel may stand.
    pub max_age: Option<Duration>,
    /// Where it stood.
    pub at: Place,
}

/// What answers in the end.
#[derive(Debug)]
pub enum Handler {
    /// Backends.
    Proxy(Arc<UpstreamGroup>),
    /// Files below a folder.
    Files(Files),
    /// Another URL.
    Redirect(Redirect),
    /// A fixed text.
    Respond {
        /// Its status.
        code: StatusCode,
        /// Its body.
        text: Bytes,
    },
}

/// Why settings could not become a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A backend group could not be made.
    #[error(transparent)]
    UpstreamGroup(#[from] BuildClusterError),
    /// Who may pass could not be decided.
    #[error("{at}: `auth` cannot be set up")]
    Auth {
        /// Where the block stood.
        at: Place,
        /// What is wrong.
        #[source]
        source: Box<BuildAuthError>,
    },
    /// The authorities of clients could not be read.
    #[error("{at}: the authorities of `client-certificates` cannot be used")]
    ClientCertPolicy {
        /// Where the site stood.
        at: Place,
        /// What is wrong.
        #[source]
        source: TrustError,
    },
    /// The pages for refusals could not be read.
    #[error("{at}: the pages of `errors` cannot be used")]
    Pages {
        /// Where the block stood.
        at: Place,
        /// What is wrong.
        #[source]
        source: PagesError,
    },
    /// Settings this version knows but cannot carry out.
    #[error("{at}: `{word}` is not yet supported; remove it")]
    Unsupported {
        /// Where the block stood.
        at: Place,
        /// The word.
        word: &'static str,
    },
}

impl Snapshot {
    /// Builds a snapshot. Clusters of `before` whose settings did not change live on with their warm connections. Reads the
    /// files that TLS towards backends names.
    pub fn build(settings: &Settings, before: Option<&Self>, trust: &TlsTrust) -> Result<Self, BuildError> {
        let clusters = groups(&settings.upstreams, before, trust)?;
        let mut client_certs = Vec::with_capacity(settings.sites.len());
        let mut lanes = Vec::with_capacity(settings.sites.len());
        let mut kept = LimiterRegistry::after(before.map(|before| &before.kept));
        let mut folders = HashMap::new();
        let private = Private::of(settings);
        let mut services: Vec<Arc<UpstreamGroup>> = Vec::new();
        let mut service = |upstream: &Upstream| service(upstream, &mut services, before, trust);
        let mut switches = Vec::with_capacity(settings.sites.len());
        let mut refusals = Vec::with_capacity(settings.sites.len());
        for site in &settings.sites {
            let asked = site.client_certificates.as_ref().map(|asked| ClientCertPolicy::new(asked, trust)).transpose();
            let asked = asked.map_err(|source| BuildError::ClientCertPolicy { at: site.at.clone(), source })?;
            let asked = asked.map(Arc::new);
            client_certs.push(asked.clone());
            let name = site.hosts.first().map(|host| format!("{}:{}", host.pattern, host.port)).unwrap_or_default();
            let mut build = Building {
                site: &name,
                kept: &mut kept,
                before: before.map(|before| &before.kept),
                body_timeout: settings.timeouts.body,
                service: &mut service,
                pages: &mut folders,
                private: &private,
            };
            switches.push(build.kept.switch(build.before, &name));
            let own = site.refusals.errors.as_deref().map(|folder| pages(folder, &site.at, &mut build)).transpose()?;
            refusals.push(RefusalStyle::new(&site.refusals, own));
            lanes.push(
                site.blocks
                    .iter()
                    .map(|block| Route::of(block, &clusters, asked.clone(), &mut build))
                    .collect::<Result<_, _>>()?,
            );
        }
        let bans = settings.ban.as_ref().map(|rule| {
            // Who speaks for others is not shut out for what those did.
            let spared = [&rule.except[..], &settings.trusted_proxies, &settings.proxy_protocol_from].concat();
            kept.shut_out(before.map(|before| &before.kept), rule, &spared, Instant::now())
        });
        Ok(Self {
            routes: RouteTable::new(&settings.sites),
            ports: settings.port_map(),
            limits: settings.limits,
            timeouts: settings.timeouts,
            trusted: settings.trusted_proxies.clone(),
            lanes,
            refusals,
            client_certs,
            clusters,
            services,
            kept,
            bans,
            switches,
        })
    }

    /// The block that was found.
    pub fn lane(&self, found: Found) -> &Route {
        &self.lanes[found.site][found.block]
    }

    /// Whether a request like that of a tunnel would still be answered by the tunnel's backend.
    pub(super) fn still_serves(&self, tunnel: &TunnelFacts) -> bool {
        let TunnelFacts { port, routed, backend } = tunnel;
        let Ok(found) = self.routes.find(*port, &routed.host, &routed.path) else { return false };
        match &self.lane(found).ending {
            Handler::Proxy(group) => group.has(backend.target()),
            Handler::Files(_) | Handler::Redirect(_) | Handler::Respond { .. } => false,
        }
    }

    /// What the site of a host on a port adds to a refusal; `None` where there is no such site.
    pub fn refusals(&self, port: u16, host: &Host) -> Option<&RefusalStyle> {
        self.routes.site(port, host).map(|site| &self.refusals[site])
    }

    /// By site, who may come where not everybody may.
    pub fn client_certs(&self) -> &[Option<Arc<ClientCertPolicy>>] {
        &self.client_certs
    }

    /// Has requests that wait for a group of this snapshot go on with the group of the same name in `next`.
    pub fn succeeded_by(&self, next: &Self) {
        let successors = by_name(&next.clusters);
        for group in self.clusters.iter().filter(|group| group.settings().hold.is_some()) {
            if let Some(successor) = successors.get(&*group.settings().name) {
                group.succeeded_by(successor);
            }
        }
    }

    /// What the operator's command says of the site that is number `site` of the settings.
    pub fn switch(&self, site: usize) -> &Switch {
        &self.switches[site]
    }

    /// Every backend group.
    pub fn clusters(&self) -> &[Arc<UpstreamGroup>] {
        &self.clusters
    }
}

impl Route {
    /// The rules of a tunnel of `client`.
    pub fn rules_for(&self, client: IpAddr) -> Rules {
        let budget = self.messages.as_ref().map(|counts| MessageBudget::new(Arc::clone(counts), client));
        Rules { budget, ..self.tunnel.clone() }
    }

    fn of(
        block: &Block,
        clusters: &[Arc<UpstreamGroup>],
        client_certs: Option<Arc<ClientCertPolicy>>,
        build: &mut Building<'_>,
    ) -> Result<Self, BuildError> {
        let unsupported = |word| BuildError::Unsupported { at: block.at.clone(), word };
        let ending = match &block.end {
            End::Proxy(id) => Handler::Proxy(Arc::clone(&clusters[id.0])),
            End::Redirect { target, code } => {
                Handler::Redirect(Redirect::new(target, *code).ok_or_else(|| unsupported("redirect with this code"))?)
            }
            End::Respond { code, text } => Handler::Respond {
                code: StatusCode::from_u16(*code).map_err(|_| unsupported("respond with this code"))?,
                text: Bytes::copy_from_slice(text.as_bytes()),
            },
            End::Files(files) => Handler::Files(Files::new(files, build.private)),
        };
        Ok(Self {
            steps: Step::of(&block.policy, &block.path, build)
                .map_err(|source| BuildError::Auth { at: block.at.clone(), source: Box::new(source) })?,
            request_headers: Edits::of(&block.policy.request_headers),
            guard: Arc::new(Guard::of(&block.policy)),
            adds_fields: matches!(block.policy.auth, Some(Auth::Forward(_))),
            ending,
            pages: block.policy.errors.as_deref().map(|folder| pages(folder, &block.at, build)).transpose()?,
            client_certs,
            logged: block.policy.access_log != Some(false),
            tunnel: Rules { message: block.policy.limit_message, budget: None, ping: block.policy.ping, idle: block.policy.idle },
            messages: block.policy.limit_message.and_then(|limit| limit.rate).map(|rate| {
                let rate = MessageBudget::rate(rate);
                build.kept.messages(build.before, build.site, rate, Instant::now())
            }),
            max_age: block.policy.max_age,
            at: block.at.clone(),
        })
    }
}

/// A cluster for each group, in the order of the settings.
fn groups(
    upstreams: &[Upstream],
    before: Option<&Snapshot>,
    trust: &TlsTrust,
) -> Result<Vec<Arc<UpstreamGroup>>, BuildClusterError> {
    let known = before.map(|before| by_name(&before.clusters)).unwrap_or_default();
    upstreams.iter().map(|upstream| UpstreamGroup::build(upstream, known.get(&*upstream.name).copied(), trust)).collect()
}

/// A cluster for a service that is asked who may pass; the same for all who ask alike, `list` being those there are.
fn service(
    upstream: &Upstream,
    list: &mut Vec<Arc<UpstreamGroup>>,
    before: Option<&Snapshot>,
    trust: &TlsTrust,
) -> Result<Arc<UpstreamGroup>, BuildClusterError> {
    let known = |list: &[Arc<UpstreamGroup>]| list.iter().find(|group| group.settings() == upstream).map(Arc::clone);
    if let Some(known) = known(list) {
        return Ok(known);
    }
    let group = UpstreamGroup::build(upstream, before.and_then(|before| known(&before.services)).as_ref(), trust)?;
    list.push(Arc::clone(&group));
    Ok(group)
}

/// An index, for a reload with ten thousand sites looks up as many groups.
fn by_name(groups: &[Arc<UpstreamGroup>]) -> HashMap<&str, &Arc<UpstreamGroup>> {
    groups.iter().map(|group| (&*group.settings().name, group)).collect()
}

/// The pages of a folder, read once however many blocks have it.
fn pages(folder: &Path, at: &Place, build: &mut Building<'_>) -> Result<Arc<Pages>, BuildError> {
    if let Some(known) = build.pages.get(folder) {
        return Ok(Arc::clone(known));
    }
    let pages = Pages::read(folder).map_err(|source| BuildError::Pages { at: at.clone(), source })?;
    let pages = Arc::new(pages);
    build.pages.insert(folder.to_owned(), Arc::clone(&pages));
    Ok(pages)
}
