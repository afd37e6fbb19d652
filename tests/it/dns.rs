//! Questions to name servers, against one that says what it is told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use doorward::net::dns::{Caa, Dns, DnsError};
use hickory_proto::op::ResponseCode;

use crate::support::dns::DnsServer;
use crate::support::{ports, server};

/// No question takes this long.
const SOON: Duration = crate::support::wait::LIMIT;

fn ask<T>(work: impl Future<Output = T>) -> T {
    server::runtime().block_on(async { tokio::time::timeout(SOON, work).await.expect("answered in time") })
}

fn scene() -> (DnsServer, Dns) {
    let server = DnsServer::start();
    server.zone("a.example");
    let dns = Dns::asking(&[server.address()]);
    (server, dns)
}

#[test]
fn records_of_each_kind_are_found_also_at_the_end_of_aliases() {
    let (server, dns) = scene();
    let long = "x".repeat(300);
    server.address_of("www.a.example", "192.0.2.1").address_of("www.a.example", "2001:db8::1");
    server.cname("alias.a.example", "www.a.example").txt("www.a.example", &long).txt("www.a.example", "short");
    ask(async {
        assert_eq!(dns.a("WWW.a.example.").await.unwrap(), [Ipv4Addr::new(192, 0, 2, 1)]);
        assert_eq!(dns.aaaa("alias.a.example").await.unwrap(), ["2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap()]);
        let both: Vec<IpAddr> = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        assert_eq!(dns.addresses("alias.a.example").await.unwrap(), both);
        assert_eq!(dns.txt("www.a.example").await.unwrap(), [long.as_str(), "short"]);
        assert_eq!(dns.canonical("alias.a.example").await.unwrap(), "www.a.example");
        assert_eq!(dns.canonical("none.a.example").await.unwrap(), "none.a.example");
        server.anything_at("192.0.2.9");
        assert_eq!(dns.a("no.such.name.a.example").await.unwrap(), [Ipv4Addr::new(192, 0, 2, 9)]);
    });
}

#[test]
fn the_nearest_caa_records_upward_are_in_force() {
    let (server, dns) = scene();
    server.caa("a.example", "issue", "ca.example; validationmethods=dns-01").caa("a.example", "IODEF", "mailto:x@a.example");
    ask(async {
        let (at, records) = dns.caa_in_force("deep.down.a.example").await.unwrap().unwrap();
        assert_eq!(at, "a.example");
        let value = "ca.example; validationmethods=dns-01".to_owned();
        assert_eq!(records[0], Caa { critical: false, tag: "issue".into(), value });
        assert_eq!(records[1].tag, "iodef");
        server.remove("a.example").zone("example");
        assert_eq!(dns.caa_in_force("deep.down.a.example").await.unwrap(), None);
    });
}

#[test]
fn a_zone_is_found_from_any_name_in_it_with_the_servers_that_answer_for_it() {
    let (server, dns) = scene();
    server.zone("sub.a.example").cname("_acme-challenge.sub.a.example", "elsewhere.a.example");
    ask(async {
        for (name, apex) in [
            ("a.example", "a.example"),
            ("no.such.name.a.example", "a.example"),
            ("_acme-challenge.sub.a.example", "sub.a.example"),
        ] {
            assert_eq!(dns.apex(name).await.unwrap(), apex, "for {name}");
        }
        server.ns("a.example", "gone.a.example");
        let zone = dns.zone("x.a.example").await.unwrap();
        let found: Vec<(&str, &[SocketAddr])> =
            zone.servers.iter().map(|server| (server.name.as_str(), server.addresses.as_slice())).collect();
        assert_eq!(found, [("ns.a.example", [server.address()].as_slice()), ("gone.a.example", &[])]);
    });
}

#[test]
fn nothing_and_trouble_are_told_apart_and_name_who_said_so() {
    let (server, dns) = scene();
    server.refuse("broken.a.example", ResponseCode::ServFail).txt("text.a.example", "x");
    server.cname("one.a.example", "two.a.example").cname("two.a.example", "one.a.example");
    let at = server.address();
    ask(async {
        let error = dns.a("none.a.example").await.unwrap_err();
        assert!(matches!(error, DnsError::NoSuchName { .. }) && error.is_absence(), "{error:?}");
        assert_eq!(error.to_string(), format!("none.a.example does not exist, says the name server {at}"));
        let error = dns.addresses("text.a.example").await.unwrap_err();
        assert_eq!(error.to_string(), format!("text.a.example has no A record, says the name server {at}"));
        let error = dns.txt("broken.a.example").await.unwrap_err();
        assert!(!error.is_absence());
        let said = "it answered SERVFAIL (it failed, or found the zone's signatures wrong)";
        assert_eq!(error.to_string(), format!("the name server {at} did not tell the TXT record of broken.a.example: {said}"));
        assert!(matches!(dns.a("one.a.example").await.unwrap_err(), DnsError::Aliases { .. }));
        assert!(matches!(dns.canonical("one.a.example").await.unwrap_err(), DnsError::Aliases { .. }));
        assert!(matches!(dns.a("a..example").await.unwrap_err(), DnsError::BadName { .. }));
    });
}

#[test]
fn an_answer_too_large_for_udp_comes_by_tcp() {
    let (server, dns) = scene();
    server.txt("a.example", "text").too_large_for_udp(true);
    assert_eq!(ask(dns.txt("a.example")).unwrap(), ["text"]);
    assert_eq!(server.heard(), ["UDP TXT a.example", "TCP TXT a.example"]);
}

#[test]
fn a_server_that_is_silent_or_gone_costs_a_bounded_time_and_the_next_one_is_asked() {
    let (mute, _) = scene();
    let (good, _) = scene();
    mute.mute(true);
    good.txt("a.example", "text");
    let gone = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
    let dns = Dns::asking(&[gone, mute.address(), good.address()]);
    assert_eq!(ask(dns.txt("a.example")).unwrap(), ["text"]);
    let error = ask(Dns::only(mute.address()).txt("a.example")).unwrap_err();
    assert!(matches!(error, DnsError::TimedOut { .. }), "{error:?}");
    let error = ask(Dns::only(gone).txt("a.example")).unwrap_err();
    assert!(matches!(error, DnsError::Unreachable { .. }), "{error:?}");
}
