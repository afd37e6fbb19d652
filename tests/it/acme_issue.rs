//! First certificates from the real authority, by each challenge, with refused nonces, and the other challenge when one
//! does not work.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use doorward::base::error_chain::ErrorChain;
use doorward::base::time::{Clock as _, SystemClock};
use doorward::certs::issuer::acme::{Issued, OrderCause, Step};
use doorward::certs::issuer::http::HttpLimits;
use doorward::config::settings::{ChallengeKind, KeyKind};

use crate::acme_desk::{AdminHandler, Customer, Memory, WrongClock};
use crate::support::pebble::{Options, Pebble};

fn begin(options: &Options) -> (AdminHandler, Pebble, Customer) {
    let desk = AdminHandler::open();
    let pebble = Pebble::start(desk.http_port(), desk.https_port(), options);
    let customer = Customer::new(&pebble.directory(), pebble.authority().root_file(), Arc::<Memory>::default());
    (desk, pebble, customer)
}

#[tokio::test]
async fn a_first_certificate_comes_by_either_challenge_and_with_each_kind_of_key() {
    let (desk, _pebble, mut customer) = begin(&Options::default());
    let cases = [
        (ChallengeKind::Http01, KeyKind::P256, &["a.example"][..]),
        (ChallengeKind::TlsAlpn01, KeyKind::P384, &["b.example", "127.0.0.1"]),
        (ChallengeKind::Http01, KeyKind::Rsa2048, &["c.example", "www.c.example", "127.0.0.1"]),
    ];
    for (challenge, key, names) in cases {
        (customer.acme.challenges, customer.acme.key) = (vec![challenge], key);
        let issued = customer.order(&desk, names).await.unwrap();
        assert_eq!(issued.proved_by, Some(challenge));
        assert_eq!(issued.bundle.identifiers().len(), names.len());
        assert!(issued.bundle.renewal_id().is_some() && issued.failed.is_empty() && issued.preferred_root);
    }
    let first = ["account key", "account", "order", "challenge", "key", "order forgotten"];
    assert_eq!(customer.memory.steps()[..6], first);
    assert_eq!(customer.memory.count("account"), 1);
}

#[tokio::test]
async fn a_challenge_that_fails_is_followed_by_the_other_at_once_and_what_worked_is_remembered() {
    let (desk, _pebble, customer) = begin(&Options::default());
    desk.http_open.store(false, Ordering::Relaxed);
    let issued = customer.order(&desk, &["a.example"]).await.unwrap();
    assert_eq!(issued.proved_by, Some(ChallengeKind::TlsAlpn01));
    assert_eq!(issued.failed.len(), 1);
    assert_eq!(issued.failed[0].kind, ChallengeKind::Http01);
    let again = proved_anew(&customer.restarted(), &desk).await;
    assert!(again.failed.is_empty(), "what worked last was not tried first");
    desk.http_open.store(true, Ordering::Relaxed);
    desk.alpn_open.store(false, Ordering::Relaxed);
    let back = proved_anew(&customer, &desk).await;
    assert_eq!((back.failed.len(), back.proved_by), (1, Some(ChallengeKind::Http01)));
}

/// Orders until something had to be proved: Pebble takes an old authorization for one order in a hundred, even when it is
/// told to take none.
async fn proved_anew(customer: &Customer, desk: &AdminHandler) -> Issued {
    for _ in 0..5 {
        let issued = customer.order(desk, &["a.example"]).await.unwrap();
        if issued.proved_by.is_some() {
            return issued;
        }
    }
    panic!("Pebble took the old authorization five times");
}

#[tokio::test]
async fn when_no_challenge_works_the_error_says_which_and_why() {
    let (desk, _pebble, customer) = begin(&Options::default());
    desk.http_open.store(false, Ordering::Relaxed);
    desk.alpn_open.store(false, Ordering::Relaxed);
    let error = customer.order(&desk, &["a.example"]).await.unwrap_err();
    assert_eq!((error.step, error.failed.len()), (Step::Prove, 2));
    assert!(matches!(error.cause, OrderCause::Proof(_)), "{}", ErrorChain(&error));
    assert!(error.likely_cause().is_some_and(|cause| cause.contains("port 443 of a.example")), "{:?}", error.likely_cause());
    assert!(desk.board.is_empty());
    assert_eq!(customer.memory.count("order"), 2);
    assert_eq!(customer.memory.count("order forgotten"), 2);
}

#[tokio::test]
async fn a_wildcard_without_dns_is_refused_in_words_and_costs_no_order() {
    let (desk, _pebble, customer) = begin(&Options::default());
    let error = customer.order(&desk, &["*.a.example"]).await.unwrap_err();
    let said = ErrorChain(&error).to_string();
    assert!(matches!(error.cause, OrderCause::NoChallenge { .. }) && said.contains("*.a.example cannot be proved"), "{said}");
    assert_eq!(customer.memory.count("order"), 0);
}

#[tokio::test]
async fn every_order_succeeds_while_a_third_of_all_nonces_is_refused() {
    let (desk, _pebble, customer) = begin(&Options { nonce_reject: 30, ..Options::default() });
    let mut proofs_failed = 0;
    for number in 0..8 {
        let name = format!("n{number}.example");
        let issued = customer.order(&desk, &[&name]).await.unwrap_or_else(|error| panic!("{name}: {}", ErrorChain(&error)));
        proofs_failed += issued.failed.len();
    }
    // Pebble's look at a proof may come too late on a busy machine. Such a proof costs an order, a refused nonce does not.
    assert_eq!(customer.memory.count("order"), 8 + proofs_failed);
    assert_eq!(customer.memory.count("account key"), 1);
}

#[tokio::test]
async fn a_certificate_that_comes_under_a_wrong_clock_is_taken_by_the_authoritys_clock() {
    const DAY: i64 = 86_400;
    let (desk, _pebble, customer) = begin(&Options::default());
    for off in [-3_650 * DAY, -DAY, DAY, 100 * DAY] {
        let (acme, memory) = (customer.acme.clone(), Arc::<Memory>::default());
        let machine = Customer::with_clock(acme, memory, HttpLimits::default(), WrongClock::ahead_by(off));
        let issued = machine.order(&desk, &["a.example"]).await.unwrap();
        assert!(issued.bundle.validity().holds_at(SystemClock.now()), "{off}");
        assert_eq!((machine.memory.count("order"), machine.memory.count("order forgotten")), (1, 1), "{off}");
        let reading = machine.account.http().clock_reading().unwrap();
        let seen = reading.ours.unix() - reading.theirs.unix();
        assert!((seen - off).abs() < 3_600, "{off}: {seen}");
    }
}
