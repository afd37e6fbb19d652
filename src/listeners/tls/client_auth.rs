//! Sites that ask clients for a certificate, by what a handshake knows: port, name, address. There is none of this where
//! no site asks.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::base::name::HostName;
use crate::config::settings::Site;
use crate::proxy::client_cert::ClientCertPolicy;
use crate::proxy::route::RouteTable;
use crate::proxy::validate::Host;

/// See the module.
#[derive(Debug)]
pub struct ClientAuthSites {
    routes: RouteTable,
    client_certs: Vec<Option<Arc<ClientCertPolicy>>>,
}

impl ClientAuthSites {
    /// `client_certs` are those of each site. `None` when no site asks.
    pub fn new(sites: &[Site], client_certs: &[Option<Arc<ClientCertPolicy>>]) -> Option<Arc<Self>> {
        let asks = client_certs.iter().any(Option::is_some);
        asks.then(|| Arc::new(Self { routes: RouteTable::new(sites), client_certs: client_certs.to_vec() }))
    }

    /// Who may come to the site of a handshake, and which site it is, if that asks. A client that names nobody wants the
    /// address it came to.
    pub fn site(&self, server_name: Option<&str>, local: SocketAddr) -> Option<(usize, &Arc<ClientCertPolicy>)> {
        let host = match server_name {
            Some(name) => Host::Name(HostName::parse(name).ok()?),
            None => Host::Ip(local.ip()),
        };
        let site = self.routes.site(local.port(), &host)?;
        self.client_certs.get(site)?.as_ref().map(|client_certs| (site, client_certs))
    }

    /// Each site that asks, with whom it lets in.
    pub fn sites(&self) -> impl Iterator<Item = (usize, &Arc<ClientCertPolicy>)> {
        self.client_certs.iter().enumerate().filter_map(|(site, client_certs)| Some((site, client_certs.as_ref()?)))
    }
}
