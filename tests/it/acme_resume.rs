//! An order that is cut at any step is taken up again: no second account, no second order, no second certificate.

use std::sync::Arc;
use std::time::Duration;

use doorward::base::error_chain::ErrorChain;
use doorward::certs::issuer::acme::OrderCause;

use crate::acme_desk::{AdminHandler, Customer, Memory};
use crate::support::fault::{Fault, FaultProxy, Kind};
use crate::support::pebble::{Options, Pebble};
use crate::support::wait;

struct Scene {
    desk: AdminHandler,
    proxy: FaultProxy,
    pebble: Pebble,
}

impl Scene {
    fn set() -> Self {
        let desk = AdminHandler::open();
        let pebble = Pebble::start(desk.http_port(), desk.https_port(), &Options::default());
        Self { proxy: FaultProxy::start(&pebble), desk, pebble }
    }

    fn customer(&self, memory: Arc<Memory>) -> Customer {
        let directory = format!("https://localhost:{}/dir", self.proxy.port());
        Customer::new(&directory, self.pebble.authority().root_file(), memory)
    }

    /// Orders until the fault of `kind` has struck, and then drops the order, as SIGKILL does.
    async fn kill_at(&self, customer: &Customer, name: &str, kind: Kind) {
        let reached = async {
            while !self.proxy.has_struck(kind) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let names = [name];
        tokio::select! {
            ended = customer.order(&self.desk, &names) => panic!("it ended before it was killed: {ended:?}"),
            reached = tokio::time::timeout(wait::LIMIT, reached) => reached.unwrap(),
        }
    }
}

#[tokio::test]
async fn an_order_stopped_after_any_record_goes_on_from_there() {
    let scene = Scene::set();
    let mut accounts = 0;
    for (number, step) in ["account key", "account", "order", "key"].into_iter().enumerate() {
        let name = format!("n{number}.example");
        let customer = scene.customer(Memory::stopping_after(step));
        let orders = scene.proxy.count(Kind::NewOrder);
        let error = customer.order(&scene.desk, &[&name]).await.unwrap_err();
        assert!(matches!(error.cause, OrderCause::Ledger(_)), "{}", ErrorChain(&error));
        assert!(scene.desk.board.is_empty());
        let issued = customer.restarted().order(&scene.desk, &[&name]).await;
        issued.unwrap_or_else(|error| panic!("after {step}: {}", ErrorChain(&error)));
        assert_eq!(scene.proxy.count(Kind::NewOrder) - orders, 1, "orders when stopped after {step}");
        assert_eq!(customer.memory.count("account key"), 1);
        accounts += 1;
    }
    // Finding an account by its key is one more question where its URL had not been kept, never one more account.
    let asked = scene.proxy.count(Kind::NewAccount);
    assert!((accounts..=accounts + 1).contains(&asked), "{asked} questions for {accounts} accounts");
}

#[tokio::test]
async fn an_account_whose_answer_was_lost_is_found_by_its_key() {
    let scene = Scene::set();
    let customer = scene.customer(Arc::default());
    scene.proxy.fail(Kind::NewAccount, Fault::LoseAnswer);
    customer.order(&scene.desk, &["a.example"]).await.unwrap();
    assert_eq!(customer.memory.count("account key"), 1);
    assert_eq!(scene.proxy.count(Kind::NewAccount), 2);
}

#[tokio::test]
async fn a_killed_order_buys_nothing_twice() {
    let scene = Scene::set();
    // With the gateway its proofs are gone: a challenge the authority had heard of would fail, and cost an order.
    let faults =
        [(Kind::Challenge, Fault::HoldRequest), (Kind::Finalize, Fault::HoldAnswer), (Kind::Certificate, Fault::HoldAnswer)];
    for (number, (kind, fault)) in faults.into_iter().enumerate() {
        let name = format!("n{number}.example");
        let customer = scene.customer(Arc::default());
        let (orders, finalized) = (scene.proxy.count(Kind::NewOrder), scene.proxy.count(Kind::Finalize));
        scene.proxy.fail(kind, fault);
        scene.kill_at(&customer, &name, kind).await;
        let issued = customer.restarted().order(&scene.desk, &[&name]).await;
        issued.unwrap_or_else(|error| panic!("killed at {kind:?}: {}", ErrorChain(&error)));
        assert_eq!(scene.proxy.count(Kind::NewOrder) - orders, 1, "orders when killed at {kind:?}");
        assert_eq!(scene.proxy.count(Kind::Finalize) - finalized, 1, "finalized when killed at {kind:?}");
    }
}

#[tokio::test]
async fn lost_answers_are_asked_for_again_within_the_same_call() {
    let scene = Scene::set();
    let customer = scene.customer(Arc::default());
    for kind in [Kind::Directory, Kind::NewNonce, Kind::Authorization, Kind::Challenge, Kind::Finalize, Kind::Certificate] {
        scene.proxy.fail(kind, Fault::LoseAnswer);
    }
    let issued = customer.order(&scene.desk, &["a.example"]).await;
    issued.unwrap_or_else(|error| panic!("{}", ErrorChain(&error)));
    assert_eq!((scene.proxy.count(Kind::NewOrder), scene.proxy.count(Kind::Finalize)), (1, 1));
    assert_eq!(scene.proxy.count(Kind::Certificate), 2);
}

#[tokio::test]
async fn requests_that_never_arrive_cost_no_second_order() {
    let scene = Scene::set();
    let customer = scene.customer(Arc::default());
    for kind in [Kind::Authorization, Kind::Challenge, Kind::Finalize, Kind::Order, Kind::Certificate] {
        scene.proxy.fail(kind, Fault::LoseRequest);
    }
    let issued = customer.order(&scene.desk, &["a.example"]).await;
    issued.unwrap_or_else(|error| panic!("{}", ErrorChain(&error)));
    assert_eq!(customer.memory.count("order"), 1);
}

#[tokio::test]
async fn an_order_the_authority_forgot_is_dropped_for_a_new_one() {
    let scene = Scene::set();
    let customer = scene.customer(Memory::stopping_after("order"));
    customer.order(&scene.desk, &["a.example"]).await.unwrap_err();
    scene.proxy.fail(Kind::Order, Fault::Status(404, None));
    customer.restarted().order(&scene.desk, &["a.example"]).await.unwrap();
    assert_eq!(customer.memory.count("order"), 2);
}
