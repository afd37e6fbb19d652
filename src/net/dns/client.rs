//! The client: who is asked, for what, and for how long.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::{Name, RData};

use super::answer::{self, Answer};
use super::error::DnsError;
use super::exchange::{self, ANSWER, PAYLOAD, ROUNDS, exchange};
use super::kind::Kind;
use super::name::{parse, text, with_parents};
use super::records::{Caa, Service};
use super::system::{RESOLV_CONF, SystemDns};
use crate::base::task::BlockingSlot;

/// For one question, however many servers there are.
const QUERY_TIMEOUT: Duration = Duration::from_secs(15);

/// Whom to ask. Cloning is cheap. Names are given and come back in ASCII; a final dot is accepted and never given.
#[derive(Clone, Debug)]
pub struct Dns {
    pub(super) servers: Arc<[SocketAddr]>,
    /// Whether they are to find the answer elsewhere; one who is asked for itself is not.
    recursion: bool,
}

impl Dns {
    /// These servers, in this order; the system's where there are none. Reads a file for the latter, on a thread that may
    /// block, for at most 5 s.
    pub async fn configured(servers: &[SocketAddr]) -> Result<Self, DnsError> {
        match servers {
            [] => Ok(Self::asking(&SystemDns::read(&BlockingSlot::default()).await?.servers()?)),
            servers => Ok(Self::asking(servers)),
        }
    }

    /// These servers, in this order.
    pub fn asking(servers: &[SocketAddr]) -> Self {
        Self { servers: servers.into(), recursion: true }
    }

    /// This server alone, for what it knows itself.
    pub fn only(server: SocketAddr) -> Self {
        Self { servers: Arc::new([server]), recursion: false }
    }

    /// Who is asked.
    pub fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// IPv4 addresses.
    pub async fn a(&self, name: &str) -> Result<Vec<Ipv4Addr>, DnsError> {
        self.records(name, Kind::A, |data| if let RData::A(a) = data { Some(a.0) } else { None }).await
    }

    /// IPv6 addresses.
    pub async fn aaaa(&self, name: &str) -> Result<Vec<Ipv6Addr>, DnsError> {
        self.records(name, Kind::Aaaa, |data| if let RData::AAAA(aaaa) = data { Some(aaaa.0) } else { None }).await
    }

