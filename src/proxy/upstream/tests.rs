use std::time::Duration;

use super::lease::Lease;
use super::testing::{build, run, target, trust, upstream};
use super::*;
use crate::config::settings::{HashOf, TargetAddress, TargetScheme};

mod checks;
mod dial;
mod health;
mod names;
mod tls;

fn settings(ports: &[u16]) -> Upstream {
    let at = |port: &u16| target(TargetAddress::Socket(([127, 0, 0, 1], *port).into()), TargetScheme::Http, 1);
    upstream(ports.iter().map(at).collect())
}

fn wish(tried: &[u64]) -> PickContext<'_> {
    PickContext { tried, ..PickContext::default() }
}

#[test]
fn a_lease_counts_until_it_is_dropped() {
    let cluster = build(&settings(&[1, 2]));
    let counts = || cluster.roster().members().iter().map(|member| member.in_flight()).collect::<Vec<_>>();
    let (first, second) = (cluster.pick(wish(&[])).unwrap(), cluster.pick(wish(&[])).unwrap());
    assert_eq!((first.member().label(), second.member().label()), ("127.0.0.1:1", "127.0.0.1:2"));
    assert_eq!(counts(), [1, 1]);
    drop(first);
    assert_eq!(counts(), [0, 1]);
    drop(second);
    assert_eq!(counts(), [0, 0]);
}

#[test]
fn what_was_tried_is_not_chosen_again() {
    for balance in [Balance::RoundRobin, Balance::LeastConnections, Balance::Random, Balance::Hash(HashOf::Ip)] {
        let cluster = build(&Upstream { balance, ..settings(&[1, 2]) });
        let ids: Vec<u64> = cluster.roster().members().iter().map(|member| member.id()).collect();
        for roll in [0, u64::MAX] {
            let wish = PickContext { roll, key: Some(roll), tried: &ids[1..], ..PickContext::default() };
            assert_eq!(cluster.pick(wish).unwrap().id(), ids[0]);
            assert!(cluster.pick(PickContext { tried: &ids, ..wish }).is_none());
        }
    }
    let only = build(&settings(&[1]));
    let id = only.roster().members()[0].id();
    assert!(only.pick(wish(&[id])).is_none());
}

#[test]
fn a_reload_keeps_what_did_not_change() {
    let before = build(&settings(&[1, 2]));
    let lease = before.pick(wish(&[])).unwrap();
    let rebuild = |settings: &Upstream| UpstreamGroup::build(settings, Some(&before), &trust()).unwrap();
    assert!(Arc::ptr_eq(&before, &rebuild(&settings(&[1, 2]))));

    let mut changed = settings(&[3, 1]);
    changed.targets[1].weight = 5;
    changed.timeouts.keep_alive = Duration::from_secs(1);
    let after = rebuild(&changed);
    assert_eq!(after.roster().members()[1].in_flight(), 1, "the open exchange counts on under the new weight");
    assert!(Arc::ptr_eq(after.roster().members()[1].state(), lease.state()));
    assert_eq!(after.roster().members()[0].in_flight(), 0);

    let mut other_way = settings(&[1, 2]);
    other_way.targets[0].scheme = TargetScheme::Https;
    assert_eq!(rebuild(&other_way).roster().members()[0].in_flight(), 0, "what is reached in another way is another target");
}
