//! An authority that is slow, broken, busy or false: every answer is bounded, and nothing bad is believed.

use std::sync::Arc;
use std::time::Duration;

use doorward::base::chain::Chain;
use doorward::base::time::{Clock, SystemClock};
use doorward::certs::issuer::Rejection;
use doorward::certs::issuer::acme::{OrderCause, Step};
use doorward::certs::issuer::http::HttpFailure;
use tokio::time::Instant;

use crate::acme_desk::{Customer, Desk};
use crate::support::authority::Authority;
use crate::support::fault::{Fault, FaultProxy, Kind};
use crate::support::pebble::{Options, Pebble};

fn begin() -> (Desk, Pebble, FaultProxy, Customer) {
    let desk = Desk::open();
    let pebble = Pebble::start(desk.http_port(), desk.https_port(), &Options::default());
    let proxy = FaultProxy::start(&pebble);
    let directory = format!("https://localhost:{}/dir", proxy.port());
    let customer = Customer::new(&directory, pebble.authority().root_file(), Arc::default());
    (desk, pebble, proxy, customer)
}

#[tokio::test]
async fn a_cut_chain_is_fetched_again_and_never_issued() {
    let (desk, _pebble, proxy, customer) = begin();
    proxy.fail(Kind::Certificate, Fault::CutChain);
    customer.order(&desk, &["a.example"]).await.unwrap();
    assert_eq!(proxy.count(Kind::Certificate), 2);
    for _ in 0..3 {
        proxy.fail(Kind::Certificate, Fault::CutChain);
    }
    let error = customer.order(&desk, &["b.example"]).await.unwrap_err();
    assert!(matches!(error.cause, OrderCause::Bundle(_)), "{}", Chain(&error));
    customer.restarted().order(&desk, &["b.example"]).await.unwrap();
    assert_eq!(customer.memory.count("order"), 2, "a bad download must not buy another certificate");
}

#[tokio::test]
async fn garbage_is_an_error_of_one_try_and_bounded() {
    let (desk, _pebble, proxy, customer) = begin();
    let faults = [(Kind::Directory, Fault::Html), (Kind::NewNonce, Fault::Status(500, None)), (Kind::Directory, Fault::Huge)];
    for (kind, fault) in faults {
        for _ in 0..4 {
            proxy.fail(kind, fault.clone());
        }
        let started = Instant::now();
        let error = customer.restarted().order(&desk, &["a.example"]).await.unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(20), "{}", Chain(&error));
        assert_eq!((error.step, error.rejection(SystemClock.now())), (Step::Account, Rejection::TryAgain));
        assert!(Chain(&error).to_string().len() < 600);
        proxy.heal();
    }
    for (kind, fault) in [(Kind::Authorization, Fault::Html), (Kind::Order, Fault::Huge), (Kind::Certificate, Fault::Html)] {
        proxy.fail(kind, fault);
    }
    customer.order(&desk, &["a.example"]).await.unwrap();
    assert_eq!(customer.memory.count("order"), 1);
}

#[tokio::test]
async fn after_retry_after_nothing_of_that_kind_is_asked_before_its_time() {
    let (desk, _pebble, proxy, customer) = begin();
    customer.order(&desk, &["first.example"]).await.unwrap();
    for status in [429, 503] {
        customer.account.http().pauses().clear();
        proxy.fail(Kind::NewOrder, Fault::Status(status, Some(3600)));
        let now = SystemClock.now();
        let error = customer.order(&desk, &["a.example"]).await.unwrap_err();
        let Rejection::Until(until) = error.rejection(now) else { panic!("{}", Chain(&error)) };
        assert!((3590..=3610).contains(&until.since(now).as_secs()));
        let asked = proxy.count(Kind::NewOrder);
        let error = customer.order(&desk, &["b.example"]).await.unwrap_err();
        assert!(matches!(error.cause, OrderCause::Http(HttpFailure::Paused { .. })), "{}", Chain(&error));
        assert_eq!((proxy.count(Kind::NewOrder), error.rejection(now)), (asked, Rejection::Until(until)));
        assert_eq!(customer.account.http().pauses().snapshot(now).len(), 1);
    }
}

#[tokio::test]
async fn an_authority_that_cannot_be_verified_gets_no_request() {
    let (desk, _pebble, proxy, customer) = begin();
    let folder = tempfile::tempdir().unwrap();
    let stranger = Authority::new(folder.path());
    let directory = customer.acme.directory.clone();
    let customer = Customer::new(&directory, stranger.root_file(), Arc::default());
    let error = customer.order(&desk, &["a.example"]).await.unwrap_err();
    assert!(matches!(error.cause, OrderCause::Http(HttpFailure::Untrusted { .. })), "{}", Chain(&error));
    assert!(error.likely_cause().unwrap().contains("ca-file"));
    assert_eq!(proxy.count_all(), 0);
}

#[tokio::test]
async fn an_authority_that_hangs_or_is_gone_costs_a_bounded_time() {
    let (desk, mut pebble, proxy, customer) = begin();
    proxy.fail(Kind::NewOrder, Fault::HoldAnswer);
    proxy.fail(Kind::NewOrder, Fault::HoldAnswer);
    let started = Instant::now();
    let error = customer.order(&desk, &["a.example"]).await.unwrap_err();
    assert!(matches!(error.cause, OrderCause::Http(HttpFailure::Slow { .. })), "{}", Chain(&error));
    pebble.kill();
    let directory = pebble.directory();
    let gone = Customer::new(&directory, pebble.authority().root_file(), Arc::default());
    let error = gone.order(&desk, &["a.example"]).await.unwrap_err();
    assert!(matches!(error.cause, OrderCause::Http(HttpFailure::Connect { .. })), "{}", Chain(&error));
    assert!(started.elapsed() < Duration::from_secs(30));
}
