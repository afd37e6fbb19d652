//! The zone that a name lies in, and the servers that answer for it.

use std::net::{IpAddr, SocketAddr};

use super::client::Dns;
use super::error::DnsError;
use super::kind::Kind;
use super::name::{parse, text, with_parents};
use super::system::PORT;

/// Servers of a zone that are looked at. The root has thirteen; nobody has more.
const MAX_SERVERS: usize = 13;

/// A zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its topmost name.
    pub apex: String,
    /// Who answers for it; never empty, and at least one has an address.
    pub servers: Vec<NameServer>,
}

/// A name server of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServer {
    /// Its name.
    pub name: String,
    /// Where it is asked; empty when its name has no address.
    pub addresses: Vec<SocketAddr>,
}

impl Dns {
    /// The apex of the zone that `name` lies in, whether the name exists or not.
    pub async fn apex(&self, name: &str) -> Result<String, DnsError> {
        let name = text(&parse(name)?);
        for at in with_parents(&name) {
            let asked = parse(at)?;
            if let Some(apex) = self.ask(&asked, Kind::Soa).await?.apex(&asked) {
                return Ok(apex);
            }
        }
        Err(DnsError::NoSuchRecord { name, kind: Kind::Soa, server: self.servers[0] })
    }

    /// The zone that `name` lies in with the servers that answer for it. A server whose address is one of those we ask
    /// is asked at the same port as there, others at 53.
    pub async fn zone(&self, name: &str) -> Result<Zone, DnsError> {
        let apex = self.apex(name).await?;
        let mut servers = Vec::new();
        let mut failed = None;
        for name in self.ns(&apex).await?.into_iter().take(MAX_SERVERS) {
            let addresses = self.addresses(&name).await.unwrap_or_else(|error| {
                failed = Some(error);
                Vec::new()
            });
            let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, self.port_of(ip))).collect();
            servers.push(NameServer { name, addresses });
        }
        match failed {
            Some(error) if servers.iter().all(|server| server.addresses.is_empty()) => Err(error),
            _ => Ok(Zone { apex, servers }),
        }
    }

    fn port_of(&self, ip: IpAddr) -> u16 {
        self.servers.iter().find(|server| server.ip() == ip).map_or(PORT, SocketAddr::port)
    }
}
