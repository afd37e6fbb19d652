//! What operators ask, done by the running gateway.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::api::{
    AccountDone, AccountRequest, AccountsReport, BansReport, CertLine, CertsReport, DrainReport, Operator, Refusal,
};
use super::api::{ReloadReport, RemarkLine, RevokeReport, StatusReport, TestReport};
use super::backends;
use super::certs::line;
use crate::base::addr::ListenAddr;
use crate::base::error_chain::ErrorChain;
use crate::base::name::HostPattern;
use crate::base::task;
use crate::base::time::{Clock, SystemClock};
use crate::certs::manager::RenewError;
use crate::certs::preflight::self_test::{SelfTest, SelfTestGuard};
use crate::certs::status::NameStatus;
use crate::config::settings::PortMap;
use crate::listeners::bind::{ListenKey, Role};
use crate::server::gateway::Gateway;
use crate::server::reload::{ReloadError, Wanted};
use crate::telemetry::log::events;
use crate::telemetry::metrics::certs::CertMetrics;
use crate::telemetry::metrics::proxy::ProxyMetrics;
use crate::telemetry::remarks::Remark;

mod certs;

/// How long a light burns: for as many names as are looked at in one go.
const BURNS: Duration = Duration::from_secs(120);

/// Clients that are listed by `bans`: more than a person reads, and few enough for one line.
const MAX_BANS: usize = 10_000;

/// Stands between the socket and the gateway, and does not keep it alive: a gateway that has drained may go.
#[derive(Clone)]
pub struct AdminHandler(Weak<Gateway>);

impl AdminHandler {
    /// At this gateway.
    pub fn new(gateway: &Rc<Gateway>) -> Self {
        Self(Rc::downgrade(gateway))
    }

    fn gateway(&self) -> Result<Rc<Gateway>, Refusal> {
        self.0.upgrade().ok_or_else(|| Refusal::gateway("the gateway is stopping"))
    }
}

impl Operator for AdminHandler {
    async fn reload(&self, allow_empty: bool) -> Result<ReloadReport, Refusal> {
        let gateway = self.gateway()?;
        let wanted = if allow_empty { Wanted::WithoutSites } else { Wanted::ByOperator };
        match gateway.reload(wanted).await {
            Ok(report) => Ok(ReloadReport {
                file: gateway.file().map(|file| file.display().to_string()).unwrap_or_default(),
                sites: report.sites as u64,
                warnings: report.warnings,
            }),
            Err(error @ ReloadError::Load(_)) => Err(Refusal::config(error.to_string())),
            Err(error) => Err(Refusal::gateway(format!("The gateway goes on as before: {}", ErrorChain(&error)))),
        }
    }

    async fn status(&self) -> StatusReport {
        self.gateway().map(|gateway| status(&gateway)).unwrap_or_default()
    }

    async fn certs(&self) -> CertsReport {
        let Ok(gateway) = self.gateway() else { return CertsReport::default() };
        let remarks = gateway.metrics().remarks.list();
        let noted = |line: CertLine| {
            let about = |remark: &&Remark| remark.event == events::CERTIFICATE_NOT_TRUSTED && line.names.contains(&remark.about);
            let notes = remarks.iter().filter(about).map(|remark| remark.text.clone()).collect();
            CertLine { notes, ..line }
        };
        CertsReport { certs: gateway.certs().status().iter().map(line).map(noted).collect() }
    }

    async fn drain(&self, target: &str, drained: bool) -> Result<DrainReport, Refusal> {
        let done = self.gateway()?.set_drained(target, drained).map_err(|error| Refusal::question(error.to_string()))?;
        Ok(DrainReport { target: done.target, upstreams: done.groups, drained, open: done.open })
    }

    async fn beacon(&self) -> Result<SelfTest, Refusal> {
        let gateway = self.gateway()?;
        let lit = SelfTestGuard::new(&gateway.certs().board, SystemClock.now());
        let lit = lit.map_err(|error| Refusal::gateway(format!("no light can be shown: {}", ErrorChain(&error))))?;
        let beacon = lit.beacon.clone();
        task::spawn_local("beacon", async move {
            tokio::time::sleep(BURNS).await;
            drop(lit);
        });
        Ok(beacon)
    }

    async fn renew(&self, name: &str, insist: bool) -> Result<(), Refusal> {
        let gateway = self.gateway()?;
        let certs = gateway.certs();
        let begun = if insist { certs.renew_regardless(name).await } else { certs.renew(name).await };
        begun.map_err(|error| match error {
            RenewError::Unknown(_) | RenewError::Files { .. } | RenewError::Held { .. } => Refusal::question(error.to_string()),
            RenewError::Stopping => Refusal::gateway(error.to_string()),
        })
    }

    async fn revoke(&self, name: &str, reason: &str) -> Result<RevokeReport, Refusal> {
        certs::revoke(self.gateway()?.certs(), name, reason).await
    }

    async fn test(&self, name: &str, directory: Option<&str>) -> Result<TestReport, Refusal> {
        certs::test(self.gateway()?.certs(), name, directory).await
    }

    async fn accounts(&self) -> AccountsReport {
        match self.gateway() {
            Ok(gateway) => certs::accounts(gateway.certs()).await,
            Err(_) => AccountsReport::default(),
        }
    }

    async fn account(&self, wish: AccountRequest, issuer: Option<&str>) -> Result<AccountDone, Refusal> {
        certs::account(self.gateway()?.certs(), wish, issuer).await
    }

