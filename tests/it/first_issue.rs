//! From an empty state to a certificate in service, by every way there is.

use std::time::Duration;

use crate::support::fault::{FaultProxy, Kind};
use crate::support::gateway::Gateway;
use crate::support::pebble::{Options, Pebble};
use crate::support::{echo, ports, wait};

const SITE: &str = "door.example.test";

/// What ACME.md promises at most; it takes about two.
const ISSUE: Duration = wait::LIMIT;

/// Starts a gateway with these lines in its `acme` block before an authority with these ways, and waits for the first
/// https answer.
fn issue(options: &Options, lines: &str) {
    let mut gateway = Gateway::prepare();
    let pebble = Pebble::start(gateway.http, gateway.https, options);
    let backend = echo::start();
    gateway.configure(&format!("{}{lines}", pebble.acme_lines()), &site(backend.address().port()));
    gateway.start();
    let seen = gateway.until_served(SITE, &pebble.issued_root(), ISSUE);
    assert_eq!(seen.text(), "hello from echo: GET /\n");
    // It counts as served once the gateway was shown it in a handshake of its own.
    wait::until_true("the gateway sees its new certificate", ISSUE, || gateway.output().contains("certificate_in_service"));
}

fn site(port: u16) -> String {
    format!("{SITE} {{\n    proxy {port}\n}}")
}

#[test]
fn http_01_alone_suffices() {
    issue(&Options::default(), "challenges http-01\n");
}

#[test]
fn tls_alpn_01_alone_suffices() {
    issue(&Options::default(), "challenges tls-alpn-01\n");
}

#[test]
fn an_authority_that_binds_accounts_is_satisfied() {
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    issue(&Options { eab: Some(("kid-1", key)), ..Options::default() }, &format!("eab kid-1 {key}\n"));
}

#[test]
fn a_profile_is_asked_for_by_its_name() {
    let profiles = vec![("default", Duration::from_secs(7_776_000)), ("shortlived", Duration::from_secs(518_400))];
    issue(&Options { profiles, ..Options::default() }, "profile shortlived\n");
}

#[test]
fn refused_nonces_and_a_slow_validation_cost_time_only() {
    let mut gateway = Gateway::prepare();
    let options = Options { nonce_reject: 30, validation_sleep: Some(2), ..Options::default() };
    let pebble = Pebble::start(gateway.http, gateway.https, &options);
    let proxy = FaultProxy::start(&pebble);
    let backend = echo::start();
    gateway.configure(&proxy.acme_lines(), &site(backend.address().port()));
    gateway.start();
    gateway.until_served(SITE, &pebble.issued_root(), 2 * ISSUE);
    assert_eq!((proxy.answered(Kind::NewAccount, 201), proxy.answered(Kind::NewOrder, 201)), (1, 1));
}

#[test]
fn when_port_80_is_out_of_reach_tls_alpn_01_is_tried_at_once() {
    let mut gateway = Gateway::prepare();
    let pebble = Pebble::start(ports::free(), gateway.https, &Options::default());
    falls_over(&mut gateway, &pebble);
}

#[test]
fn when_port_443_is_out_of_reach_http_01_is_tried_at_once() {
    let mut gateway = Gateway::prepare();
    let pebble = Pebble::start(gateway.http, ports::free(), &Options::default());
    falls_over(&mut gateway, &pebble);
}

fn falls_over(gateway: &mut Gateway, pebble: &Pebble) {
    let backend = echo::start();
    gateway.configure(&pebble.acme_lines(), &site(backend.address().port()));
    gateway.start();
    gateway.until_served(SITE, &pebble.issued_root(), ISSUE);
}
