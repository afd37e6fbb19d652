//! A name as the world sees it: its addresses, who answers at each, who may issue for it. Facts become findings here; how
//! they are gathered is [`super::collect`]'s concern. Pure.

use std::net::IpAddr;

use super::caa::{self, CaaSubject};
use super::cdn;
use super::finding::{Finding, Severity};
use super::probe::ProbeReply;
use crate::base::name::Identifier;
use crate::config::settings::{ChallengeKind, PublicPorts};
use crate::net::dns::Caa;

#[cfg(test)]
mod tests;

/// What is known of a name.
#[derive(Debug)]
pub struct NameFacts {
    /// Which.
    pub name: Identifier,
    /// Its IPv4 addresses.
    pub four: Answer,
    /// Its IPv6 addresses.
    pub six: Answer,
    /// Who answers at each.
    pub doors: Vec<PortProbe>,
    /// The CAA records in force and where they stand; none where everybody may issue.
    pub caa: Result<Option<(String, Vec<Caa>)>, String>,
}

/// What DNS says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These.
    Addresses(Vec<IpAddr>),
    /// There are none, for certain.
    Nothing,
    /// It was not told.
    Untold(String),
}

/// Who answers at one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortProbe {
    /// Which.
    pub ip: IpAddr,
    /// At the port where http-01 is asked; `None` where it was not tried.
    pub plain: Option<ProbeReply>,
    /// At the port where tls-alpn-01 is asked; `None` where it was not tried.
    pub tls: Option<ProbeReply>,
}

/// What is known of ourselves.
#[derive(Debug)]
pub struct LocalAddrs<'a> {
    /// The addresses of this machine.
    pub own: &'a [IpAddr],
    /// Who asks for the certificate.
    pub asker: CaaSubject<'a>,
    /// Where the doors of [`NameFacts`] are.
    pub ports: PublicPorts,
    /// Whether the authority is a public one, which comes to [`PublicPorts::STANDARD`] only.
    pub public_authority: bool,
}

/// What was found, and the challenges that can work, in the order of the configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// One for each check.
    pub findings: Vec<Finding>,
    /// Empty when none can.
    pub challenges: Vec<ChallengeKind>,
}

impl LocalAddrs<'_> {
    const fn number(&self, port: Port) -> u16 {
        port.of(self.ports)
    }

    /// Whether the authority comes to this port at all.
    const fn is_asked(&self, port: Port) -> bool {
        !self.public_authority || self.number(port) == port.of(PublicPorts::STANDARD)
    }

    /// A machine whose own addresses are all private stands behind a router, which may not let it come back by its
    /// public address: what it cannot reach there may be reached by others.
    fn behind_router(&self, ip: IpAddr) -> bool {
        let same_family = self.own.iter().filter(|own| own.is_ipv4() == ip.is_ipv4());
        !self.own.contains(&ip) && same_family.clone().all(|own| is_private(*own))
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local(),
    }
}

/// Judges.
pub fn judge(facts: &NameFacts, here: &LocalAddrs<'_>) -> Verdict {
    let name = facts.name.to_string();
    let mut findings = vec![addresses(facts, &name, here)];
    for door in &facts.doors {
        findings.extend(door.plain.as_ref().map(|seen| knock(&name, door.ip, Port::Plain, seen, here)));
        let half = door.plain == Some(ProbeReply::Ourselves);
        let judged = |seen: &ProbeReply| {
            let found = knock(&name, door.ip, Port::Tls, seen, here);
            if half { only_port_80(found, door.ip, seen, here) } else { found }
        };
        findings.extend(door.tls.as_ref().map(judged));
    }
    let wildcard = matches!(facts.name, Identifier::Wildcard(_));
    if !wildcard {
        findings.extend([Port::Plain, Port::Tls].into_iter().filter_map(|port| not_asked(&name, port, here)));
    }
    findings.push(match &facts.caa {
        Ok(in_force) => {
            caa::judge(&name, wildcard, in_force.as_ref().map(|(at, records)| (at.as_str(), records.as_slice())), &here.asker)
        }
        Err(why) => Finding::trouble(
            "caa",
            &name,
            format!("whether CAA records forbid it is not told: {why}"),
            "an answer, be it that there are none: authorities refuse without one",
            "repair the zone's name servers, which must answer questions for CAA",
        ),
    });
    let challenges = challenges(facts, here, wildcard);
    findings.push(choice(&name, &challenges, here));
    Verdict { findings: settled(findings, &challenges), challenges }
}

