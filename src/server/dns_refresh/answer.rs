//! Where a name leads to now, and for how long that may be believed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use crate::base::name::HostName;
use crate::base::task::BlockingSlot;
use crate::config::settings::Resolve;
use crate::net::dns::{Dns, DnsError, Service, SystemDns, hosts};
use crate::net::system_resolver::SystemResolver;
use crate::proxy::upstream::dns_discovery::{ResolvedAddr, Served};

/// An answer is believed no shorter, whatever its TTL says: some servers say zero.
const MIN_TTL: Duration = Duration::from_secs(5);
/// And no longer. Docker says ten minutes for addresses that change at each deploy; and to ask once a minute costs nothing.
const MAX_TTL: Duration = Duration::from_secs(60);
/// Names that this machine knows without asking anybody (hosts(5)).
const HOSTS: &str = "/etc/hosts";
/// For reading a small file.
const FILES_TIMEOUT: Duration = Duration::from_secs(5);
/// The system's resolver gives up by then in its usual settings (resolv.conf(5)).
const RESOLVER_TIMEOUT: Duration = Duration::from_secs(30);
/// Records of a service whose addresses are asked for.
const MAX_SERVICES: usize = 32;

/// Where a name leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Never empty; in order, and each once, so that a server that turns them round changes nothing.
    pub(super) spots: Vec<ResolvedAddr>,
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

/// Looks `name` up as the settings ask for; `scheme` is how its targets are spoken to, in a URL's word.
pub(super) async fn spots(system: &System, rule: &Resolve, name: &HostName, scheme: &str) -> Result<Found, LookupError> {
    let Found { mut spots, good_for } = match rule {
        Resolve::Every(span) => system.by_resolver(name, *span).await?,
        Resolve::Dns(servers) if servers.is_empty() => system.as_it_does(name).await?,
        Resolve::Dns(servers) => system.by_dns(servers, name.as_str()).await?,
        Resolve::Srv(servers) => system.by_service(servers, name.as_str(), scheme).await?,
    };
    spots.sort_unstable();
    spots.dedup_by_key(|spot| (spot.ip, spot.service.map(|service| service.port)));
    Ok(Found { spots, good_for })
}

/// What this machine is asked by: its resolver, and the files that are read for a lookup.
#[derive(Debug)]
pub(super) struct System {
    resolver: SystemResolver,
    /// At most one thread hangs where /etc does not answer.
    files: BlockingSlot,
}

impl System {
    pub(super) fn new(resolver: SystemResolver) -> Self {
        Self { resolver, files: BlockingSlot::default() }
    }

    /// The hosts file first, then DNS with the machine's search domains; and where that says that there is no such name, whatever
    /// else the machine may have been told to ask (nsswitch.conf(5)).
    async fn as_it_does(&self, name: &HostName) -> Result<Found, LookupError> {
        let asked = name.clone();
        let read = move || hosts::addresses(Path::new(HOSTS), &asked);
        let listed = self.files.run("hosts-read", FILES_TIMEOUT, read).await.unwrap_or_default();
        if !listed.is_empty() {
            return Ok(plain(listed, MAX_TTL));
        }
        match self.by_dns(&[], name.as_str()).await {
            Err(error) if error.is_absence() || matches!(error, DnsError::NoServers { .. }) => {
                self.by_resolver(name, MAX_TTL).await.map_err(|_| error.into())
            }
            answer => Ok(answer?),
        }
    }

    async fn by_dns(&self, servers: &[SocketAddr], name: &str) -> Result<Found, DnsError> {
        let (dns, names) = self.whom_and_what(servers, &[name]).await?;
        let (addresses, ttl) = first_of(names, async |name| dns.addresses_for(&name).await).await?;
        Ok(plain(addresses, believed(ttl)))
    }

