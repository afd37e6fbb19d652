//! An authority that is slow, broken, busy or false: every answer is bounded, and nothing bad is believed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use doorward::base::error_chain::ErrorChain;
use doorward::base::time::{Clock, SystemClock};
use doorward::certs::issuer::Rejection;
use doorward::certs::issuer::acme::{OrderCause, Step};
use doorward::certs::issuer::http::{HttpFailure, HttpLimits};
use doorward::config::settings::ChallengeKind;
use doorward::net::http_client::HttpError;

use crate::acme_desk::{AdminHandler, Customer};
use crate::support::authority::Authority;
use crate::support::fault::{Fault, FaultProxy, Kind};
use crate::support::pebble::{Options, Pebble};

fn begin() -> (AdminHandler, Pebble, FaultProxy, Customer) {
    let desk = AdminHandler::open();
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
    assert!(matches!(error.cause, OrderCause::Bundle(_)), "{}", ErrorChain(&error));
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
        let error = customer.restarted().order(&desk, &["a.example"]).await.unwrap_err();
        assert_eq!((error.step, error.rejection(SystemClock.now())), (Step::Account, Rejection::TryAgain));
        assert!(ErrorChain(&error).to_string().len() < 600);
        proxy.heal();
    }
    for (kind, fault) in [(Kind::Authorization, Fault::Html), (Kind::Order, Fault::Huge), (Kind::Certificate, Fault::Html)] {
        proxy.fail(kind, fault);
    }
    customer.order(&desk, &["a.example"]).await.unwrap();
    assert_eq!(customer.memory.count("order"), 1);
}

#[tokio::test]
async fn an_absurd_retry_after_on_an_order_costs_no_validation() {
    let desk = AdminHandler::open();
    let options = Options { validation_sleep: Some(2), ..Options::default() };
    let pebble = Pebble::start(desk.http_port(), desk.https_port(), &options);
    let proxy = FaultProxy::start(&pebble);
    let directory = format!("https://localhost:{}/dir", proxy.port());
    let customer = Customer::new(&directory, pebble.authority().root_file(), Arc::default());
    for (name, value) in [("a.example", "86400"), ("b.example", "Fri, 31 Dec 9999 23:59:59 GMT"), ("c.example", "0")] {
        proxy.fail_always(Kind::Order, Fault::RetryAfter(value));
        proxy.fail_always(Kind::Authorization, Fault::RetryAfter(value));
        proxy.fail(Kind::Order, Fault::Status(503, Some(1)));
        let issued = customer.order(&desk, &[name]).await.unwrap_or_else(|error| panic!("{value}: {}", ErrorChain(&error)));
        assert!(issued.failed.is_empty(), "{value}: {:?}", issued.failed);
        proxy.heal();
    }
    assert_eq!(customer.memory.count("order"), 3, "one order for each");
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
        let Rejection::Until(until) = error.rejection(now) else { panic!("{}", ErrorChain(&error)) };
        assert!((3590..=3610).contains(&until.since(now).as_secs()));
        let asked = proxy.count(Kind::NewOrder);
        let error = customer.order(&desk, &["b.example"]).await.unwrap_err();
        assert!(matches!(error.cause, OrderCause::Http(HttpFailure::Paused { .. })), "{}", ErrorChain(&error));
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
    assert!(
        matches!(error.cause, OrderCause::Http(HttpFailure::Transport(HttpError::Untrusted { .. }))),
        "{}",
        ErrorChain(&error)
    );
    assert!(error.remedy().unwrap().contains("`ca-file`"));
    assert_eq!(proxy.count_all(), 0);
}

#[tokio::test]
async fn an_authority_that_hangs_or_is_gone_costs_a_bounded_time() {
    let (desk, mut pebble, proxy, customer) = begin();
    let limits = HttpLimits { answer: Duration::from_secs(5), ..HttpLimits::default() };
    let customer = Customer::with_limits(customer.acme.clone(), Arc::default(), limits);
    proxy.fail_always(Kind::NewOrder, Fault::HoldAnswer);
    let error = customer.order(&desk, &["a.example"]).await.unwrap_err();
    assert!(matches!(error.cause, OrderCause::Http(HttpFailure::Transport(HttpError::Slow { .. }))), "{}", ErrorChain(&error));
    pebble.kill();
    let directory = pebble.directory();
    let gone = Customer::new(&directory, pebble.authority().root_file(), Arc::default());
    let error = gone.order(&desk, &["a.example"]).await.unwrap_err();
    assert!(matches!(error.cause, OrderCause::Http(HttpFailure::Transport(HttpError::Connect { .. }))), "{}", ErrorChain(&error));
}

