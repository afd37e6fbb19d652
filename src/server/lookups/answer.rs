//! The addresses that a name has now, and for how long that may be believed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::net::lookup_host;

use super::hosts;
use crate::base::name::HostName;
use crate::certs::dns::{self, Dns, DnsError};
use crate::config::settings::Resolve;

/// An answer is believed no shorter, whatever its TTL says: some servers say zero.
const LEAST: Duration = Duration::from_secs(5);
/// And no longer. Docker says ten minutes for addresses that change at each deploy; and to ask once a minute costs nothing.
const MOST: Duration = Duration::from_secs(60);
/// Names that this machine knows without asking anybody (hosts(5)).
const HOSTS: &str = "/etc/hosts";

/// Where a name is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Never empty; in order, and each once, so that a server that turns them round changes nothing.
    pub(super) addresses: Vec<IpAddr>,
    pub(super) good_for: Duration,
}

/// Why a name could not be looked up.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookupError {
    #[error(transparent)]
    Dns(#[from] DnsError),
    #[error("the system's resolver finds no address of {name}")]
    System {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("{name} has no address, says the system's resolver")]
    Nothing { name: String },
}

/// Looks `name` up as the settings ask for.
pub(super) async fn addresses(rule: &Resolve, name: &HostName) -> Result<Found, LookupError> {
    let Found { mut addresses, good_for } = match rule {
        Resolve::Every(span) => by_system(name, *span).await?,
        Resolve::Dns(servers) if servers.is_empty() => as_the_system_does(name).await?,
        Resolve::Dns(servers) => by_dns(servers, [name.as_str().to_owned()]).await?,
    };
    addresses.sort_unstable();
    addresses.dedup();
    Ok(Found { addresses, good_for })
}

/// The hosts file first, then DNS with the machine's search domains; and where that says that there is no such name, whatever
/// else the machine may have been told to ask (nsswitch.conf(5)).
async fn as_the_system_does(name: &HostName) -> Result<Found, LookupError> {
    let listed = hosts::addresses(Path::new(HOSTS), name);
    if !listed.is_empty() {
        return Ok(Found { addresses: listed, good_for: MOST });
    }
    match by_dns(&[], dns::spellings(name.as_str())).await {
        Err(error) if error.is_absence() || matches!(error, DnsError::NoServers { .. }) => {
            by_system(name, MOST).await.map_err(|_| error.into())
        }
        answer => Ok(answer?),
    }
}

/// The first of several names that exists.
async fn by_dns(servers: &[SocketAddr], names: impl IntoIterator<Item = String>) -> Result<Found, DnsError> {
    let dns = Dns::configured(servers)?;
    let mut nothing = None;
    for name in names {
        match dns.addresses_for(&name).await {
            Ok((addresses, ttl)) => return Ok(Found { addresses, good_for: ttl.clamp(LEAST, MOST) }),
            Err(error) if error.is_absence() => nothing = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(nothing.expect("a name has at least one spelling"))
}

async fn by_system(name: &HostName, good_for: Duration) -> Result<Found, LookupError> {
    let owned = || name.as_str().to_owned();
    let found = lookup_host((name.as_str(), 0)).await.map_err(|source| LookupError::System { name: owned(), source })?;
    let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    if addresses.is_empty() { Err(LookupError::Nothing { name: owned() }) } else { Ok(Found { addresses, good_for }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_only_the_machine_knows_are_found_whichever_way() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let name = HostName::parse("localhost").unwrap();
        for (rule, good_for) in
            [(Resolve::Dns(Vec::new()), MOST), (Resolve::Every(Duration::from_secs(7)), Duration::from_secs(7))]
        {
            let found = runtime.block_on(addresses(&rule, &name)).unwrap();
            assert!(found.addresses.contains(&IpAddr::from([127, 0, 0, 1])), "{found:?}");
            assert_eq!(found.good_for, good_for);
        }
    }
}