    /// The service of the name's own, as Kubernetes has it, or else what the name itself has, as Consul does.
    async fn by_service(&self, servers: &[SocketAddr], name: &str, scheme: &str) -> Result<Found, DnsError> {
        let (dns, names) = self.whom_and_what(servers, &[&format!("_{scheme}._tcp.{name}"), name]).await?;
        let (services, mut ttl) = first_of(names, async |name| dns.services(&name).await).await?;
        let first = services.iter().map(|service| service.priority).min();
        let (mut spots, mut nothing) = (Vec::new(), None);
        for service in services.iter().take(MAX_SERVICES) {
            match dns.addresses_for(&service.target).await {
                Ok((addresses, own)) => {
                    ttl = ttl.min(own);
                    let served = served(service, first);
                    spots.extend(addresses.into_iter().map(|ip| ResolvedAddr { ip, service: Some(served) }));
                }
                Err(error) if error.is_absence() => nothing = Some(error),
                Err(error) => return Err(error),
            }
        }
        match nothing {
            Some(nothing) if spots.is_empty() => Err(nothing),
            _ => Ok(Found { spots, good_for: believed(ttl) }),
        }
    }

    /// Whom to ask, and the whole names that are meant: search domains are this machine's, and no matter of servers that the
    /// settings name.
    async fn whom_and_what(&self, servers: &[SocketAddr], names: &[&str]) -> Result<(Dns, Vec<String>), DnsError> {
        if !servers.is_empty() {
            return Ok((Dns::asking(servers), names.iter().map(|name| (*name).to_owned()).collect()));
        }
        let system = SystemDns::read(&self.files).await?;
        Ok((Dns::asking(&system.servers()?), names.iter().flat_map(|name| system.spellings(name)).collect()))
    }

    async fn by_resolver(&self, name: &HostName, good_for: Duration) -> Result<Found, LookupError> {
        let owned = || name.as_str().to_owned();
        let asked = timeout(RESOLVER_TIMEOUT, self.resolver.lookup(name.as_str(), 0)).await;
        let found = asked.unwrap_or_else(|_elapsed| Err(io::Error::new(io::ErrorKind::TimedOut, "no answer within 30 s")));
        let found = found.map_err(|source| LookupError::System { name: owned(), source })?;
        let addresses: Vec<IpAddr> = found.iter().map(SocketAddr::ip).collect();
        if addresses.is_empty() { Err(LookupError::Nothing { name: owned() }) } else { Ok(plain(addresses, good_for)) }
    }
}

/// `first` is the priority of those that come first.
fn served(service: &Service, first: Option<u16>) -> Served {
    // A weight of zero means a small share (RFC 2782).
    let weight = u32::from(service.weight.max(1));
    Served { port: service.port, weight, backup: first != Some(service.priority) }
}

/// What the first of several names that exists has.
async fn first_of<T>(names: Vec<String>, ask: impl AsyncFn(String) -> Result<T, DnsError>) -> Result<T, DnsError> {
    let mut nothing = None;
    for name in names {
        match ask(name).await {
            Err(error) if error.is_absence() => {
                nothing.get_or_insert(error);
            }
            answer => return answer,
        }
    }
    Err(nothing.expect("a name has at least one spelling"))
}

fn plain(addresses: Vec<IpAddr>, good_for: Duration) -> Found {
    Found { spots: addresses.into_iter().map(ResolvedAddr::from).collect(), good_for }
}

fn believed(ttl: Duration) -> Duration {
    ttl.clamp(MIN_TTL, MAX_TTL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_only_the_machine_knows_are_found_whichever_way() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let name = HostName::parse("localhost").unwrap();
        for (rule, good_for) in
            [(Resolve::Dns(Vec::new()), MAX_TTL), (Resolve::Every(Duration::from_secs(7)), Duration::from_secs(7))]
        {
            let found = runtime.block_on(spots(&System::new(SystemResolver::default()), &rule, &name, "http")).unwrap();
            assert!(found.spots.contains(&IpAddr::from([127, 0, 0, 1]).into()), "{found:?}");
            assert_eq!(found.good_for, good_for);
        }
    }

    #[test]
    fn those_that_do_not_come_first_are_backups_and_nobody_has_no_share() {
        let check = |priority, weight, expected| {
            let service = Service { priority, weight, port: 80, target: "a.example".into() };
            let Served { weight, backup, .. } = served(&service, Some(10));
            assert_eq!((weight, backup), expected);
        };
        check(10, 7, (7, false));
        check(10, 0, (1, false));
        check(20, 65535, (65535, true));
    }

    #[test]
    fn an_answer_is_believed_for_a_sensible_time() {
        for (ttl, expected) in [(0, 5), (5, 5), (30, 30), (600, 60)] {
            assert_eq!(believed(Duration::from_secs(ttl)), Duration::from_secs(expected));
        }
    }
}
