//! Dynamic updates of a real name server, and what it says when it refuses; and waiting until a record is everywhere.

use std::net::SocketAddr;
use std::time::Duration;

use doorward::base::secret::Secret;
use doorward::base::time::{Clock, SystemClock, Timestamp};
use doorward::certs::challenge::dns01::propagation::{self, Spread};
use doorward::net::dns::Dns;
use doorward::net::dns::update::{self, TsigAlgorithm, TsigKey, Update, UpdateError};
use doorward::state::schema::TxtRecord;

use crate::support::dns::DnsServer;
use crate::support::knot::{KEYS, Knot};
use crate::support::server;

const ZONE: &str = "door.test";
const NAME: &str = "_acme-challenge.door.test";

struct Key {
    name: String,
    secret: Secret<Vec<u8>>,
}

fn key(which: usize, secret: &[u8]) -> Key {
    Key { name: KEYS[which].0.to_owned(), secret: Secret::new(secret.to_vec()) }
}

async fn update(change: Update<'_>, key: Option<&Key>, now: Timestamp) -> Result<(), UpdateError> {
    let key = key.map(|Key { name, secret }| TsigKey { name, algorithm: TsigAlgorithm::HmacSha256, secret });
    update::update(change, key, now).await
}

fn good(which: usize) -> Key {
    key(
        which,
        match which {
            0 => b"doorward test key number one    ",
            _ => b"stranger key number two         ",
        },
    )
}

fn change(server: SocketAddr, text: &str, present: bool) -> Update<'_> {
    Update { server, zone: ZONE, name: NAME, text, present }
}

fn now() -> Timestamp {
    SystemClock.now()
}

#[test]
fn two_texts_of_one_name_come_and_go_apart_from_each_other() {
    let knot = Knot::start(ZONE);
    let (at, key) = (knot.address(), good(0));
    server::runtime().block_on(async {
        let long = "y".repeat(300);
        for text in ["x", long.as_str(), "x"] {
            update(change(at, text, true), Some(&key), now()).await.unwrap();
        }
        let dns = Dns::only(at);
        let mut texts = dns.txt(NAME).await.unwrap();
        texts.sort();
        assert_eq!(texts, ["x", long.as_str()]);
        update(change(at, "x", false), Some(&key), now()).await.unwrap();
        assert_eq!(dns.txt(NAME).await.unwrap(), [long.as_str()]);
        update(change(at, &long, false), Some(&key), now()).await.unwrap();
        update(change(at, &long, false), Some(&key), now()).await.unwrap();
        assert!(dns.txt(NAME).await.unwrap_err().is_absence());
    });
}

#[test]
fn a_refusal_is_told_in_words_with_the_key_that_was_not_accepted() {
    let knot = Knot::start(ZONE);
    let at = knot.address();
    let refused = |update_of: Update<'_>, key: Option<&Key>, when: Timestamp| {
        server::runtime().block_on(update(update_of, key, when)).unwrap_err().to_string()
    };
    let wrong = format!(
        "the name server {at} does not accept the key `doorward`: BADSIG (the secret or the algorithm is not the server's)"
    );
    assert_eq!(refused(change(at, "x", true), Some(&key(0, b"another secret of thirty-two byt")), now()), wrong);
    let unknown = Key { name: "nobody".to_owned(), ..good(0) };
    let words = format!(
        "the name server {at} does not accept the key `nobody`: BADKEY (it knows no such key with this algorithm, or lets it not do this)"
    );
    assert_eq!(refused(change(at, "x", true), Some(&unknown), now()), words);
    let early = now() - Duration::from_secs(3_600);
    let words = format!(
        "the name server {at} does not accept the key `doorward`: BADTIME (the clocks of the two machines are more than 5 minutes apart)"
    );
    assert_eq!(refused(change(at, "x", true), Some(&good(0)), early), words);
    let words = format!("the name server {at} does not accept the key `stranger`: ");
    assert!(refused(change(at, "x", true), Some(&good(1)), now()).starts_with(&words));
    let said = refused(change(at, "x", true), None, now());
    assert!(said.starts_with(&format!("the name server {at} refused the update of the zone door.test: ")), "{said}");
    let elsewhere = Update { zone: "other.test", name: "_acme-challenge.other.test", ..change(at, "x", true) };
    let said = refused(elsewhere, Some(&good(0)), now());
    assert!(said.contains("NOTAUTH (it is not in charge of the zone, or does not know the key)"), "{said}");
}

#[test]
fn an_answer_that_is_not_signed_by_the_key_is_not_believed() {
    // The tests' own server says yes to everything and signs nothing.
    let forger = DnsServer::start();
    forger.zone(ZONE);
    let at = forger.address();
    let error = server::runtime().block_on(update(change(at, "x", true), Some(&good(0)), now())).unwrap_err();
    assert!(matches!(error, UpdateError::Unsigned { .. }), "{error}");
    server::runtime().block_on(update(change(at, "x", true), None, now())).unwrap();
}

#[test]
fn a_record_is_waited_for_at_every_server_of_the_zone_and_the_one_without_it_is_named() {
    let (first, second) = (DnsServer::start(), DnsServer::start_at([127, 0, 0, 2].into()));
    first.zone(ZONE).ns(ZONE, "ns2.door.test").address_of("ns2.door.test", "127.0.0.2").txt(NAME, "x");
    second.zone(ZONE).txt(NAME, "old");
    let dns = Dns::asking(&[first.address(), second.address()]);
    let record = TxtRecord { name: NAME.to_owned(), value: "x".to_owned() };
    let wait = |seconds| {
        let (limit, unasked) = (Duration::from_secs(seconds), Duration::from_secs(2));
        server::runtime().block_on(propagation::until_seen(&dns, &record, limit, unasked))
    };
    assert_eq!(
        wait(5).unwrap_err().to_string(),
        "the record _acme-challenge.door.test was set, but is not at all of its zone's name servers after 5 s: \
         ns2.door.test (127.0.0.2) has 1 other TXT records of that name"
    );
    second.txt(NAME, "x");
    wait(30).unwrap();
    first.remove(NAME);
    assert!(wait(5).unwrap_err().to_string().contains("ns.door.test (127.0.0.1) has no such record"));
}

#[test]
fn where_nobody_who_answers_for_the_zone_can_be_found_a_fixed_time_goes_by_instead_of_failing() {
    // A resolver of a split DNS: it knows no zone of this name, and not the record either.
    let resolver = DnsServer::start();
    let dns = Dns::asking(&[resolver.address()]);
    let record = TxtRecord { name: NAME.to_owned(), value: "x".to_owned() };
    let wait = || {
        let (limit, unasked) = (Duration::from_secs(60), Duration::from_secs(1));
        server::runtime().block_on(propagation::until_seen(&dns, &record, limit, unasked)).unwrap()
    };
    let Spread::Unchecked(why) = wait() else { panic!("nobody has the record") };
    assert!(why.contains("the zone's name servers"), "{why}");
    // Behind a firewall that lets only the resolver through (cert-manager#6572): the servers are known and cannot be asked.
    resolver.zone(ZONE).remove("ns.door.test").address_of("ns.door.test", "127.0.0.98");
    assert!(matches!(wait(), Spread::Unchecked(_)));
    // Once the resolver has it, that is enough.
    resolver.txt(NAME, "x");
    assert_eq!(wait(), Spread::Seen);
}
