//! A renewal while people are there.

use std::time::Duration;

use crate::support::fault::{FaultProxy, Kind};
use crate::support::gateway::Gateway;
use crate::support::load::Load;
use crate::support::pebble::{Options, Pebble};
use crate::support::{echo, wait};

const SITE: &str = "door.example.test";

/// Renewed at half of it, which leaves a busy machine the other half for the renewal; short enough to wait for.
const LIFE: Duration = Duration::from_secs(50);

#[test]
fn certificates_are_renewed_under_load_without_a_failure() {
    let mut gateway = Gateway::prepare();
    let options = Options { profiles: vec![("default", LIFE)], ..Options::default() };
    let pebble = Pebble::start(gateway.http, gateway.https, &options);
    let proxy = FaultProxy::start(&pebble);
    let backend = echo::start();
    gateway.configure(&proxy.acme_lines(), &format!("{SITE} {{\n    proxy {}\n}}", backend.address().port()));
    gateway.start();
    let root = pebble.issued_root();
    let first = gateway.until_served(SITE, &root, wait::LIMIT).serial();
    let load = Load::start(SITE, gateway.https, &root);
    wait::until_true("another certificate is served", wait::LIMIT, || {
        !load.failures().is_empty() || gateway.get(SITE, "/", &root).is_ok_and(|seen| seen.serial() != first)
    });
    load.until_more();
    let tally = load.finish();
    assert_eq!(tally.failures, Vec::<String>::new(), "{tally:?}");
    assert!(tally.serials.len() >= 2 && tally.messages > 50 && tally.requests > 50 && tally.visits > 20, "{tally:?}");
    assert_eq!(proxy.answered(Kind::NewAccount, 201), 1);
    assert_eq!(proxy.answered(Kind::NewOrder, 201), proxy.answered(Kind::Finalize, 200), "an order for each certificate");
    // The renewal named what it replaces.
    pebble.until_logged("is a replacement of");
}
