//! Targets whose name has several addresses, and other ones later.

use std::net::IpAddr;

use super::*;
use crate::base::name::HostName;
use crate::config::settings::{Resolve, Sticky};
use crate::proxy::upstream::dns_discovery::{EndpointChange, MAX_ADDRESSES, ResolvedAddr, Served};

fn name(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

/// A name, and an address that no name leads to.
fn named() -> Upstream {
    let address = TargetAddress::Name(name("app.internal"), 80);
    let mut settings = settings(&[1]);
    settings.targets.insert(0, target(address, TargetScheme::Http, 1));
    Upstream { resolve: Some(Resolve::Dns(Vec::new())), slow_start: Duration::from_secs(3600), ..settings }
}

fn found(cluster: &UpstreamGroup, addresses: &[&str]) -> Option<EndpointChange> {
    let spots: Vec<ResolvedAddr> = addresses.iter().map(|ip| ResolvedAddr::from(ip.parse::<IpAddr>().unwrap())).collect();
    cluster.found(&name("app.internal"), &spots)
}

/// Every target with how it stands.
fn prebuilt(cluster: &UpstreamGroup) -> Vec<String> {
    let prebuilt = |member: &Arc<Endpoint>| format!("{}, {}", member.label(), member.standing(cluster.settings()).state);
    cluster.roster().members().iter().map(prebuilt).collect()
}

fn moved(came: &[&str], left: &[&str]) -> Option<EndpointChange> {
    let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    Some(EndpointChange { came: owned(came), left: owned(left) })
}

#[test]
fn each_address_is_a_target_and_those_that_stay_keep_what_is_known() {
    let cluster = build(&named());
    assert_eq!(
        prebuilt(&cluster),
        ["app.internal:80, up", "127.0.0.1:1, up"],
        "until it is looked up, it is as if it never were"
    );
    let came = ["app.internal:80 at 10.0.0.1", "app.internal:80 at 10.0.0.2"];
    assert_eq!(found(&cluster, &["10.0.0.1", "10.0.0.2"]), moved(&came, &["app.internal:80"]));
    let both = ["app.internal:80 at 10.0.0.1, up", "app.internal:80 at 10.0.0.2, up", "127.0.0.1:1, up"];
    assert_eq!(prebuilt(&cluster), both, "the first ones need not begin slowly: there is nobody else");
    let leases: Vec<Lease> = (0..3).map(|_| cluster.pick(wish(&[])).unwrap()).collect();
    assert_eq!(leases[0].member().at(), Some(([10, 0, 0, 1], 80).into()));

    let members: Vec<Arc<Endpoint>> = cluster.roster().members().to_vec();
    let change = found(&cluster, &["10.0.0.2", "fd00::3"]);
    assert_eq!(change, moved(&["app.internal:80 at fd00::3"], &["app.internal:80 at 10.0.0.1"]));
    let now = ["app.internal:80 at 10.0.0.2, up", "app.internal:80 at fd00::3, warming up", "127.0.0.1:1, up"];
    assert_eq!(prebuilt(&cluster), now);
    assert!(Arc::ptr_eq(&cluster.roster().members()[0], &members[1]), "who stays is the same, and its check goes on");
    let gone: Vec<bool> = leases.iter().map(|lease| lease.state().is_gone()).collect();
    assert_eq!((gone, leases[0].member().in_flight()), (vec![true, false, false], 1), "what is open on it goes on");
}

#[test]
fn an_answer_that_says_nothing_new_or_nothing_at_all_changes_nothing() {
    let cluster = build(&named());
    assert!(found(&cluster, &["10.0.0.1", "10.0.0.2"]).is_some());
    let before = prebuilt(&cluster);
    assert_eq!(found(&cluster, &["10.0.0.1", "10.0.0.2"]), None);
    assert_eq!(found(&cluster, &[]), None);
    assert_eq!(cluster.found(&name("other.internal"), &[IpAddr::from([10, 0, 0, 9]).into()]), None);
    assert_eq!(prebuilt(&cluster), before);
    let many: Vec<String> = (0..500).map(|n| format!("10.1.{}.{}", n / 256, n % 256)).collect();
    assert!(found(&cluster, &many.iter().map(String::as_str).collect::<Vec<_>>()).is_some());
    assert_eq!(prebuilt(&cluster).len(), MAX_ADDRESSES + 1);
}

#[test]
fn a_reload_goes_on_with_the_addresses_that_are_known() {
    let cluster = build(&named());
    assert!(found(&cluster, &["10.0.0.1", "10.0.0.2"]).is_some());
    let lease = cluster.pick(wish(&[])).unwrap();
    let rebuild = |settings: &Upstream| UpstreamGroup::build(settings, Some(&cluster), &trust()).unwrap();
    let after = rebuild(&Upstream { retry: 3, ..named() });
    assert_eq!(prebuilt(&after), prebuilt(&cluster));
    assert_eq!(after.roster().members()[0].in_flight(), 1);
    assert!(after.has(lease.member().target()), "a tunnel to it has its place");
    assert_eq!(prebuilt(&rebuild(&Upstream { resolve: None, ..named() })), ["app.internal:80, up", "127.0.0.1:1, up"]);
}

#[test]
fn what_the_cluster_before_a_reload_lets_go_is_not_lost_to_the_next() {
    let before = build(&named());
    assert!(found(&before, &["10.0.0.1", "10.0.0.2"]).is_some());
    let after = UpstreamGroup::build(&Upstream { retry: 3, ..named() }, Some(&before), &trust()).unwrap();
    assert!(found(&before, &["10.0.0.2"]).is_some());
    let is_gone = || after.roster().members()[0].state().is_gone();
    assert!(is_gone());
    assert_eq!((found(&after, &["10.0.0.1", "10.0.0.2"]), is_gone()), (None, false));
}

#[test]
fn a_sticky_cookie_names_the_address() {
    let sticky = Some(Sticky { cookie: "lb".into(), max_age: None, same_site: crate::config::settings::SameSite::Lax });
    let cluster = build(&Upstream { sticky, slow_start: Duration::ZERO, ..named() });
    assert!(found(&cluster, &["10.0.0.1", "10.0.0.2"]).is_some());
    let lease = cluster.pick(wish(&[])).unwrap();
    let cookie = lease.cookie(None, true).unwrap().to_str().unwrap().to_owned();
    let value = cookie.trim_start_matches("lb=").split(';').next().unwrap();
    assert!(found(&cluster, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]).is_some());
    for _ in 0..8 {
        let again = cluster.pick(PickContext { cookie: Some(value), ..PickContext::default() }).unwrap();
        assert_eq!(again.member().label(), lease.member().label());
    }
}