    async fn maintain(&self, site: Option<&str>, seconds: Option<u64>) -> Result<Vec<String>, Refusal> {
        let unknown = |name: &str| {
            Refusal::question(format!("no site has the host {}; name one as the configuration does", name.escape_debug()))
        };
        let host = match site {
            Some(name) => Some(HostPattern::parse(name).map_err(|_| unknown(name))?),
            None => None,
        };
        let sites = self.gateway()?.maintain(host.as_ref(), seconds);
        if sites.is_empty() { Err(unknown(site.unwrap_or_default())) } else { Ok(sites) }
    }

    async fn bans(&self) -> BansReport {
        let out = self.gateway().map(|gateway| gateway.shut_out(usize::MAX)).unwrap_or_default();
        let more = out.len().saturating_sub(MAX_BANS) as u64;
        BansReport { clients: banned(out.into_iter().take(MAX_BANS)), more }
    }

    async fn unban(&self, client: Option<IpAddr>) -> Result<u64, Refusal> {
        match (self.gateway()?.let_in(client), client) {
            (None, _) => Err(Refusal::question("nobody is shut out: the configuration has no line `ban`")),
            (Some(0), Some(client)) => Err(Refusal::question(format!("{client} is not shut out; `doorward bans` tells who is"))),
            (Some(count), _) => Ok(count as u64),
        }
    }
}

/// What runs.
fn status(gateway: &Gateway) -> StatusReport {
    let settings = gateway.settings();
    let proxy = &gateway.metrics().proxy;
    let failures = gateway.metrics().handshakes.failures().filter(|(_, count)| *count > 0);
    StatusReport {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        up_seconds: gateway.uptime().as_secs(),
        config: gateway.file().map(|file| file.display().to_string()).unwrap_or_default(),
        state: settings.state.display().to_string(),
        listens: gateway.spots().iter().map(|at| listen(at, settings.port_map())).collect(),
        sites: settings.sites.len() as u64,
        connections: proxy.connections.read(),
        tunnels: proxy.tunnels.read(),
        requests: proxy.requests.read(),
        refused: proxy.refused.read(),
        handshakes_failed: gateway.metrics().handshakes.failures().map(|(_, count)| count).sum(),
        handshakes_failed_by: failures.map(|(fault, count)| (fault.code().to_owned(), count)).collect(),
        maintenance: gateway.maintained(),
        banned: banned(gateway.shut_out(100)),
        turned_away: proxy.banned_connections.read() + proxy.shed.read(),
        tunnels_opened: proxy.tunnels_opened.read(),
        reconnects: proxy.reconnects.read(),
        tunnel_seconds: proxy.tunnel_seconds.read().filter(|(_, count)| *count > 0).collect(),
        upgrades_failed: proxy.upgrades_failed.read().map(|(reason, count)| (reason.to_owned(), count)).collect(),
        security: security(proxy),
        alarms: alarms(
            &gateway.certs().status(),
            gateway.metrics().certs.is_stalled(SystemClock.now()),
            gateway.certs().hanging(),
            &gateway.metrics().certs,
        ),
        remarks: gateway.metrics().remarks.list().into_iter().map(remark).collect(),
        upstreams: backends::lines(gateway.snapshot().clusters()),
    }
}

fn remark(remark: Remark) -> RemarkLine {
    RemarkLine { event: remark.event.to_owned(), about: remark.about, text: remark.text, at: remark.at.to_string() }
}

/// Clients with the seconds that are left.
fn banned(out: impl IntoIterator<Item = (IpAddr, Duration)>) -> Vec<(String, u64)> {
    out.into_iter().map(|(client, left)| (client.to_string(), left.as_secs())).collect()
}

/// What clients did wrong, as far as it happened.
fn security(proxy: &ProxyMetrics) -> BTreeMap<String, u64> {
    let counts = [
        (events::ORIGIN_REFUSED, &proxy.origin_refused),
        (events::RATE_LIMITED, &proxy.rate_limited),
        (events::TOO_MANY_CONNECTIONS, &proxy.connections_limited),
        (events::MESSAGE_LIMIT, &proxy.messages_limited),
        (events::AUTH_FAILED, &proxy.auth_failed),
    ];
    counts.into_iter().map(|(event, count)| (event.to_owned(), count.read())).filter(|(_, count)| *count > 0).collect()
}

/// What an operator would be woken for, whether or not `alert` names anybody.
fn alarms(certs: &[NameStatus], stalled: bool, hanging: Option<String>, metrics: &CertMetrics) -> Vec<String> {
    let mut alarms = Vec::new();
    if stalled {
        alarms.push("the loop that renews certificates stands still; restart the gateway, and report it".to_owned());
    }
    let unwritable = (metrics.state_unwritable.read() != 0).then(|| "the state folder cannot be written".to_owned());
    if let Some(why) = hanging.or(unwritable) {
        alarms.push(format!("{why}; what is in memory is served, and nothing new is ordered"));
    }
    for status in certs.iter().filter(|status| status.alarmed.is_some()) {
        let (name, ends) = (status.names.first().map_or("", String::as_str), status.not_after.as_deref().unwrap_or_default());
        alarms.push(format!("the certificate of {name} ends at {ends} and has no successor; see `doorward certs show {name}`"));
    }
    alarms
}

fn listen(spot: &ListenKey, ports: PortMap) -> String {
    let spoken = match spot.role {
        Role::Tls => "https, wss",
        Role::Plain => "http",
        Role::Quic => "https, QUIC",
    };
    let addr = spot.addr;
    let public = ports.public(addr.port());
    let public = if public == addr.port() { String::new() } else { format!(", public port {public}") };
    format!("{} ({spoken}){public}", ListenAddr(addr))
}
