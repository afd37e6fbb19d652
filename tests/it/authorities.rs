//! More than one authority, and one that forgets: the second in line, the staging directory, a fresh start.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::support::fault::{FaultProxy, Kind};
use crate::support::issuance::{ISSUE, Issuance};
use crate::support::pebble::{Options, Pebble};
use crate::support::wait;

const SITE: &str = "door.example.test";

#[test]
fn a_second_authority_is_asked_when_the_first_one_has_failed_for_half_of_the_time_that_was_left() {
    let options = Options { profiles: vec![("default", Duration::from_secs(40))], ..Options::default() };
    let mut all = Issuance::new(&options);
    let second = Pebble::start(all.gateway.http, all.gateway.https, &Options::default());
    let beyond = FaultProxy::start(&second);
    let fallback = format!("fallback https://localhost:{}/dir {{\n{}}}\n", beyond.port(), ca_file(&second));
    all.configure(&fallback, &[SITE]);
    all.gateway.start();
    all.until_served(&[SITE]);
    assert_eq!(beyond.count_all(), 0, "nobody else is asked while the first one does its work");
    all.pebble.kill();
    all.gateway.until_served(SITE, &second.issued_root(), 2 * ISSUE);
    assert_eq!((beyond.answered(Kind::NewAccount, 201), beyond.answered(Kind::Finalize, 200)), (1, 1));
    // Each authority has a folder and an account of its own.
    assert_eq!(count(&all, "certificates"), 2);
    assert_eq!(count(&all, "accounts"), 2);
}

#[test]
fn an_authority_that_lost_all_it_knew_gets_one_fresh_account_and_what_is_held_is_served_on() {
    let all = Issuance::of(&[SITE], &Options::default());
    let before = all.until_served(&[SITE]);
    let fresh = Pebble::start(all.gateway.http, all.gateway.https, &Options::default());
    all.proxy.lead_to(&fresh);
    all.configure("", &[SITE, "new.example.test", "newer.example.test"]);
    assert!(all.gateway.run("reload").status.success());
    let root = fresh.issued_root();
    for name in ["new.example.test", "newer.example.test"] {
        all.gateway.until_served(name, &root, ISSUE);
    }
    assert_eq!(all.until_served(&[SITE]), before);
    assert_eq!(all.accounts(), 2, "one at the old authority, one at the new");
    assert_eq!(all.bought(), 3);
}

fn ca_file(pebble: &Pebble) -> String {
    format!("ca-file {}\n", pebble.authority().root_file().display())
}

/// Folders in this one of the state folder.
fn count(all: &Issuance, folder: &str) -> usize {
    let folder: PathBuf = all.gateway.state().join(folder);
    wait::until("the folder is there", ISSUE, || fs::read_dir(&folder)).count()
}
