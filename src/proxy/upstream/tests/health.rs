//! Which targets get requests, when some of them fail.

use std::future::Future;

use tokio::time::advance;

use super::*;
use crate::config::settings::{CircuitBreaker, MaxFails, StatusRange};
use crate::telemetry::metrics::proxy::ProxyMetrics;

const RULE: MaxFails = MaxFails { count: 2, within: Duration::from_secs(10), out: Duration::from_secs(30) };

/// Runs a test in which time passes only where it says so.
fn still(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build_local(Default::default()).unwrap().block_on(test);
}

fn failing_settings(ports: &[u16]) -> Upstream {
    Upstream { max_fails: Some(RULE), ..settings(ports) }
}

/// The targets that eight requests would go to, by their ports' last digit.
fn chosen(cluster: &Arc<UpstreamGroup>) -> String {
    let mut ports: Vec<char> = (0..8_u64)
        .filter_map(|n| cluster.pick(PickContext { roll: pick::hash(&n.to_be_bytes()), ..PickContext::default() }))
        .filter_map(|lease| lease.member().label().chars().last())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports.into_iter().collect()
}

fn lease_on(cluster: &Arc<UpstreamGroup>, port: char) -> Lease {
    let all = std::iter::from_fn(|| cluster.pick(PickContext::default()));
    all.take(8).find(|lease| lease.member().label().ends_with(port)).expect("it is chosen")
}

fn state(cluster: &UpstreamGroup, i: usize) -> &'static str {
    cluster.roster().members()[i].standing(cluster.settings()).state
}

#[test]
fn a_target_that_fails_is_left_out_for_a_while_and_then_tried() {
    still(async {
        let metrics = ProxyMetrics::default();
        let cluster = build(&failing_settings(&[1, 2]));
        let lease = lease_on(&cluster, '1');
        lease.failed(&"connect-refused", &metrics);
        advance(Duration::from_secs(11)).await;
        lease.failed(&"connect-refused", &metrics);
        assert_eq!((chosen(&cluster).as_str(), metrics.targets_down.read()), ("12", 0), "two failures, but not within 10 s");
        lease.failed(&"connect-refused", &metrics);
        assert_eq!((chosen(&cluster).as_str(), state(&cluster, 0)), ("2", "failing"));
        lease.failed(&"connect-refused", &metrics);
        assert_eq!(metrics.targets_down.read(), 1, "it went once");
        let why = cluster.roster().members()[0].standing(cluster.settings()).why.unwrap();
        assert_eq!(why, "2 requests failed within 10s, the last one by connect-refused");
        // What began before says nothing about now.
        lease.answered(200, &metrics);
        assert_eq!(chosen(&cluster), "2");
        advance(Duration::from_secs(31)).await;
        assert_eq!((chosen(&cluster).as_str(), state(&cluster, 0)), ("12", "on trial"));
        lease_on(&cluster, '1').failed(&"connect-refused", &metrics);
        assert_eq!((chosen(&cluster).as_str(), metrics.targets_down.read()), ("2", 1), "the trial failed, which is no news");
        advance(Duration::from_secs(31)).await;
        lease_on(&cluster, '1').answered(404, &metrics);
        assert_eq!((chosen(&cluster).as_str(), state(&cluster, 0)), ("12", "up"));
    });
}

#[test]
fn when_all_have_failed_they_are_tried_all_the_same() {
    still(async {
        let metrics = ProxyMetrics::default();
        for ports in [&[1, 2][..], &[1]] {
            let cluster = build(&failing_settings(ports));
            for port in ports {
                let lease = lease_on(&cluster, char::from(b'0' + *port as u8));
                lease.failed(&"x", &metrics);
                lease.failed(&"x", &metrics);
            }
            assert_eq!(chosen(&cluster).len(), ports.len());
            // And who answers then is back without waiting.
            cluster.pick(PickContext::default()).unwrap().answered(200, &metrics);
            assert_eq!(chosen(&cluster).len(), 1);
        }
    });
}

#[test]
fn statuses_count_as_failures_where_they_are_said_to() {
    still(async {
        let metrics = ProxyMetrics::default();
        let fail_status = vec![StatusRange::class(5)];
        let cluster = build(&Upstream { fail_status, ..failing_settings(&[1, 2]) });
        let lease = lease_on(&cluster, '1');
        for status in [200, 404, 499, 500, 503] {
            assert_eq!(chosen(&cluster), "12");
            lease.answered(status, &metrics);
        }
        assert_eq!(chosen(&cluster), "2");
        assert!(cluster.in_words().contains("127.0.0.1:1 is failing (2 requests failed within 10s, the last one by status 503)"));
    });
}

#[test]
fn backups_come_in_when_nobody_else_is_up_and_go_when_somebody_is() {
    still(async {
        let metrics = ProxyMetrics::default();
        for balance in [Balance::RoundRobin, Balance::LeastConnections, Balance::Random, Balance::Hash(HashOf::Ip)] {
            let mut settings = Upstream { balance, ..failing_settings(&[1, 2, 3]) };
            settings.targets[2].backup = true;
            let cluster = build(&settings);
            assert_eq!(chosen(&cluster), "12");
            for port in ['1', '2'] {
                let lease = lease_on(&cluster, port);
                lease.failed(&"x", &metrics);
                lease.failed(&"x", &metrics);
            }
            assert_eq!(chosen(&cluster), "3");
            advance(Duration::from_secs(31)).await;
            assert_eq!(chosen(&cluster), "12");
            let tried: Vec<u64> = cluster.roster().members()[..2].iter().map(|member| member.id()).collect();
            assert!(cluster.pick(wish(&tried)).unwrap().member().label().ends_with('3'), "a retry may go to a backup");
        }
    });
}

