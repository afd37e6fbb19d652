//! What authorities ask of a customer besides proofs: a binding, a profile, a word on what is replaced; and what they may
//! forget.

use std::sync::Arc;
use std::time::Duration;

use doorward::base::error_chain::ErrorChain;
use doorward::base::time::{Clock, SystemClock, Timestamp};
use doorward::certs::issuer::Rejection;
use doorward::certs::issuer::acme::OrderCause;
use doorward::certs::issuer::order_store::AccountStore;
use doorward::certs::issuer::renewal_info;

use crate::acme_desk::{self, AdminHandler, Customer, Memory};
use crate::support::pebble::{Options, Pebble};

fn begin(options: &Options) -> (AdminHandler, Pebble, Customer) {
    let desk = AdminHandler::open();
    let pebble = Pebble::start(desk.http_port(), desk.https_port(), options);
    let customer = Customer::new(&pebble.directory(), pebble.authority().root_file(), Arc::<Memory>::default());
    (desk, pebble, customer)
}

#[tokio::test]
async fn an_external_binding_is_asked_for_in_words_and_used_when_given() {
    let key = ("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W");
    let (desk, _pebble, customer) = begin(&Options { eab: Some(key), ..Options::default() });
    let error = customer.order(&desk, &["a.example"]).await.unwrap_err();
    assert!(matches!(error.cause, OrderCause::BindingMissing), "{}", ErrorChain(&error));
    assert_eq!(error.rejection(SystemClock.now()), Rejection::ForGood);
    let mut acme = customer.acme.clone();
    acme.eab = Some(acme_desk::eab(key.0, &base64url(key.1)));
    let bound = Customer::with(acme, Arc::clone(&customer.memory));
    bound.order(&desk, &["a.example"]).await.unwrap();
    assert_eq!(bound.memory.count("account key"), 1);
}

#[tokio::test]
async fn a_profile_is_used_and_one_the_authority_lacks_is_refused_by_name() {
    let profiles = vec![("classic", Duration::from_secs(90 * 86_400)), ("shortlived", Duration::from_secs(6 * 86_400))];
    let (desk, _pebble, mut customer) = begin(&Options { profiles, ..Options::default() });
    customer.acme.profile = Some("shortlived".into());
    let issued = customer.order(&desk, &["a.example"]).await.unwrap();
    assert!(issued.bundle.validity().lifetime() <= Duration::from_secs(6 * 86_400 + 3600));
    customer.acme.profile = Some("tlsclient".into());
    let error = customer.order(&desk, &["a.example"]).await.unwrap_err();
    let said = ErrorChain(&error).to_string();
    assert!(said.contains("no profile `tlsclient`; it has classic, shortlived"), "{said}");
    assert_eq!((error.rejection(SystemClock.now()), customer.memory.count("order")), (Rejection::ForGood, 1));
}

#[tokio::test]
async fn a_renewal_says_what_it_replaces_and_once_replaced_the_order_goes_on_without() {
    let (desk, _pebble, customer) = begin(&Options::default());
    let first = customer.order(&desk, &["a.example"]).await.unwrap();
    let id = first.bundle.renewal_id();
    let second = customer.order_replacing(&desk, &["a.example"], id).await.unwrap();
    assert_ne!(second.bundle.serial(), first.bundle.serial());
    assert_ne!(second.key_pem, first.key_pem);
    let third = customer.order_replacing(&desk, &["a.example"], id).await.unwrap();
    assert_ne!(third.bundle.serial(), second.bundle.serial());
    let strange = customer.order_replacing(&desk, &["b.example"], Some("AAAA.BBBB")).await;
    strange.unwrap_or_else(|error| panic!("{}", ErrorChain(&error)));
}

#[tokio::test]
async fn renewal_information_is_asked_for_and_followed_when_it_changes() {
    let (desk, pebble, customer) = begin(&Options::default());
    let issued = customer.order(&desk, &["a.example"]).await.unwrap();
    let (http, id) = (customer.account.http(), issued.bundle.renewal_id().unwrap());
    let usual = renewal_info::ask(http, id).await.unwrap().unwrap();
    let window = usual.window.unwrap();
    assert!(issued.bundle.validity().not_before < window.start() && window.end() < issued.bundle.validity().not_after);
    let leaf = issued.bundle.chain_pem().split_inclusive("-----END CERTIFICATE-----\n").next().unwrap().to_owned();
    pebble.suggest_renewal(&leaf, "2026-01-02T00:00:00Z", "2026-01-02T00:00:01Z");
    let window = renewal_info::ask(http, id).await.unwrap().unwrap().window.unwrap();
    assert_eq!(window.start(), Timestamp::parse("2026-01-02T00:00:00Z").unwrap());
    pebble.suggest_renewal(&leaf, "2026-01-02T00:00:01Z", "2026-01-02T00:00:00Z");
    assert_eq!(renewal_info::ask(http, id).await.unwrap().unwrap().window, None);
}

#[tokio::test]
async fn an_account_the_authority_lost_is_registered_once_more_by_the_same_key() {
    let (desk, _old, customer) = begin(&Options::default());
    customer.order(&desk, &["a.example"]).await.unwrap();
    let fresh = Pebble::start(desk.http_port(), desk.https_port(), &Options::default());
    // The same key, and a URL that the authority has never given out.
    let lost = Customer::new(&fresh.directory(), fresh.authority().root_file(), Arc::clone(&customer.memory));
    let unknown = fresh.directory().replace("/dir", "/my-account/lost");
    lost.memory.keep_account_url(&unknown).unwrap();
    lost.order(&desk, &["b.example"]).await.unwrap_or_else(|error| panic!("{}", ErrorChain(&error)));
    assert_eq!((lost.memory.count("account forgotten"), lost.memory.count("account key")), (1, 1));
}

#[tokio::test]
async fn the_chain_to_the_preferred_root_is_taken_and_one_that_is_not_offered_costs_nothing() {
    let (desk, pebble, mut customer) = begin(&Options { alternate_roots: 2, ..Options::default() });
    customer.acme.preferred_root = Some(pebble.root_name(2));
    let issued = customer.order(&desk, &["a.example"]).await.unwrap();
    assert_eq!((issued.bundle.root_name(), issued.preferred_root), (&*pebble.root_name(2), true));
    customer.acme.preferred_root = Some("No Such Root".into());
    let issued = customer.order(&desk, &["a.example"]).await.unwrap();
    assert_eq!((issued.bundle.root_name(), issued.preferred_root), (&*pebble.root_name(0), false));
}

fn base64url(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits: String = text.chars().map(|c| format!("{:06b}", ALPHABET.find(c).unwrap())).collect();
    bits.as_bytes().chunks_exact(8).map(|b| u8::from_str_radix(std::str::from_utf8(b).unwrap(), 2).unwrap()).collect()
}
