//! Sites that ask clients for a certificate, by what a handshake knows: port, name, address. There is none of this where
//! no site asks.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::base::name::HostName;
use crate::config::settings::Site;
use crate::proxy::arrive::Host;
use crate::proxy::route::RouteTable;
use crate::proxy::visitors::Visitors;

/// See the module.
#[derive(Debug)]
pub struct ClientAuthSites {
    routes: RouteTable,
    visitors: Vec<Option<Arc<Visitors>>>,
}

impl ClientAuthSites {
    /// `visitors` are those of each site. `None` when no site asks.
    pub fn new(sites: &[Site], visitors: &[Option<Arc<Visitors>>]) -> Option<Arc<Self>> {
        let asks = visitors.iter().any(Option::is_some);
        asks.then(|| Arc::new(Self { routes: RouteTable::new(sites), visitors: visitors.to_vec() }))
    }

    /// Who may come to the site of a handshake, and which site it is, if that asks. A client that names nobody wants the
    /// address it came to.
    pub fn site(&self, server_name: Option<&str>, local: SocketAddr) -> Option<(usize, &Arc<Visitors>)> {
        let host = match server_name {
            Some(name) => Host::Name(HostName::parse(name).ok()?),
            None => Host::Ip(local.ip()),
        };
        let site = self.routes.site(local.port(), &host)?;
        self.visitors.get(site)?.as_ref().map(|visitors| (site, visitors))
    }

    /// Each site that asks, with whom it lets in.
    pub fn sites(&self) -> impl Iterator<Item = (usize, &Arc<Visitors>)> {
        self.visitors.iter().enumerate().filter_map(|(site, visitors)| Some((site, visitors.as_ref()?)))
    }
}