#[tokio::test]
async fn what_only_a_person_or_a_policy_changes_is_not_tried_again_soon() {
    let (desk, _pebble, proxy, customer) = begin();
    let soon = Duration::from_secs(3_000);
    for (kind, said) in [
        (Kind::NewOrder, "rejectedIdentifier"),
        (Kind::NewOrder, "unsupportedIdentifier"),
        (Kind::NewOrder, "caa"),
        (Kind::Finalize, "badCSR"),
        (Kind::Finalize, "caa"),
    ] {
        proxy.fail_always(kind, Fault::Problem(403, said));
        let asked = proxy.count(kind);
        let error = customer.order(&desk, &["a.example"]).await.unwrap_err();
        let now = SystemClock.now();
        assert!(
            matches!(error.rejection(now), Rejection::Until(until) if until.since(now) > soon),
            "{said}: {}",
            ErrorChain(&error)
        );
        assert_eq!(proxy.count(kind) - asked, 1, "{said} was asked about again at once");
        proxy.heal();
    }
}

#[tokio::test]
async fn an_authority_that_never_finds_its_ready_order_ready_is_asked_a_few_times() {
    let (desk, _pebble, proxy, customer) = begin();
    proxy.fail_always(Kind::Finalize, Fault::Problem(403, "orderNotReady"));
    let error = customer.order(&desk, &["a.example"]).await.unwrap_err();
    assert_eq!((error.step, proxy.count(Kind::Finalize)), (Step::Finalize, 3), "{}", ErrorChain(&error));
    // One that only lagged behind is served well, with the same order.
    proxy.heal();
    proxy.fail(Kind::Finalize, Fault::Problem(403, "orderNotReady"));
    customer.restarted().order(&desk, &["a.example"]).await.unwrap();
    assert_eq!(customer.memory.count("order"), 1);
}

#[tokio::test]
async fn a_validation_that_failed_once_costs_one_more_order_and_no_wait() {
    let (desk, _pebble, _proxy, mut customer) = begin();
    customer.acme.challenges = vec![ChallengeKind::Http01];
    desk.http_misses.store(1, Ordering::Relaxed);
    let issued = customer.order(&desk, &["a.example"]).await.unwrap();
    assert_eq!((issued.failed.len(), customer.memory.count("order")), (1, 2));
}

#[tokio::test]
async fn an_alternate_chain_that_cannot_be_fetched_loses_nothing() {
    let desk = AdminHandler::open();
    let pebble = Pebble::start(desk.http_port(), desk.https_port(), &Options { alternate_roots: 2, ..Options::default() });
    let proxy = FaultProxy::start(&pebble);
    let directory = format!("https://localhost:{}/dir", proxy.port());
    let mut customer = Customer::new(&directory, pebble.authority().root_file(), Arc::default());
    customer.acme.preferred_root = Some(pebble.root_name(2));
    for (number, fault) in
        [Fault::Status(404, None), Fault::LoseAnswer, Fault::Html, Fault::CutChain, Fault::Huge].into_iter().enumerate()
    {
        proxy.fail_always(Kind::Alternate, fault.clone());
        let issued = customer.order(&desk, &[&format!("n{number}.example")]).await;
        let issued = issued.unwrap_or_else(|error| panic!("{fault:?}: {}", ErrorChain(&error)));
        assert_eq!((issued.bundle.root_name(), issued.preferred_root), (&*pebble.root_name(0), false), "{fault:?}");
        assert!(proxy.has_struck(Kind::Alternate));
        proxy.heal();
    }
    assert_eq!(proxy.answered(Kind::Finalize, 200), 5, "a chain was lost and bought again");
}