/// Where a challenge can work all the same, a closed door is only worth knowing.
fn settled(findings: Vec<Finding>, challenges: &[ChallengeKind]) -> Vec<Finding> {
    let open = |kind| challenges.contains(&kind);
    let elsewhere = challenges.iter().any(|kind| matches!(kind, ChallengeKind::Dns01 | ChallengeKind::DnsPersist01));
    let soften = |finding: Finding| match (finding.check, finding.weight) {
        ("port-80" | "port-443", Severity::Prevents) if elsewhere => finding.noted(),
        ("port-80", Severity::Prevents) if open(ChallengeKind::Http01) || open(ChallengeKind::TlsAlpn01) => finding.noted(),
        ("port-443", Severity::Prevents) if open(ChallengeKind::TlsAlpn01) => finding.noted(),
        ("dns", Severity::Prevents) if elsewhere => finding.noted(),
        _ => finding,
    };
    findings.into_iter().map(soften).collect()
}

fn addresses(facts: &NameFacts, name: &str, here: &LocalAddrs<'_>) -> Finding {
    let untold = [&facts.four, &facts.six].into_iter().find_map(|answer| match answer {
        Answer::Untold(why) => Some(why.clone()),
        Answer::Addresses(_) | Answer::Nothing => None,
    });
    let all: Vec<IpAddr> = [&facts.four, &facts.six].into_iter().flat_map(Answer::addresses).collect();
    if let (true, Some(why)) = (all.is_empty(), &untold) {
        let repair = "repair the zone's name servers, or this machine's resolver (`resolvers` names another one)";
        return Finding::trouble("dns", name, format!("the addresses are not told: {why}"), "an A or AAAA record", repair);
    }
    if all.is_empty() {
        let own = own_public(here, false).map(|ip| format!(" ({ip})")).unwrap_or_default();
        let repair = format!("add an A record for {name} that points to this machine{own}");
        return Finding::trouble("dns", name, "the name has no address", "an A or AAAA record that points here", repair);
    }
    let told = all.iter().map(|ip| owner(*ip, here)).collect::<Vec<_>>().join(", ");
    let Some(why) = untold else { return Finding::fine("dns", name, format!("the name is {told}")) };
    let repair = "repair the zone's name servers: some visitors wait for this answer, and some authorities refuse without it";
    Finding::trouble("dns", name, format!("the name is {told}, and the rest is not told: {why}"), "an answer", repair).noted()
}

impl Answer {
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        match self {
            Self::Addresses(addresses) => addresses.clone(),
            Self::Nothing | Self::Untold(_) => Vec::new(),
        }
    }
}

fn own_public(here: &LocalAddrs<'_>, is_six: bool) -> Option<IpAddr> {
    here.own.iter().copied().find(|ip| ip.is_ipv6() == is_six && !is_private(*ip))
}

/// What to do with a record that leads elsewhere: it can point to an address of its own family only.
fn point_here(ip: IpAddr, here: &LocalAddrs<'_>) -> String {
    match (ip.is_ipv6(), own_public(here, ip.is_ipv6())) {
        (true, None) => "remove the AAAA record: this machine has no public IPv6 address".to_owned(),
        (true, Some(own)) => format!("let the AAAA record point to this machine ({own}), or remove it"),
        (false, None) => "let the A record point to this machine, or remove it".to_owned(),
        (false, Some(own)) => format!("let the A record point to this machine ({own}), or remove it"),
    }
}

/// Port 80 of an address leads here and port 443 does not: then the record is right, and a router or a balancer forwards
/// one port of two.
fn only_port_80(found: Finding, ip: IpAddr, seen: &ProbeReply, here: &LocalAddrs<'_>) -> Finding {
    match seen {
        ProbeReply::Refused | ProbeReply::Silent | ProbeReply::Other(_) if !here.own.contains(&ip) && cdn::of(ip).is_none() => {
            Finding { repair: "forward TCP 443 and UDP 443 there to this machine, as port 80 is".to_owned(), ..found }
        }
        _ => found,
    }
}

