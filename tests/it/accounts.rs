//! Another key for an account, and an account's end, with crashes and lost answers in between.

use std::sync::Arc;

use doorward::base::error_chain::ErrorChain;
use doorward::certs::issuer::account::{AccountShown, Closed};
use doorward::certs::issuer::acme::OrderCause;
use doorward::certs::issuer::order_store::AccountStore;

use crate::acme_desk::{AdminHandler, Customer, Memory};
use crate::support::fault::{Fault, FaultProxy, Kind};
use crate::support::pebble::{Options, Pebble};

struct House {
    desk: AdminHandler,
    pebble: Pebble,
    proxy: FaultProxy,
    customer: Customer,
}

/// A customer with an account and one certificate.
async fn house() -> House {
    let desk = AdminHandler::open();
    let pebble = Pebble::start(desk.http_port(), desk.https_port(), &Options::default());
    let proxy = FaultProxy::start(&pebble);
    let customer = customer(&pebble, &proxy, Arc::default());
    customer.order(&desk, &["a.example"]).await.unwrap();
    House { desk, pebble, proxy, customer }
}

fn customer(pebble: &Pebble, proxy: &FaultProxy, memory: Arc<Memory>) -> Customer {
    let directory = format!("https://localhost:{}/dir", proxy.port());
    Customer::new(&directory, pebble.authority().root_file(), memory)
}

impl House {
    /// Orders as the next process would; the account as it then is.
    async fn goes_on(&self, name: &str) -> AccountShown {
        let restarted = self.customer.restarted();
        restarted.order(&self.desk, &[name]).await.unwrap_or_else(|error| panic!("{}", ErrorChain(&error)));
        let shown = restarted.account.show().await;
        assert_eq!((shown.status.as_deref(), &shown.error), (Some("valid"), &None), "{shown:?}");
        shown
    }

    fn accounts_made(&self) -> usize {
        self.proxy.answered(Kind::NewAccount, 201)
    }
}

#[tokio::test]
async fn an_account_gets_another_key_and_stays_the_same_account() {
    let house = house().await;
    let before = house.customer.account.show().await;
    let thumbprint = house.customer.account.roll_key().await.unwrap();
    assert_ne!(before.thumbprint.as_deref(), Some(thumbprint.as_str()));
    house.customer.order(&house.desk, &["b.example"]).await.unwrap();
    let after = house.goes_on("c.example").await;
    assert_eq!((after.url, after.thumbprint), (before.url, Some(thumbprint)));
    assert_eq!(after.contacts, ["mailto:op@example.com"]);
    assert_eq!(house.accounts_made(), 1);
    assert_eq!(house.customer.memory.count("next key settled"), 1);
}

#[tokio::test]
async fn a_crash_before_the_authority_hears_of_the_next_key_leaves_the_old_one() {
    let house = house().await;
    let before = house.customer.account.show().await;
    house.proxy.fail(Kind::Other, Fault::LoseRequest);
    house.customer.account.roll_key().await.unwrap_err();
    let after = house.goes_on("b.example").await;
    assert_eq!((after.url, after.thumbprint), (before.url, before.thumbprint), "the old key is still the account's");
    assert_eq!(house.customer.memory.steps().last().copied(), Some("order forgotten"));
    assert_eq!((house.accounts_made(), house.customer.memory.count("next key settled")), (1, 1));
}

#[tokio::test]
async fn a_crash_after_the_authority_took_the_next_key_ends_with_the_next_key() {
    let house = house().await;
    let before = house.customer.account.show().await;
    house.proxy.fail(Kind::Other, Fault::LoseAnswer);
    house.customer.account.roll_key().await.unwrap_err();
    let after = house.goes_on("b.example").await;
    assert_eq!(after.url, before.url);
    assert_ne!(after.thumbprint, before.thumbprint, "the authority believes the next key only");
    assert_eq!((house.accounts_made(), house.customer.memory.count("next key settled")), (1, 1));
}

#[tokio::test]
async fn a_closed_account_is_put_aside_and_the_next_order_makes_another() {
    let house = house().await;
    let before = house.customer.account.show().await;
    house.customer.account.deactivate().await.unwrap();
    assert_eq!(house.customer.memory.count("account put aside"), 1);
    let error = house.customer.account.deactivate().await.unwrap_err();
    assert!(matches!(error, OrderCause::NoAccount), "{}", ErrorChain(&error));
    let after = house.goes_on("b.example").await;
    assert_ne!(after.url, before.url);
    assert_eq!(house.accounts_made(), 2);
    let other = customer(&house.pebble, &house.proxy, Arc::default());
    assert_eq!(other.account.show().await.url, None, "looking makes no account");
}

