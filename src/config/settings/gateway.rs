//! The configuration of the gateway as a whole.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::limits::{Ban, GatewayLimits, Timeouts};
use super::log::Log;
use super::ports::{PortMap, PublicPorts};
use super::site::{Site, SiteTls};
use super::tls::{DefaultCertificate, Tls};
use super::{Acme, Upstream};
use crate::base::addr::IpNet;
use crate::config::env_values::EnvValues;

/// The whole configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Contact for the authority's account; optional everywhere.
    pub email: Option<String>,
    /// The folder that survives restarts.
    pub state: PathBuf,
    /// The operator's Unix socket; `None` when switched off.
    pub admin: Option<PathBuf>,
    /// Addresses to listen on. `::` alone takes IPv4 as well.
    pub bind: Vec<IpAddr>,
    /// Where challenges are answered and plain requests are sent on to https.
    pub http_port: u16,
    /// Where https and wss are served.
    pub https_port: u16,
    /// Where clients reach these two ports.
    pub public_ports: PublicPorts,
    /// HTTP versions offered to clients.
    pub protocols: Protocols,
    /// TLS with clients.
    pub tls: Tls,
    /// Whose `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Who must say by the PROXY protocol whose connection it is.
    pub proxy_protocol_from: Vec<IpNet>,
    /// How long open requests and tunnels may last once the gateway is told to stop.
    pub drain: Duration,
    /// Limits on a client's slowness.
    pub timeouts: Timeouts,
    /// Limits for the gateway as a whole.
    pub limits: GatewayLimits,
    /// Who is shut out for a while; nobody where there is none.
    pub ban: Option<Ban>,
    /// The authority for sites that name none.
    pub acme: Arc<Acme>,
    /// Where and how is logged.
    pub log: Log,
    /// Every backend group, named or written in place.
    pub upstreams: Vec<Upstream>,
    /// Sites in the order of the text.
    pub sites: Vec<Site>,
    /// Files that all this was read from: the configuration, what it imports, and files with secrets.
    pub sources: Vec<PathBuf>,
    /// What of it came from the environment.
    pub env_values: EnvValues,
}

impl Settings {
    /// Which public port leads to which port that is listened on.
    pub const fn port_map(&self) -> PortMap {
        PortMap::new(PublicPorts { plain: self.http_port, tls: self.https_port }, self.public_ports)
    }

    /// Files that hold secrets or say where they are, and are never served by `files`: sources and private keys. The state
    /// folder is another.
    pub fn private_files(&self) -> BTreeSet<&Path> {
        let sites = self.sites.iter().filter_map(|site| match &site.tls {
            SiteTls::Files { key, .. } => Some(key),
            SiteTls::Acme(_) | SiteTls::Internal | SiteTls::Off => None,
        });
        let default = self.tls.default_certificate.iter().filter_map(|default| match default {
            DefaultCertificate::Files { key, .. } => Some(key),
            DefaultCertificate::Host(_) => None,
        });
        let upstreams = self.upstreams.iter().filter_map(|group| group.tls.client.as_ref().map(|(_, key)| key));
        self.sources.iter().chain(sites).chain(default).chain(upstreams).map(PathBuf::as_path).collect()
    }
}

/// HTTP versions offered to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    /// HTTP/1.1, RFC 9112.
    pub h1: bool,
    /// HTTP/2, RFC 9113.
    pub h2: bool,
    /// HTTP/3, RFC 9114.
    pub h3: bool,
}