fn owner(ip: IpAddr, here: &LocalAddrs<'_>) -> String {
    if here.own.contains(&ip) {
        format!("{ip} (this machine)")
    } else if let Some(cdn) = cdn::of(ip) {
        format!("{ip} (behind {cdn})")
    } else {
        ip.to_string()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Port {
    Plain,
    Tls,
}

impl Port {
    const fn of(self, ports: PublicPorts) -> u16 {
        match self {
            Self::Plain => ports.plain,
            Self::Tls => ports.tls,
        }
    }

    /// The challenge that is answered there.
    const fn challenge(self) -> ChallengeKind {
        match self {
            Self::Plain => ChallengeKind::Http01,
            Self::Tls => ChallengeKind::TlsAlpn01,
        }
    }

    /// The directive that moves it.
    const fn word(self) -> &'static str {
        match self {
            Self::Plain => "public-http-port",
            Self::Tls => "public-https-port",
        }
    }

    const fn check(self) -> &'static str {
        match self {
            Self::Plain => "port-80",
            Self::Tls => "port-443",
        }
    }
}

/// A public port at which no authority looks for the answer to a challenge that is configured.
fn not_asked(name: &str, port: Port, here: &LocalAddrs<'_>) -> Option<Finding> {
    let kind = port.challenge();
    (!here.is_asked(port) && here.asker.challenges.contains(&kind)).then(|| {
        let (seen, usual) = (here.number(port), port.of(PublicPorts::STANDARD));
        let word = port.word();
        Finding {
            check: port.check(),
            about: name.to_owned(),
            seen: format!("clients reach this gateway at port {seen}, and authorities come to port {usual} for {kind}"),
            expected: format!("port {usual}, forwarded to this gateway"),
            repair: format!(
                "forward port {usual} to this gateway and write `{word} {usual}`, or leave {kind} out of `challenges`"
            ),
            weight: Severity::Prevents,
        }
    })
}

/// One door: who answers, and what that means for an authority's visit.
fn knock(name: &str, ip: IpAddr, port: Port, seen: &ProbeReply, here: &LocalAddrs<'_>) -> Finding {
    let (check, number) = (port.check(), here.number(port));
    let record = if ip.is_ipv6() { "AAAA" } else { "A" };
    let expected = format!("this gateway, at port {number} of {ip}");
    let trouble = |seen: String, repair: String| Finding::trouble(check, name, seen, &expected, repair);
    match (seen, cdn::of(ip)) {
        (ProbeReply::Ourselves, cdn) => {
            let through = cdn.map(|cdn| format!(" through {cdn}")).unwrap_or_default();
            Finding::fine(check, name, format!("{ip} leads here{through}"))
        }
        (_, Some(cdn)) if port == Port::Tls => trouble(
            format!("{ip} is {cdn}'s, which ends TLS itself: tls-alpn-01 cannot pass it"),
            format!("leave http-01 among `challenges`, which passes {cdn}; set its TLS mode to Full (strict)"),
        )
        .noted(),
        (ProbeReply::Other(who), Some(cdn)) => trouble(
            format!("behind {cdn}, {who} answers at {ip}"),
            format!("have {cdn} pass /.well-known/acme-challenge/ on to this machine by http, without a redirect or a check"),
        ),
        (ProbeReply::Other(who), None) => trouble(
            format!("the {record} record leads to {ip}, where {who} answers"),
            if here.own.contains(&ip) {
                format!("stop that program on port {number}, or give the port to the gateway")
            } else {
                point_here(ip, here)
            },
        ),
        (ProbeReply::Refused | ProbeReply::Silent, Some(cdn)) => trouble(
            format!("{ip} is {cdn}'s, and does not answer at port {number}"),
            format!("leave the record, and look at {cdn}'s page for the name: it must pass port {number} on to this machine"),
        ),
        (ProbeReply::Refused, _) => closed(trouble, ip, record, "refuses connections", number, here),
        (ProbeReply::Silent, _) => closed(trouble, ip, record, "does not answer", number, here),
        (ProbeReply::NoWay(why), _) => {
            let repair = if ip.is_ipv6() {
                format!("remove the {record} record if this machine has no IPv6, or give it a way to the IPv6 internet")
            } else {
                "check this machine's network: it has no way there".to_owned()
            };
            trouble(format!("{ip} cannot be asked from here ({why})"), repair).noted()
        }
    }
}

