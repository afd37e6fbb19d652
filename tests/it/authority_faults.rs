//! An authority that answers badly, late, twice or not at all, and a gateway that is none the worse for it.

use std::time::Duration;

use crate::support::fault::{Fault, FaultProxy, Kind};
use crate::support::gateway::Gateway;
use crate::support::pebble::{Options, Pebble};
use crate::support::peers::curl_status;
use crate::support::server::Server;
use crate::support::{echo, wait};

const SITE: &str = "door.example.test";
const ISSUE: Duration = wait::LIMIT;

/// A gateway, an authority, and the proxy between them.
struct Scene {
    gateway: Gateway,
    pebble: Pebble,
    proxy: FaultProxy,
    _backend: Server,
}

impl Scene {
    fn new() -> Self {
        let gateway = Gateway::prepare();
        let pebble = Pebble::start(gateway.http, gateway.https, &Options::default());
        let proxy = FaultProxy::start(&pebble);
        let backend = echo::start();
        gateway.configure(&proxy.acme_lines(), &format!("{SITE} {{\n    proxy {}\n}}", backend.address().port()));
        Self { gateway, pebble, proxy, _backend: backend }
    }

    fn until_served(&self) -> String {
        self.gateway.until_served(SITE, &self.pebble.issued_root(), ISSUE).serial()
    }

    fn orders(&self) -> usize {
        self.proxy.answered(Kind::NewOrder, 201)
    }

    fn bought(&self) -> usize {
        self.proxy.answered(Kind::Finalize, 200)
    }
}

#[test]
fn a_restart_makes_no_order_and_needs_no_authority() {
    let mut scene = Scene::new();
    scene.gateway.start();
    let serial = scene.until_served();
    assert!(scene.gateway.stop().success());
    let asked = scene.proxy.count_all();
    let root = scene.pebble.issued_root();
    scene.gateway.start();
    assert_eq!(scene.until_served(), serial);
    scene.gateway.kill();
    scene.pebble.kill();
    scene.gateway.start();
    assert_eq!(scene.gateway.until_served(SITE, &root, ISSUE).serial(), serial);
    assert_eq!(scene.orders(), 1);
    let later = scene.proxy.count_all() - asked;
    assert!(later <= 4, "restarts asked the authority {later} times");
}

#[test]
fn a_chain_cut_short_is_not_served_and_fetched_again() {
    let mut scene = Scene::new();
    scene.proxy.fail(Kind::Certificate, Fault::CutChain);
    scene.gateway.start();
    scene.until_served();
    scene.proxy.until_struck(Kind::Certificate, ISSUE);
    assert_eq!(scene.bought(), 1, "the whole chain lay at the same URL");
}

#[test]
fn finalize_whose_answer_is_lost_buys_nothing_twice() {
    let mut scene = Scene::new();
    scene.proxy.fail(Kind::Finalize, Fault::LoseAnswer);
    scene.gateway.start();
    scene.until_served();
    scene.proxy.until_struck(Kind::Finalize, ISSUE);
    assert_eq!((scene.orders(), scene.bought()), (1, 1));
}

#[test]
fn a_download_that_is_lost_is_fetched_again() {
    let mut scene = Scene::new();
    scene.proxy.fail(Kind::Certificate, Fault::LoseAnswer);
    scene.gateway.start();
    scene.until_served();
    assert_eq!((scene.orders(), scene.bought()), (1, 1));
}

#[test]
fn cut_requests_on_the_way_cost_no_second_order() {
    let mut scene = Scene::new();
    for kind in [Kind::NewNonce, Kind::Authorization, Kind::Challenge, Kind::Order] {
        scene.proxy.fail(kind, Fault::LoseRequest);
    }
    scene.gateway.start();
    scene.until_served();
    assert_eq!((scene.orders(), scene.bought()), (1, 1));
}

#[test]
fn retry_after_is_kept_also_over_a_restart() {
    let mut scene = Scene::new();
    scene.proxy.fail(Kind::NewOrder, Fault::Status(429, Some(3_600)));
    scene.gateway.start();
    scene.proxy.until_struck(Kind::NewOrder, ISSUE);
    scene.gateway.process().until_said("limit is reached", ISSUE);
    scene.gateway.stop();
    scene.gateway.start();
    // It has looked at its records once the port is open and `certs` answers.
    wait::until_true("the gateway tells about its certificates", ISSUE, || scene.gateway.run("certs").status.success());
    assert_eq!(scene.proxy.count(Kind::NewOrder), 1, "asked again before its time");
}

#[test]
fn garbage_for_a_directory_is_an_error_of_that_try() {
    let mut scene = Scene::new();
    scene.proxy.fail(Kind::Directory, Fault::Html);
    scene.proxy.fail(Kind::Directory, Fault::Huge);
    scene.gateway.start();
    scene.proxy.until_seen(Kind::Directory, 1, ISSUE);
    // While that try failed, everything else answers.
    assert_eq!(curl_status(&format!("http://{SITE}:{}/", scene.gateway.http)), "308");
}
