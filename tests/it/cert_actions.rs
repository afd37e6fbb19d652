//! What an operator does with certificates and accounts of a running gateway, before the real authority.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::support::fault::{FaultProxy, Kind};
use crate::support::gateway::Gateway;
use crate::support::pebble::{Options, Pebble};
use crate::support::wait;

const SITE: &str = "door.example.test";
const SOON: Duration = wait::LIMIT;

/// A gateway that serves [`SITE`] by a certificate of Pebble's, asked through a proxy that counts.
struct House {
    gateway: Gateway,
    pebble: Pebble,
    proxy: FaultProxy,
    root: PathBuf,
}

impl House {
    fn new() -> Self {
        let mut gateway = Gateway::prepare();
        let pebble = Pebble::start(gateway.http, gateway.https, &Options::default());
        let proxy = FaultProxy::start(&pebble);
        gateway.configure(&proxy.acme_lines(), &format!("{SITE} {{\n    respond 200 here\n}}"));
        gateway.start();
        let root = pebble.issued_root();
        gateway.until_served(SITE, &root, SOON);
        let house = Self { gateway, pebble, proxy, root };
        wait::until_true("the order is settled", SOON, || house.facts()["state"] == "valid");
        house
    }

    /// Runs `doorward WORDS` and demands this exit code; what it said.
    fn says(&self, words: &str, code: i32) -> String {
        let output = self.gateway.run(words);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(output.status.code(), Some(code), "`doorward {words}` said: {said}");
        said
    }

    fn json(&self, words: &str) -> Value {
        let output = self.gateway.run(words);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{words}: {error}: {output:?}"))
    }

    fn facts(&self) -> Value {
        self.json(&format!("certs show {SITE} --json"))
    }

    fn served(&self) -> String {
        self.gateway.get(SITE, "/", &self.root).unwrap().serial()
    }

    /// Waits until another certificate than `old` is served.
    fn until_replaced(&self, old: &str) {
        wait::until_true("another certificate is served", SOON, || self.served() != old);
        wait::until_true("the order is settled", SOON, || self.facts()["state"] == "valid");
    }

    fn slot(&self) -> PathBuf {
        let mut issuers = fs::read_dir(self.gateway.state().join("certificates")).unwrap();
        issuers.next().expect("there is an issuer").unwrap().path().join(SITE)
    }

    fn account_folder(&self) -> PathBuf {
        let mut folders = fs::read_dir(self.gateway.state().join("accounts")).unwrap();
        folders.next().expect("there is an account").unwrap().path()
    }
}

#[test]
fn a_revoked_certificate_is_replaced_by_a_new_key_at_once() {
    let house = House::new();
    let (old, serial) = (house.served(), house.facts()["serial"].as_str().unwrap().to_owned());
    let key = |number| fs::read_to_string(house.slot().join(format!("{number}/key.pem"))).unwrap();
    let said = house.says(&format!("certs revoke {SITE} --reason key-compromise"), 0);
    assert!(said.contains(&serial) && said.contains("is being ordered"), "{said}");
    house.until_replaced(&old);
    let status = house.pebble.status_of(&serial);
    assert_eq!((&status["Status"], &status["Reason"]), (&"Revoked".into(), &1.into()), "{status}");
    assert_ne!(key(1), key(2), "a key that somebody else may have is never used again");
    house.gateway.until_logged("certificate_revoked");
    assert_eq!(house.proxy.answered(Kind::NewOrder, 201), 2);
    assert!(house.says("certs revoke other.example", 1).contains("no certificate is configured for `other.example`"));
    assert!(house.says(&format!("certs revoke {SITE} --reason whim"), 2).contains("key-compromise"));
}

#[test]
fn an_order_is_tried_at_a_test_directory_and_nothing_of_it_is_served_or_kept() {
    let house = House::new();
    let (old, test) = (house.served(), house.pebble.directory());
    let real = format!("https://localhost:{}/dir", house.proxy.port());
    let said = house.says(&format!("certs test {SITE} --directory {test}"), 0);
    assert!(said.contains(&format!("{test} issues for {SITE}, proved by ")), "{said}");
    let said = house.says(&format!("certs test new.example.test --directory {test}"), 0);
    assert!(said.contains("issues for new.example.test"), "a name may be tried before it is configured: {said}");
    assert_eq!((house.proxy.count(Kind::NewOrder), house.served()), (1, old), "the real authority is left alone");
    assert_eq!(fs::read_dir(house.gateway.state().join("certificates")).unwrap().count(), 1, "nothing is stored");
    assert!(house.says(&format!("certs test {SITE}"), 1).contains("name one by `--directory URL`"));
    assert!(house.says(&format!("certs test {SITE} --directory {real}"), 1).contains("is the authority itself"));
    assert!(house.says("certs test box.internal", 1).contains("no name that an ACME authority vouches for"));
    let said = house.says(&format!("certs test {SITE} --directory https://127.0.0.1:9/dir"), 1);
    assert!(said.contains("127.0.0.1") && said.contains("what to do: let this machine out"), "{said}");
}

#[test]
fn an_operator_sees_rolls_and_closes_the_account_and_orders_go_on() {
    let house = House::new();
    let account = |house: &House| house.json("account show --json")["accounts"][0].clone();
    let before = account(&house);
    assert_eq!(before["status"], "valid", "{before}");
    let said = house.says("account roll-key", 0);
    let rolled = account(&house);
    assert_eq!(rolled["url"], before["url"]);
    assert_ne!(rolled["thumbprint"], before["thumbprint"]);
    assert!(said.contains(rolled["thumbprint"].as_str().unwrap()), "{said}");
    assert!(!house.account_folder().join("next-key.pem").exists());
    let old = house.served();
    house.says(&format!("certs renew {SITE}"), 0);
    house.until_replaced(&old);
    assert!(house.says("account deactivate", 1).contains("Say --yes"));
    assert!(house.says("account deactivate --issuer nobody --yes", 1).contains("no account at `nobody` is in use"));
    assert!(house.says("account deactivate --yes", 0).contains("the next order makes another"));
    assert!(house.says("account show", 0).contains("none yet"));
    let old = house.served();
    house.says(&format!("renew {SITE}"), 0);
    house.until_replaced(&old);
    assert_eq!(house.proxy.answered(Kind::NewAccount, 201), 2);
    assert!(fs::read_dir(house.gateway.state().join("damaged")).unwrap().count() == 1, "the closed account is put aside");
}

#[test]
fn an_account_whose_files_were_lost_while_running_is_written_again() {
    let mut house = House::new();
    let account = |house: &House| ["key.pem", "url"].map(|file| fs::read_to_string(house.account_folder().join(file)).unwrap());
    let before = account(&house);
    fs::remove_dir_all(house.gateway.state().join("accounts")).unwrap();
    // The keeper looks around every half minute.
    house.gateway.process().until_said("account_saved", 2 * SOON);
    assert_eq!(account(&house), before);
}