fn closed(
    trouble: impl Fn(String, String) -> Finding,
    ip: IpAddr,
    record: &str,
    does: &str,
    number: u16,
    here: &LocalAddrs<'_>,
) -> Finding {
    if here.own.contains(&ip) {
        let seen = format!("the {record} record leads to {ip}, which is this machine, and port {number} {does}");
        let repair = format!(
            "let the gateway listen at {ip} (`bind`), and open port {number} in this machine's firewall (ufw allow {number}/tcp)"
        );
        return trouble(seen, repair);
    }
    let seen = format!("the {record} record leads to {ip}, which {does} as us at port {number}");
    if here.behind_router(ip) {
        let repair = format!(
            "forward port {number} on the router to this machine; if it is, ask from elsewhere: many routers do not let a \
             machine come back by its own public address"
        );
        return trouble(seen, repair).noted();
    }
    let repair = match (record, own_public(here, ip.is_ipv6())) {
        ("AAAA", _) => point_here(ip, here),
        (_, own) => format!(
            "let the A record point to this machine{}, and open port {number} in the provider's network rules",
            own.map(|ip| format!(" ({ip})")).unwrap_or_default()
        ),
    };
    trouble(seen, repair)
}

/// The challenges that can work by all that is known. What could not be found out is given the benefit of the doubt.
fn challenges(facts: &NameFacts, here: &LocalAddrs<'_>, wildcard: bool) -> Vec<ChallengeKind> {
    let in_force = facts.caa.as_ref().ok().and_then(|caa| caa.as_ref()).map(|(_, records)| records.as_slice());
    let left = caa::challenges_left(in_force, wildcard, &here.asker);
    let has_address = !(facts.four == Answer::Nothing && facts.six == Answer::Nothing);
    let works = |kind: &ChallengeKind| match kind {
        ChallengeKind::Http01 => {
            here.is_asked(Port::Plain) && !wildcard && has_address && passes(facts, here, |door| door.plain.as_ref())
        }
        ChallengeKind::TlsAlpn01 => {
            here.is_asked(Port::Tls) && !wildcard && has_address && passes(facts, here, |door| door.tls.as_ref())
        }
        ChallengeKind::Dns01 | ChallengeKind::DnsPersist01 => true,
    };
    left.into_iter().filter(works).collect()
}

/// An authority takes any address, IPv6 first, and goes on to IPv4 only where no connection comes about: so nobody else
/// may answer anywhere, and we must at one place, unless that cannot be told from here.
fn passes<'a>(facts: &'a NameFacts, here: &LocalAddrs<'_>, seen: impl Fn(&'a PortProbe) -> Option<&'a ProbeReply>) -> bool {
    let seen: Vec<(IpAddr, &ProbeReply)> = facts.doors.iter().filter_map(|door| seen(door).map(|seen| (door.ip, seen))).collect();
    let stranger = seen.iter().any(|(_, seen)| matches!(seen, ProbeReply::Other(_)));
    let ours = seen.iter().any(|(_, seen)| **seen == ProbeReply::Ourselves);
    let unsure = seen.iter().any(|(ip, _)| here.behind_router(*ip));
    seen.is_empty() || (!stranger && (ours || unsure))
}

fn choice(name: &str, works: &[ChallengeKind], here: &LocalAddrs<'_>) -> Finding {
    let told = |kinds: &[ChallengeKind]| kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    match works {
        [] => Finding::trouble(
            "challenge",
            name,
            format!("no configured challenge can prove this name now ({})", told(here.asker.challenges)),
            "one that can",
            "do what the findings above say, or prove the name by `challenges dns-01`",
        ),
        works => Finding::fine("challenge", name, format!("can be proved by {}", told(works))),
    }
}
