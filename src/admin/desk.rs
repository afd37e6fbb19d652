//! What operators ask, done by the running gateway.

use std::rc::{Rc, Weak};

use super::api::{CertLine, CertsReport, Operator, Refusal, ReloadReport, StatusReport};
use crate::base::addr::ListenAddr;
use crate::base::chain::Chain;
use crate::certs::keeper::RenewError;
use crate::certs::status::NameStatus;
use crate::listeners::bind::{Role, Spot};
use crate::server::gateway::Gateway;
use crate::server::reload::ReloadError;

/// Stands between the socket and the gateway, and does not keep it alive: a gateway that has drained may go.
#[derive(Clone)]
pub struct Desk(Weak<Gateway>);

impl Desk {
    /// At this gateway.
    pub fn new(gateway: &Rc<Gateway>) -> Self {
        Self(Rc::downgrade(gateway))
    }

    fn gateway(&self) -> Result<Rc<Gateway>, Refusal> {
        self.0.upgrade().ok_or_else(|| Refusal::gateway("the gateway is stopping"))
    }
}

impl Operator for Desk {
    async fn reload(&self) -> Result<ReloadReport, Refusal> {
        let gateway = self.gateway()?;
        match gateway.reload().await {
            Ok(report) => Ok(ReloadReport {
                file: gateway.file().map(|file| file.display().to_string()).unwrap_or_default(),
                sites: report.sites as u64,
                warnings: report.warnings,
            }),
            Err(error @ ReloadError::Load(_)) => Err(Refusal::config(error.to_string())),
            Err(error) => Err(Refusal::gateway(format!("The gateway goes on as before: {}", Chain(&error)))),
        }
    }

    async fn status(&self) -> StatusReport {
        self.gateway().map(|gateway| status(&gateway)).unwrap_or_default()
    }

    async fn certs(&self) -> CertsReport {
        let lines = |gateway: Rc<Gateway>| gateway.certs().status().iter().map(line).collect();
        CertsReport { certs: self.gateway().map(lines).unwrap_or_default() }
    }

    async fn renew(&self, name: &str) -> Result<(), Refusal> {
        self.gateway()?.certs().renew(name).await.map_err(|error| match error {
            RenewError::Unknown(_) | RenewError::Files { .. } | RenewError::Held { .. } => Refusal::question(error.to_string()),
            RenewError::Stopping => Refusal::gateway(error.to_string()),
        })
    }
}

fn line(status: &NameStatus) -> CertLine {
    let status = status.clone();
    CertLine {
        names: status.names,
        state: status.state.as_str().into(),
        issuer: status.issuer,
        expires: status.not_after,
        next_attempt: status.next_attempt,
        next_why: status.next_why,
        failures: status.fails,
        last_error: status.last_error,
        challenge: status.challenge,
        unsaved: status.unsaved,
    }
}

/// What runs.
fn status(gateway: &Gateway) -> StatusReport {
    let settings = gateway.settings();
    let proxy = &gateway.metrics().proxy;
    StatusReport {
        version: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        up_seconds: gateway.uptime().as_secs(),
        config: gateway.file().map(|file| file.display().to_string()).unwrap_or_default(),
        state: settings.state.display().to_string(),
        listens: gateway.spots().iter().map(listen).collect(),
        sites: settings.sites.len() as u64,
        connections: proxy.connections.read(),
        tunnels: proxy.tunnels.read(),
        requests: proxy.requests.read(),
        refused: proxy.refused.read(),
        handshakes_failed: proxy.handshakes_failed.read(),
    }
}

fn listen(spot: &Spot) -> String {
    let spoken = match spot.role {
        Role::Tls => "https, wss",
        Role::Plain => "http",
        Role::Quic => "https, QUIC",
    };
    format!("{} ({spoken})", ListenAddr(spot.addr))
}
