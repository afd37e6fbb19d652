//! A certificate over its life: renewed whatever its authority says about it, and served to its end and beyond it.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::fault::{Fault, Kind};
use crate::support::issuance::{ISSUE, Issuance};
use crate::support::load::Load;
use crate::support::pebble::Options;
use crate::support::peers::curl;
use crate::support::wait;

const SITE: &str = "door.example.test";

fn living(seconds: u64) -> Options {
    Options { profiles: vec![("default", Duration::from_secs(seconds))], ..Options::default() }
}

#[test]
fn a_certificate_that_expired_and_cannot_be_renewed_is_served_on_and_shouted_about() {
    let mut all = Issuance::of(&[SITE], &living(15));
    all.until_served(&[SITE]);
    all.pebble.kill();
    all.gateway.process().until_said("certificate_in_danger", 3 * ISSUE);
    let url = format!("https://{SITE}:{}/", all.gateway.https);
    wait::until_true("it is called expired", 3 * ISSUE, || {
        String::from_utf8_lossy(&all.gateway.run("certs").stdout).contains("expired")
    });
    assert_eq!(curl(&["--insecure", &url]), "hello from echo: GET /\n");
    // From the disk it is as good as from memory.
    all.gateway.kill();
    all.gateway.start();
    assert_eq!(curl(&["--insecure", &url]), "hello from echo: GET /\n");
}

#[test]
fn a_renewal_that_fails_takes_nothing_away() {
    let all = Issuance::of(&[SITE], &living(40));
    let first = all.until_served(&[SITE]);
    all.proxy.fail_always(Kind::NewOrder, Fault::Problem(403, "unauthorized"));
    wait::until_true("the renewal is refused", 2 * ISSUE, || all.proxy.has_struck(Kind::NewOrder));
    wait::until_true("it is told", ISSUE, || all.gateway.output().contains("certificate_failed"));
    assert_eq!(all.until_served(&[SITE]), first);
}

#[test]
fn renewal_information_that_is_broken_or_absurd_delays_no_renewal_and_makes_no_storm() {
    const LATER: &str = r#"{"suggestedWindow":{"start":"9998-01-01T00:00:00Z","end":"9999-01-01T00:00:00Z"}}"#;
    const INVERTED: &str = r#"{"suggestedWindow":{"start":"2020-01-02T00:00:00Z","end":"2020-01-01T00:00:00Z"}}"#;
    let faults = [
        Fault::HoldAnswer,
        Fault::Html,
        Fault::Status(500, None),
        Fault::Status(429, Some(999_999_999)),
        Fault::Huge,
        Fault::Json(INVERTED),
        Fault::Json(LATER),
    ];
    // Each has a gateway of its own: they share nothing but the time.
    std::thread::scope(|scope| {
        for fault in faults {
            scope.spawn(move || {
                let all = Issuance::new(&living(24));
                all.proxy.fail_always(Kind::RenewalInfo, fault.clone());
                all.configure("", &[SITE]);
                let mut all = all;
                all.gateway.start();
                let started = Instant::now();
                let first = all.until_served(&[SITE]);
                wait::until_true(&format!("it is renewed in spite of {fault:?}"), ISSUE, || {
                    all.gateway.get(SITE, "/", &all.root()).is_ok_and(|seen| seen.serial() != first[0])
                });
                assert!(all.proxy.has_struck(Kind::RenewalInfo), "{fault:?} was never seen");
                let (asked, bought) = (all.proxy.count(Kind::RenewalInfo), all.bought());
                // At the start, and once in each half of a life since.
                let due = 1 + usize::try_from(started.elapsed().as_secs() / (24 / 2)).unwrap();
                assert!(asked <= 2 * bought && bought <= 1 + due, "{fault:?}: asked {asked} times, bought {bought} of {due}");
            });
        }
    });
}

#[test]
fn when_all_are_to_be_renewed_now_each_is_once_others_are_not_and_no_visitor_notices() {
    let names: Vec<String> = (0..20).map(|n| format!("n{n}.example.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (recalled, kept) = names.split_at(15);
    let mut all = Issuance::of(&names, &Options::default());
    let before = all.until_served(&names);
    all.gateway.kill();
    for name in recalled {
        let slot = certificates(&all).join(name);
        let pem = std::fs::read_to_string(slot.join("current/cert.pem")).unwrap();
        let leaf = pem.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap();
        all.pebble.suggest_renewal(leaf, "2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z");
    }
    // The journal is lost as well, so that all of them are asked about within a minute, and not when they were to be.
    std::fs::remove_dir_all(all.gateway.state().join("journal")).unwrap();
    let asked = all.proxy.answered(Kind::RenewalInfo, 200);
    all.gateway.start();
    let load = Load::start(recalled[0], all.gateway.https, &all.root());
    wait::until_true("each is asked about and each recalled one renewed", 4 * ISSUE, || {
        all.proxy.answered(Kind::RenewalInfo, 200) >= asked + names.len() && all.bought() >= names.len() + recalled.len()
    });
    wait::until_true("the renewed ones are served", ISSUE, || {
        let after = all.until_served(recalled);
        after.iter().zip(&before).all(|(after, before)| after != before)
    });
    assert_eq!(all.until_served(kept), before[recalled.len()..], "a neighbour was renewed, too");
    let tally = load.finish();
    assert_eq!(tally.failures, Vec::<String>::new(), "{tally:?}");
    assert_eq!((all.orders(), all.bought()), (35, 35), "each is replaced once");
}

/// The folder of the one authority's certificates.
fn certificates(all: &Issuance) -> std::path::PathBuf {
    let folder = all.gateway.state().join("certificates");
    std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
}