#[tokio::test]
async fn an_account_that_the_authority_lost_is_made_anew_once_by_the_same_key() {
    let House { desk, pebble, customer: known, .. } = house().await;
    let url = known.account.show().await.url.unwrap();
    drop(pebble);
    // Another authority with this account's URL and without the account.
    let pebble = Pebble::start(desk.http_port(), desk.https_port(), &Options::default());
    let proxy = FaultProxy::start(&pebble);
    let number = url.rsplit('/').next().unwrap();
    known.memory.keep_account_url(&format!("https://localhost:{}/my-account/{number}", proxy.port())).unwrap();
    let moved = customer(&pebble, &proxy, Arc::clone(&known.memory));
    moved.order(&desk, &["b.example"]).await.unwrap();
    moved.order(&desk, &["c.example"]).await.unwrap();
    assert_eq!(proxy.answered(Kind::NewAccount, 201), 1);
    assert_eq!((moved.memory.count("account forgotten"), moved.memory.count("account key")), (1, 1), "the key is kept");
}

/// What a state folder restored from before the last roll-over holds.
async fn restored() -> (House, AccountShown) {
    let house = house().await;
    let before = house.customer.account.show().await;
    let old = house.customer.memory.account().unwrap();
    house.customer.account.roll_key().await.unwrap();
    house.customer.memory.keep_account_key(&old.key_pem.unwrap()).unwrap();
    house.customer.memory.keep_account_url(&old.url.unwrap()).unwrap();
    (house, before)
}

#[tokio::test]
async fn a_backup_from_before_a_roll_over_goes_on_with_another_account_and_a_new_key() {
    let (house, before) = restored().await;
    let after = house.goes_on("b.example").await;
    assert_ne!(after.url, before.url);
    assert_ne!(after.thumbprint, before.thumbprint, "the key that was replaced is not used again");
    assert_eq!((house.accounts_made(), house.customer.memory.count("account put aside")), (2, 1));
    house.goes_on("c.example").await;
    assert_eq!(house.accounts_made(), 2, "once");
}

#[tokio::test]
async fn an_account_of_which_only_an_older_key_is_here_can_be_put_aside_and_is_not_called_closed() {
    let (house, before) = restored().await;
    let closed = house.customer.restarted().account.deactivate().await.unwrap_or_else(|error| panic!("{}", ErrorChain(&error)));
    assert_eq!(closed, Closed::OtherKey(before.url.clone().unwrap()));
    assert_eq!(house.customer.memory.count("account put aside"), 1);
    assert_ne!(house.goes_on("b.example").await.url, before.url);
}

#[tokio::test]
async fn a_refusal_that_is_not_about_the_account_leaves_it_alone() {
    let house = house().await;
    let before = house.customer.account.show().await;
    house.proxy.fail(Kind::NewOrder, Fault::Problem(400, "malformed"));
    let error = house.customer.order(&house.desk, &["b.example"]).await.unwrap_err();
    assert_eq!(error.cause.acme_type(), Some("malformed"), "{}", ErrorChain(&error));
    assert_eq!(house.goes_on("c.example").await.url, before.url);
    assert_eq!((house.accounts_made(), house.customer.memory.count("account put aside")), (1, 0));
}

/// As lego's users have it (go-acme/lego#1006, NixOS/nixpkgs#101445): the stored URL is another account's than the key's.
#[tokio::test]
async fn a_url_that_belongs_to_another_account_is_corrected_by_the_key() {
    let house = house().await;
    let before = house.customer.account.show().await;
    let other = customer(&house.pebble, &house.proxy, Arc::default());
    other.order(&house.desk, &["other.example"]).await.unwrap();
    let url = other.account.show().await.url.unwrap();
    assert_ne!(before.url.as_deref(), Some(url.as_str()));
    house.customer.memory.keep_account_url(&url).unwrap();
    let after = house.goes_on("b.example").await;
    assert_eq!((after.url, after.thumbprint), (before.url, before.thumbprint));
    assert_eq!((house.accounts_made(), house.customer.memory.count("account put aside")), (2, 0));
}