    /// Addresses of both kinds, those of IPv4 first. An error when there is none of either, and then the first one's.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, DnsError> {
        let (four, six) = tokio::join!(self.a(name), self.aaaa(name));
        match (four, six) {
            (Err(error), Err(_)) => Err(error),
            (four, six) => {
                let four = four.into_iter().flatten().map(IpAddr::V4);
                Ok(four.chain(six.into_iter().flatten().map(IpAddr::V6)).collect())
            }
        }
    }

    /// Addresses of both kinds, never empty, and how long they are so. Other than [`Dns::addresses`] it is an error when one of
    /// both kinds could not be asked for: half an answer is none for who goes on with it.
    pub async fn addresses_for(&self, name: &str) -> Result<(Vec<IpAddr>, Duration), DnsError> {
        let asked = parse(name)?;
        let four = self.timed(&asked, Kind::A, |data| if let RData::A(a) = data { Some(IpAddr::V4(a.0)) } else { None });
        let six =
            self.timed(&asked, Kind::Aaaa, |data| if let RData::AAAA(aaaa) = data { Some(IpAddr::V6(aaaa.0)) } else { None });
        match tokio::join!(four, six) {
            (Ok((mut four, ttl)), Ok((six, other))) => {
                four.extend(six);
                Ok((four, ttl.min(other)))
            }
            (Ok(found), Err(none)) | (Err(none), Ok(found)) if none.is_absence() => Ok(found),
            (Err(absence), Err(error)) if absence.is_absence() => Err(error),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// Where a service is, and how long it is so. Never empty: that it is nowhere (RFC 2782, a target of `.`) is no record.
    pub async fn services(&self, name: &str) -> Result<(Vec<Service>, Duration), DnsError> {
        let asked = parse(name)?;
        self.timed(&asked, Kind::Srv, |data| match data {
            RData::SRV(srv) if !srv.target.is_root() => {
                Some(Service { priority: srv.priority, weight: srv.weight, port: srv.port, target: text(&srv.target) })
            }
            _ => None,
        })
        .await
    }

    /// Records, and how long they are so.
    async fn timed<T>(
        &self,
        name: &Name,
        kind: Kind,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<(Vec<T>, Duration), DnsError> {
        let answer = self.ask(name, kind).await?;
        Ok((answer.records(name, kind, self.recursion, read)?, answer.ttl()))
    }

    /// CAA records at exactly this name; see [`Dns::caa_in_force`].
    pub async fn caa(&self, name: &str) -> Result<Vec<Caa>, DnsError> {
        self.records(name, Kind::Caa, |data| match data {
            RData::CAA(caa) => Some(Caa {
                critical: caa.issuer_critical,
                tag: caa.tag.to_ascii_lowercase(),
                value: String::from_utf8_lossy(&caa.value).into_owned(),
            }),
            _ => None,
        })
        .await
    }

    /// The CAA records an authority obeys for `name`, and the name they stand at: the nearest ones on the way up to the
    /// root (RFC 8659 section 3). `None` when there are none, so that every authority may issue.
    pub async fn caa_in_force(&self, name: &str) -> Result<Option<(String, Vec<Caa>)>, DnsError> {
        for at in with_parents(name.trim_end_matches('.')) {
            match self.caa(at).await {
                Ok(records) => return Ok(Some((at.to_owned(), records))),
                Err(error) if error.is_absence() => (),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Texts, each with its pieces joined.
    pub async fn txt(&self, name: &str) -> Result<Vec<String>, DnsError> {
        self.records(name, Kind::Txt, |data| match data {
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        })
        .await
    }

    /// Names of a zone's name servers.
    pub async fn ns(&self, zone: &str) -> Result<Vec<String>, DnsError> {
        self.records(zone, Kind::Ns, |data| if let RData::NS(ns) = data { Some(text(&ns.0)) } else { None }).await
    }

    /// The name at the end of the aliases (CNAME) that start at `name`; `name` itself where there is none.
    pub async fn canonical(&self, name: &str) -> Result<String, DnsError> {
        let mut at = text(&parse(name)?);
        for _ in 0..answer::MAX_ALIASES {
            let target =
                self.records(&at, Kind::Cname, |data| if let RData::CNAME(to) = data { Some(text(&to.0)) } else { None }).await;
            match target {
                Ok(mut targets) => at = targets.remove(0),
                Err(error) if error.is_absence() => return Ok(at),
                Err(error) => return Err(error),
            }
        }
        Err(DnsError::Aliases { name: name.to_owned() })
    }

    /// Never empty.
    async fn records<T>(&self, name: &str, kind: Kind, read: impl Fn(&RData) -> Option<T>) -> Result<Vec<T>, DnsError> {
        let asked = parse(name)?;
        let answer = self.ask(&asked, kind).await?;
        answer.records(&asked, kind, self.recursion, read)
    }

    /// Asks one server after the other until one has an answer, be it that there is nothing.
    pub(super) async fn ask(&self, name: &Name, kind: Kind) -> Result<Answer, DnsError> {
        let asking = async {
            let mut last = None;
            for server in self.servers.iter().cycle().take(self.servers.len() * ROUNDS) {
                match self.ask_one(*server, name, kind).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => last = Some(error),
                }
            }
            Err(last.unwrap_or_else(|| DnsError::NoServers { file: RESOLV_CONF.into() }))
        };
        let servers = self.servers.first().copied();
        match tokio::time::timeout(QUERY_TIMEOUT, asking).await {
            Ok(result) => result,
            Err(_) => Err(DnsError::TimedOut { name: text(name), kind, server: servers, after: QUERY_TIMEOUT }),
        }
    }

    async fn ask_one(&self, server: SocketAddr, name: &Name, kind: Kind) -> Result<Answer, DnsError> {
        let mut question = Message::query();
        question.metadata.recursion_desired = self.recursion;
        question.add_query(Query::query(name.clone(), kind.record_type()));
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        question.set_edns(edns);
        let request = question.to_vec().map_err(|_| DnsError::BadName { name: text(name) })?;
        let failed = |failure: exchange::Failure| failure.about(text(name), kind, server);
        let (_, message) = exchange(server, &question, &request, ANSWER).await.map_err(failed)?;
        Answer::new(server, message, name, kind)
    }
}