#[test]
fn a_service_has_ports_weights_and_backups_of_its_own() {
    let cluster = build(&Upstream { resolve: Some(Resolve::Srv(Vec::new())), slow_start: Duration::ZERO, ..named() });
    let spot =
        |last, port, weight, backup| ResolvedAddr { ip: [10, 0, 0, last].into(), service: Some(Served { port, weight, backup }) };
    let mut spots = [spot(1, 80, 3, false), spot(1, 9001, 1, false), spot(2, 80, 1, true)];
    assert!(cluster.found(&name("app.internal"), &spots).is_some());
    let labels = ["app.internal:80 at 10.0.0.1", "app.internal:80 at 10.0.0.1:9001", "app.internal:80 at 10.0.0.2"];
    assert_eq!(prebuilt(&cluster)[..3], labels.map(|label| format!("{label}, up")));
    let shares = |cluster: &Arc<UpstreamGroup>| {
        let leases: Vec<Lease> = (0..10).map(|_| cluster.pick(wish(&[])).unwrap()).collect();
        labels.map(|label| leases.iter().filter(|lease| lease.member().label() == label).count())
    };
    assert_eq!(shares(&cluster), [5, 2, 0], "the target that is no service gets the others, and in the backup's place");
    let after = UpstreamGroup::build(&Upstream { retry: 3, ..cluster.settings().clone() }, Some(&cluster), &trust()).unwrap();
    assert_eq!(shares(&after), [5, 2, 0], "a reload knows no other weights");
    spots[0].service = Some(Served { port: 80, weight: 1, backup: false });
    assert_eq!(cluster.found(&name("app.internal"), &spots), Some(EndpointChange::default()), "nobody comes or leaves");
    assert_eq!(shares(&cluster), [2, 2, 0]);
}