#[test]
fn a_target_that_came_back_warms_up() {
    still(async {
        let metrics = ProxyMetrics::default();
        let cluster = build(&Upstream { slow_start: Duration::from_secs(100), ..failing_settings(&[1, 2]) });
        let mut rng = crate::base::rng::Rng::seeded(5);
        let mut share = || {
            let picks = (0..400).map(|_| cluster.pick(PickContext { roll: rng.roll(), ..PickContext::default() }).unwrap());
            picks.filter(|lease| lease.member().label().ends_with('1')).count()
        };
        assert_eq!(share(), 200, "what was there from the beginning needs no warming");
        let lease = lease_on(&cluster, '1');
        lease.failed(&"x", &metrics);
        lease.failed(&"x", &metrics);
        advance(Duration::from_secs(31)).await;
        lease_on(&cluster, '1').answered(200, &metrics);
        let (cold, word) = (share(), state(&cluster, 0));
        assert!((1..40).contains(&cold) && word == "warming up", "{cold} {word}");
        advance(Duration::from_secs(50)).await;
        let half = share();
        assert!((70..130).contains(&half), "{half}");
        advance(Duration::from_secs(50)).await;
        assert_eq!((share(), state(&cluster, 0)), (200, "up"));
    });
}

#[test]
fn health_survives_a_reload_and_counts_by_the_rules_in_force() {
    still(async {
        let metrics = ProxyMetrics::default();
        let before = build(&failing_settings(&[1, 2]));
        let lease = lease_on(&before, '1');
        lease.failed(&"x", &metrics);
        lease.failed(&"x", &metrics);
        let rebuild = |settings: &Upstream| UpstreamGroup::build(settings, Some(&before), &trust()).unwrap();
        assert_eq!(chosen(&rebuild(&Upstream { retry: 3, ..failing_settings(&[2, 1]) })), "2");
        assert_eq!(chosen(&rebuild(&Upstream { max_fails: None, ..failing_settings(&[1, 2]) })), "12");
    });
}

const BREAKER: CircuitBreaker =
    CircuitBreaker { percent: 50, least: 4, within: Duration::from_secs(10), out: Duration::from_secs(30) };

#[test]
fn an_open_circuit_lets_nothing_through_even_to_the_last_target() {
    still(async {
        let metrics = ProxyMetrics::default();
        let settings = Upstream { max_fails: None, circuit_breaker: Some(BREAKER), ..settings(&[1, 2]) };
        let cluster = build(&settings);
        let fail = |port| {
            let lease = lease_on(&cluster, port);
            for status in [200, 500, 502] {
                lease.answered(status, &metrics);
            }
            assert_eq!(chosen(&cluster).len(), if port == '1' { 2 } else { 1 }, "a 500 is one page's fault");
            lease.failed(&"backend-reset", &metrics);
        };
        fail('1');
        assert_eq!((chosen(&cluster).as_str(), state(&cluster, 0), cluster.opens_in()), ("2", "circuit open", None));
        advance(Duration::from_secs(1)).await;
        fail('2');
        assert_eq!((chosen(&cluster).as_str(), metrics.circuits_opened.read()), ("", 2));
        assert_eq!(cluster.opens_in(), Some(Duration::from_secs(29)), "the first one may be tried first");
        let why = "127.0.0.1:2 is circuit open (2 of 4 requests failed within 10s, the last one by backend-reset)";
        assert!(cluster.in_words().contains(why), "{}", cluster.in_words());
        let reloaded = UpstreamGroup::build(&Upstream { retry: 3, ..settings }, Some(&cluster), &trust()).unwrap();
        assert_eq!(chosen(&reloaded), "", "a reload is no reason to believe that it is well");

        advance(Duration::from_secs(29)).await;
        assert_eq!(state(&cluster, 0), "circuit half-open");
        let trial = cluster.pick(PickContext::default()).unwrap();
        assert_eq!(
            (trial.member().label(), cluster.pick(PickContext::default()).is_none()),
            ("127.0.0.1:1", true),
            "one and no more"
        );
        assert_eq!(cluster.opens_in(), Some(Duration::from_secs(1)));
        drop(trial);
        cluster.pick(PickContext::default()).expect("who left has not decided").answered(404, &metrics);
        assert_eq!((chosen(&cluster).as_str(), state(&cluster, 0), metrics.circuits_opened.read()), ("1", "up", 2));
        let idle: u32 = cluster.roster().members().iter().map(|member| member.in_flight()).sum();
        assert_eq!(idle, 0, "who was not let through is not counted");
    });
}

#[test]
fn what_the_operator_or_the_checks_took_out_does_not_come_back_by_waiting() {
    still(async {
        let metrics = ProxyMetrics::default();
        let cluster = build(&Upstream { max_fails: None, circuit_breaker: Some(BREAKER), ..settings(&[1, 2]) });
        let lease = lease_on(&cluster, '1');
        for _ in 0..4 {
            lease.failed(&"x", &metrics);
        }
        let roster = cluster.roster();
        cluster.set_drained(&roster.members()[1], true);
        assert_eq!(cluster.opens_in(), Some(Duration::from_secs(30)), "the drained one is none to wait for");
        cluster.set_drained(&roster.members()[0], true);
        assert_eq!(cluster.opens_in(), None);
    });
}
