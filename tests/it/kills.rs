//! A gateway that is killed over and over, or told to end in the midst of an order.

use std::time::Duration;

use doorward::base::rng::Rng;
use tokio::time::Instant;

use crate::support::fault::{Fault, Kind};
use crate::support::issuance::{ISSUE, Issuance};
use crate::support::pebble::Options;
use crate::support::wait;

const SITE: &str = "door.example.test";

#[test]
fn fifty_kills_lose_nothing_buy_nothing_twice_and_make_one_account() {
    let names: Vec<String> = (0..50).map(|n| format!("n{n}.example.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // A proof that Pebble looks for while the gateway is gone would fail, and whether it does is chance.
    let mut all = Issuance::new(&Options { always_valid: true, ..Options::default() });
    all.configure("", &names);
    let mut rng = Rng::seeded(20_261_121);
    for kill in 0..50 {
        all.gateway.start();
        // Often in the first moments, and late enough on the whole for the work to go on; soon when there is none left.
        let (from, more) = (all.proxy.count_all(), 5 + usize::try_from(rng.below(60)).unwrap());
        let start = Instant::now();
        wait::until_true(&format!("{more} requests before kill {kill}"), ISSUE, || {
            all.proxy.count_all() >= from + more || start.elapsed() > Duration::from_secs(2)
        });
        all.gateway.kill();
    }
    all.gateway.start();
    let (held_back, served) = wait::until("each name is served, or held back by its limit", 3 * ISSUE, || settled(&all));
    // A name whose orders were killed too often waits, by the limit for orders that come to nothing. How many do is chance.
    assert!(!served.is_empty(), "held back: {held_back:?}");
    let served: Vec<&str> = served.iter().map(String::as_str).collect();
    all.until_served(&served);
    // Told by the authority itself: of what it did for a gateway that was gone, the proxy never heard.
    let bought = |said: &str| said.matches("Issued certificate serial").count();
    wait::until_true("the authority has said so", wait::LIMIT, || bought(&all.pebble.output()) >= served.len());
    let done = all.pebble.output();
    let issued = bought(&done);
    assert_eq!(issued, served.len(), "certificates bought for {} that are served", served.len());
    assert!(done.contains("There are now 1 accounts") && !done.contains("There are now 2 accounts"));
}

/// The names that are held back by what their authority forgives, and those with a certificate, once there are no others.
fn settled(all: &Issuance) -> Result<(Vec<String>, Vec<String>), String> {
    let said = all.gateway.run("certs --json").stdout;
    let report: serde_json::Value = serde_json::from_slice(&said).map_err(|error| error.to_string())?;
    let (mut held_back, mut served) = (Vec::new(), Vec::new());
    for line in report["certs"].as_array().ok_or("no list")? {
        let name = line["names"][0].as_str().unwrap_or_default().to_owned();
        let why = line["next_why"].as_str().unwrap_or_default();
        let limited = why.contains("authorities forgive") || why.contains("came to nothing");
        match line["state"].as_str() {
            Some("valid") => served.push(name),
            Some("paused") if limited => held_back.push(name),
            other => return Err(format!("{name} is {other:?}: {why}")),
        }
    }
    Ok((held_back, served))
}

#[test]
fn a_start_after_a_kill_is_as_quick_as_any() {
    let mut all = Issuance::new(&Options::default());
    all.proxy.fail(Kind::Finalize, Fault::HoldAnswer);
    all.configure("", &[SITE]);
    all.gateway.start();
    all.proxy.until_struck(Kind::Finalize, ISSUE);
    all.gateway.kill();
    let start = Instant::now();
    all.gateway.start();
    all.until_served(&[SITE]);
    // Nothing is left that has to time out.
    assert!(start.elapsed() < wait::BEFORE_ANY_TIMEOUT, "{:?}", start.elapsed());
}

#[test]
fn a_gateway_told_to_end_in_the_midst_of_an_order_ends_soon_and_goes_on_with_it_at_the_next_start() {
    for kind in [Kind::NewOrder, Kind::Finalize, Kind::Certificate] {
        let mut all = Issuance::new(&Options::default());
        // Before the authority sees a new order; after it has acted on what comes later.
        let fault = if kind == Kind::NewOrder { Fault::HoldRequest } else { Fault::HoldAnswer };
        all.proxy.fail(kind, fault);
        all.configure("", &[SITE]);
        all.gateway.start();
        all.proxy.until_struck(kind, ISSUE);
        let start = Instant::now();
        assert!(all.gateway.stop().success());
        assert!(start.elapsed() < wait::BEFORE_ANY_TIMEOUT, "{kind:?}: {:?}", start.elapsed());
        all.gateway.start();
        all.until_served(&[SITE]);
        assert_eq!((all.accounts(), all.orders(), all.bought()), (1, 1, 1), "{kind:?}");
    }
}

#[test]
fn a_binding_that_can_be_used_once_survives_a_kill_before_and_after_the_authority_used_it() {
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    for fault in [Fault::HoldRequest, Fault::HoldAnswer] {
        let mut all = Issuance::new(&Options { eab: Some(("kid-1", key)), ..Options::default() });
        all.proxy.fail(Kind::NewAccount, fault.clone());
        all.configure(&format!("eab kid-1 {key}\n"), &[SITE]);
        all.gateway.start();
        all.proxy.until_struck(Kind::NewAccount, ISSUE);
        all.gateway.kill();
        all.gateway.start();
        all.until_served(&[SITE]);
        assert_eq!(all.accounts(), 1, "{fault:?}: the binding was used for a second account");
    }
}
