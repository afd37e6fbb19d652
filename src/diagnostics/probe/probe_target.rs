//! Where bytes go, and by which TLS.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::base::loopback;
use crate::config::settings::{Target, TargetAddress, TargetScheme, UpstreamTls};
use crate::diagnostics::explain::ExplainRequest;
use crate::proxy::upstream::tls::{TlsTrust, TrustError};
use crate::proxy::validate::Host;

/// Where bytes go.
pub(super) struct ProbeTarget {
    /// For people.
    pub(super) shown: String,
    pub(super) at: At,
    pub(super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

pub(super) enum At {
    Name(String, u16),
    Address(SocketAddr),
    /// A port of this machine at either loopback address.
    Loopback(u16),
    Unix(PathBuf),
}

/// Where the request of `question` goes: to `connect` where that is given.
pub(super) fn place_of(question: &ExplainRequest, connect: Option<SocketAddr>, config: &Arc<ClientConfig>) -> ProbeTarget {
    let port = question.named_port.unwrap_or(if question.secure { 443 } else { 80 });
    let at = match (&question.host, connect) {
        (_, Some(address)) => At::Address(address),
        (Host::Ip(ip), None) => At::Address(SocketAddr::new(*ip, port)),
        (Host::Name(name), None) if loopback::is_meant_by(name.as_str()) => At::Loopback(port),
        (Host::Name(name), None) => At::Name(name.to_string(), port),
    };
    let tls = question.secure.then(|| server_name(&question.host).map(|name| (Arc::clone(config), name))).flatten();
    ProbeTarget { shown: question.authority(), at, tls }
}

fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Name(name) => ServerName::try_from(name.to_string()).ok(),
        Host::Ip(ip) => Some(ServerName::from(*ip)),
    }
}

impl ProbeTarget {
    pub(super) fn of_target(target: &Target, tls: &UpstreamTls, trust: &TlsTrust) -> Result<Self, TrustError> {
        let address = &target.address;
        let at = match address {
            TargetAddress::Socket(address) => At::Address(*address),
            TargetAddress::Loopback(port) => At::Loopback(*port),
            TargetAddress::Name(name, port) => match address.loopback_port() {
                Some(port) => At::Loopback(port),
                None => At::Name(name.to_string(), *port),
            },
            TargetAddress::Unix(path) => At::Unix(path.clone()),
        };
        let host = match (&tls.server_name, address) {
            (Some(name), _) | (None, TargetAddress::Name(name, _)) => Some(Host::Name(name.clone())),
            (None, TargetAddress::Socket(address)) => Some(Host::Ip(address.ip())),
            (None, TargetAddress::Loopback(_)) => Some(Host::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST))),
            (None, TargetAddress::Unix(_)) => None,
        };
        let tls = match (target.scheme, host.as_ref().and_then(server_name)) {
            (TargetScheme::Https, Some(name)) => Some((trust.client(tls)?, name)),
            (TargetScheme::Https | TargetScheme::Http | TargetScheme::H2c, _) => None,
        };
        Ok(Self { shown: target.to_string(), at, tls })
    }
}
