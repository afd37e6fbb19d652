//! Gathers what is known of a name: asks DNS, and knocks at every address. Bounded in time, in addresses, and in names at
//! a time.

use std::net::{IpAddr, SocketAddr};

use super::probe;
use super::reachability::{Answer, NameFacts, PortProbe};
use super::self_test::SelfTest;
use crate::base::error_chain::ErrorChain;
use crate::base::name::Identifier;
use crate::net::dns::{Dns, DnsError};

/// Addresses of one family that are looked at; more than that no site of one gateway has.
const MAX_ADDRESSES: usize = 4;

/// How the world comes to us.
#[derive(Clone, Debug)]
pub struct Ways {
    /// Where it asks for http-01; `None` where it is not to be tried.
    pub plain: Option<u16>,
    /// Where it asks for tls-alpn-01; `None` where it is not to be tried.
    pub tls: Option<u16>,
    /// What we show there.
    pub beacon: SelfTest,
}

/// All about one name.
pub async fn look(name: &Identifier, dns: &Dns, ways: Option<&Ways>) -> NameFacts {
    let (four, six, caa) = match name {
        Identifier::Ip(ip) => {
            let mine = Answer::Addresses(vec![*ip]);
            if ip.is_ipv4() { (mine, Answer::Nothing, Ok(None)) } else { (Answer::Nothing, mine, Ok(None)) }
        }
        Identifier::Dns(host) => {
            let (four, six, caa) = tokio::join!(dns.a(host.as_str()), dns.aaaa(host.as_str()), dns.caa_in_force(host.as_str()));
            (answer(four), answer(six), caa.map_err(|error| ErrorChain(&error).to_string()))
        }
        // A wildcard is proved by DNS alone, so nobody will visit.
        Identifier::Wildcard(parent) => {
            let caa = dns.caa_in_force(parent.as_str()).await;
            (Answer::Nothing, Answer::Nothing, caa.map_err(|error| ErrorChain(&error).to_string()))
        }
    };
    let mut doors = Vec::new();
    if let Some(ways) = ways {
        let host = name.to_string();
        for ip in four.addresses().into_iter().take(MAX_ADDRESSES).chain(six.addresses().into_iter().take(MAX_ADDRESSES)) {
            doors.push(knock(ip, &host, ways).await);
        }
    }
    NameFacts { name: name.clone(), four, six, doors, caa }
}

async fn knock(ip: IpAddr, host: &str, ways: &Ways) -> PortProbe {
    let plain = async {
        match ways.plain {
            Some(port) => Some(probe::http(SocketAddr::new(ip, port), host, &ways.beacon).await),
            None => None,
        }
    };
    let tls = async {
        match ways.tls {
            Some(port) => Some(probe::tls(SocketAddr::new(ip, port), &ways.beacon).await),
            None => None,
        }
    };
    let (plain, tls) = tokio::join!(plain, tls);
    PortProbe { ip, plain, tls }
}

fn answer<T: Into<IpAddr>>(told: Result<Vec<T>, DnsError>) -> Answer {
    match told {
        Ok(addresses) => Answer::Addresses(addresses.into_iter().map(Into::into).collect()),
        Err(error) if error.is_absence() => Answer::Nothing,
        Err(error) => Answer::Untold(ErrorChain(&error).to_string()),
    }
}
