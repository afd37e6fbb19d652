//! `kill -9` at each step of an order: nothing that was issued is lost, nothing is bought twice, no second account.

use std::thread;
use std::time::Duration;

use crate::support::echo;
use crate::support::fault::{Fault, FaultProxy, Kind};
use crate::support::gateway::Gateway;
use crate::support::pebble::{Options, Pebble};

const SITE: &str = "door.example.test";
const STEP: Duration = crate::support::wait::LIMIT;

/// Orders that the authority may have seen in the end, when the gateway was killed before or after it acted on `kind`.
const STEPS: &[(Kind, Fault, usize)] = &[
    (Kind::NewAccount, Fault::HoldRequest, 1),
    (Kind::NewAccount, Fault::HoldAnswer, 1),
    (Kind::NewOrder, Fault::HoldRequest, 1),
    // The order's URL was in the answer that nobody got; such an order costs nothing and expires.
    (Kind::NewOrder, Fault::HoldAnswer, 2),
    (Kind::Authorization, Fault::HoldRequest, 1),
    (Kind::Challenge, Fault::HoldRequest, 1),
    // The authority looks for the proof while nobody is there to show it, and a failed authorization needs a new order.
    (Kind::Challenge, Fault::HoldAnswer, 2),
    (Kind::Finalize, Fault::HoldRequest, 1),
    (Kind::Finalize, Fault::HoldAnswer, 1),
    (Kind::Certificate, Fault::HoldRequest, 1),
    (Kind::Certificate, Fault::HoldAnswer, 1),
];

#[test]
fn a_kill_at_any_step_loses_nothing_and_buys_nothing_twice() {
    for batch in STEPS.chunks(4) {
        thread::scope(|scope| {
            for (kind, fault, orders) in batch {
                scope.spawn(move || kill_at(*kind, fault, *orders));
            }
        });
    }
}

fn kill_at(kind: Kind, fault: &Fault, orders: usize) {
    let mut gateway = Gateway::prepare();
    let pebble = Pebble::start(gateway.http, gateway.https, &Options::default());
    let proxy = FaultProxy::start(&pebble);
    let backend = echo::start();
    gateway.configure(&proxy.acme_lines(), &format!("{SITE} {{\n    proxy {}\n}}", backend.address().port()));
    proxy.fail(kind, fault.clone());
    gateway.start();
    proxy.until_struck(kind, STEP);
    gateway.kill();
    gateway.start();
    gateway.until_served(SITE, &pebble.issued_root(), STEP);
    let step = format!("killed at {kind:?}, {fault:?}");
    assert_eq!(proxy.answered(Kind::NewAccount, 201), 1, "{step}: accounts");
    assert!(proxy.answered(Kind::NewOrder, 201) <= orders, "{step}: {} orders", proxy.answered(Kind::NewOrder, 201));
    assert_eq!(proxy.answered(Kind::Finalize, 200), 1, "{step}: certificates bought");
}
