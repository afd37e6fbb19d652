//! The keeper of certificates with the real authority: first certificates, renewals, restarts, failures, damage.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use doorward::base::rng::Rng;
use doorward::base::time::{Clock, SystemClock, Timestamp};
use doorward::certs::catalog::Lookup;
use doorward::certs::manager::{self, CertManagerHandle, Keeping};
use doorward::certs::preflight::PublicPorts;
use doorward::certs::status::{CertState, NameStatus};
use doorward::config::environment::Environment;
use doorward::config::resolve;
use doorward::config::settings::{Settings, SiteTls};
use doorward::telemetry::metrics::Metrics;
use rustls::sign::CertifiedKey;
use tempfile::TempDir;

use crate::acme_desk::{AdminHandler, WrongClock};
use crate::support::dns::DnsServer;
use crate::support::fault::{Fault, FaultProxy, Kind};
use crate::support::pebble::{Options, Pebble};
use crate::support::ports;

const STEP: Duration = crate::support::wait::LIMIT;

struct House {
    folder: TempDir,
    acme: String,
    ports: (u16, u16),
    /// Where orders are tried first after a failure.
    rehearsal: Option<String>,
    metrics: Arc<Metrics>,
    clock: Arc<WrongClock>,
}

impl House {
    /// Room for a keeper, and an authority that looks at its two ports.
    fn with(options: &Options) -> (Self, Pebble) {
        let ports = (ports::free(), ports::free());
        let pebble = Pebble::start(ports.0, ports.1, options);
        let (folder, acme) = (tempfile::tempdir().unwrap(), pebble.acme_lines());
        let house = Self { folder, acme, ports, rehearsal: None, metrics: Arc::default(), clock: Arc::default() };
        (house, pebble)
    }

    /// The names of the folders in this one of the state folder.
    fn folders(&self, name: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.state().join(name)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn settings(&self, names: &[&str]) -> Arc<Settings> {
        let sites: String = names.iter().map(|name| format!("{name} {{\n proxy 1\n}}\n")).collect();
        let text = format!("state {}\nacme {{\n{}}}\n{sites}", self.state().display(), self.acme);
        let mut settings = resolve::from_text("test.conf", &text, &Environment::default()).unwrap().settings;
        for site in &mut settings.sites {
            if let SiteTls::Acme(acme) = &mut site.tls {
                Arc::make_mut(acme).rehearsal.clone_from(&self.rehearsal);
            }
        }
        Arc::new(settings)
    }

    fn start(&mut self, names: &[&str]) -> (CertManagerHandle, AdminHandler) {
        self.metrics = Arc::default();
        let keeping = Keeping {
            settings: self.settings(names),
            metrics: Arc::clone(&self.metrics),
            clock: Arc::<WrongClock>::clone(&self.clock),
            rng: Rng::from_os(),
            ports: PublicPorts { plain: self.ports.0, tls: self.ports.1 },
        };
        let handle = manager::start(keeping).unwrap();
        let desk = AdminHandler::showing(Arc::clone(&handle.board), self.ports.0, self.ports.1);
        (handle, desk)
    }

    /// Starts it, with the authority allowed, and waits for the first certificate of each name.
    async fn serve(&mut self, names: &[&str]) -> (CertManagerHandle, AdminHandler) {
        let (handle, desk) = self.start(names);
        handle.go();
        for name in names {
            until(&handle, |_| served(&handle, name).is_some()).await;
        }
        until(&handle, |all| all.iter().all(|one| one.state == CertState::Valid)).await;
        (handle, desk)
    }
}

/// Runs on a runtime like the gateway's control runtime.
fn run(work: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
    runtime.block_on(async { tokio::time::timeout(STEP * 3, work()).await.expect("done in time") });
}

async fn until(handle: &CertManagerHandle, is_so: impl Fn(&[NameStatus]) -> bool) {
    let waited = async {
        while !is_so(&handle.status()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let outcome = tokio::time::timeout(STEP, waited).await;
    assert!(outcome.is_ok(), "it did not come to that: {:#?}", handle.status());
}

fn served(handle: &CertManagerHandle, name: &str) -> Option<Arc<CertifiedKey>> {
    match handle.catalog.load().lookup(Some(name), None) {
        Lookup::Found(key) => Some(key),
        Lookup::Coming(_) | Lookup::Demand | Lookup::Unknown => None,
    }
}

fn leaf(handle: &CertManagerHandle, name: &str) -> Vec<u8> {
    served(handle, name).unwrap().cert[0].to_vec()
}

#[test]
fn names_are_served_soon_and_a_restart_asks_nothing() {
    run(async || {
        let (mut house, pebble) = House::with(&Options::default());
        let proxy = FaultProxy::start(&pebble);
        house.acme = proxy.acme_lines();
        let names = ["a.example", "b.example", "c.example"];
        let (handle, desk) = house.serve(&names).await;
        assert_eq!((proxy.count(Kind::NewAccount), proxy.count(Kind::NewOrder)), (1, 3));
        // The first question about renewal comes within a minute; it is not what this test is about.
        let leaves = names.map(|name| leaf(&handle, name));
        handle.stop().await;
        drop((handle, desk));
        let (handle, _desk) = house.start(&names);
        assert_eq!(names.map(|name| leaf(&handle, name)), leaves, "what is stored is served before start returns");
        handle.go();
        handle.settings(house.settings(&names)).await;
        assert_eq!((proxy.count(Kind::NewAccount), proxy.count(Kind::NewOrder)), (1, 3));
        handle.stop().await;
    });
}

#[test]
fn a_short_life_is_renewed_by_a_new_key_and_says_what_it_replaces() {
    run(async || {
        let profiles = vec![("default", Duration::from_secs(20))];
        let (mut house, _pebble) = House::with(&Options { profiles, ..Options::default() });
        let (handle, _desk) = house.serve(&["a.example"]).await;
        let first = served(&handle, "a.example").unwrap();
        until(&handle, |_| leaf(&handle, "a.example") != first.cert[0].to_vec()).await;
        let second = served(&handle, "a.example").unwrap();
        assert_ne!(first.key.public_key().unwrap().as_ref(), second.key.public_key().unwrap().as_ref());
        assert!(house.metrics.certs.renewed.read() >= 1);
        handle.stop().await;
    });
}

#[test]
fn a_window_in_the_past_renews_at_once_and_a_renewal_by_hand_too() {
    run(async || {
        let (mut house, pebble) = House::with(&Options::default());
        let (handle, _desk) = house.serve(&["a.example"]).await;
        let first = leaf(&handle, "a.example");
        handle.renew("a.example").await.unwrap();
        until(&handle, |all| all[0].state == CertState::Valid && leaf(&handle, "a.example") != first).await;
        let second = leaf(&handle, "a.example");
        let file = house.state().join("certificates");
        let slot = std::fs::read_dir(file).unwrap().next().unwrap().unwrap().path();
        let pem = std::fs::read_to_string(slot.join("a.example/current/cert.pem")).unwrap();
        pebble.suggest_renewal(&pem, "2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z");
        // The first question comes within a minute of the issuance, so that the bound is the one of all waits.
        let waited = tokio::time::timeout(STEP, async {
            while leaf(&handle, "a.example") == second {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(waited.await.is_ok(), "{:#?}", handle.status());
        handle.stop().await;
    });
}

#[test]
fn names_that_cannot_be_proved_cost_two_orders_and_harm_nobody_else() {
    run(async || {
        let (mut house, pebble) = House::with(&Options::default());
        let proxy = FaultProxy::start(&pebble);
        house.acme = proxy.acme_lines();
        let (handle, desk) = house.start(&["a.example"]);
        desk.http_open.store(false, Ordering::Relaxed);
        desk.alpn_open.store(false, Ordering::Relaxed);
        handle.go();
        until(&handle, |all| all[0].last_error.is_some()).await;
        let status = handle.status()[0].clone();
        assert_eq!((status.state, status.fails), (CertState::Paused, 1));
        assert!(status.last_error.as_ref().unwrap().contains("likely cause"), "{status:?}");
        let next = Timestamp::parse(status.next_attempt.as_deref().unwrap()).unwrap();
        assert!(next.since(SystemClock.now()) >= Duration::from_secs(30), "{status:?}");
        assert_eq!(proxy.count(Kind::NewOrder), 2);
        // Restarts do not forget; a reload after the repair tries at once.
        handle.stop().await;
        drop((handle, desk));
        let (handle, _desk) = house.start(&["a.example"]);
        handle.go();
        assert_eq!(handle.status()[0].fails, 1);
        handle.settings(house.settings(&["a.example", "b.example"])).await;
        until(&handle, |all| all.iter().all(|one| one.state == CertState::Valid)).await;
        assert_eq!(handle.status()[0].last_error, None);
        assert_eq!(proxy.count(Kind::NewOrder), 4);
        handle.stop().await;
    });
}

#[test]
fn an_order_that_was_cut_off_is_gone_on_with_and_bought_once() {
    run(async || {
        let (mut house, pebble) = House::with(&Options::default());
        let proxy = FaultProxy::start(&pebble);
        house.acme = proxy.acme_lines();
        proxy.fail(Kind::Finalize, Fault::HoldAnswer);
        let (handle, desk) = house.start(&["a.example"]);
        handle.go();
        until(&handle, |_| proxy.count(Kind::Finalize) == 1).await;
        handle.stop().await;
        drop((handle, desk));
        proxy.heal();
        let (handle, _desk) = house.serve(&["a.example"]).await;
        assert_eq!((proxy.count(Kind::NewOrder), proxy.count(Kind::NewAccount)), (1, 1));
        assert!(!house.state().join("pending").join("x").exists());
        handle.stop().await;
    });
}

#[test]
fn a_damaged_record_is_healed_by_one_order_and_others_are_untouched() {
    run(async || {
        let (mut house, pebble) = House::with(&Options::default());
        let proxy = FaultProxy::start(&pebble);
        house.acme = proxy.acme_lines();
        let (handle, desk) = house.serve(&["a.example", "b.example"]).await;
        let other = leaf(&handle, "b.example");
        handle.stop().await;
        drop((handle, desk));
        let issuer = std::fs::read_dir(house.state().join("certificates")).unwrap().next().unwrap().unwrap().path();
        std::fs::write(issuer.join("a.example/1/key.pem"), "garbage").unwrap();
        std::fs::write(house.state().join("journal/conf"), "garbage instead of its settings").unwrap();
        let (handle, _desk) = house.serve(&["a.example", "b.example"]).await;
        assert_eq!(leaf(&handle, "b.example"), other);
        assert_eq!((proxy.count(Kind::NewOrder), proxy.count(Kind::NewAccount)), (3, 1));
        assert_eq!(std::fs::read_dir(house.state().join("damaged")).unwrap().count(), 2);
        handle.stop().await;
    });
}

#[test]
fn a_state_folder_lost_while_running_is_written_again() {
    run(async || {
        let (mut house, _pebble) = House::with(&Options::default());
        let (handle, _desk) = house.serve(&["a.example"]).await;
        std::fs::remove_dir_all(house.state()).unwrap();
        // A new name needs the folder, and its order makes the keeper look.
        handle.settings(house.settings(&["a.example", "b.example"])).await;
        until(&handle, |all| all.iter().all(|one| one.state == CertState::Valid && !one.unsaved)).await;
        assert!(served(&handle, "a.example").is_some());
        let issuer = house.state().join("certificates").join(&house.folders("certificates")[0]);
        let written = async {
            while !["a.example", "b.example"].iter().all(|name| issuer.join(name).join("current/cert.pem").exists()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(3 * STEP, written).await.is_ok(), "what was held is not written again");
        handle.stop().await;
    });
}

#[test]
fn after_a_failure_an_order_is_tried_at_the_staging_directory_until_it_works_there() {
    run(async || {
        let (mut house, pebble) = House::with(&Options::default());
        let staging = Pebble::start(house.ports.0, house.ports.1, &Options::default());
        let (proxy, rehearsals) = (FaultProxy::start(&pebble), FaultProxy::start(&staging));
        let roots = house.folder.path().join("roots.pem");
        std::fs::write(&roots, pebble.authority().root_pem() + &staging.authority().root_pem()).unwrap();
        house.acme = format!("directory https://localhost:{}/dir\nca-file {}\n", proxy.port(), roots.display());
        house.rehearsal = Some(format!("https://localhost:{}/dir", rehearsals.port()));
        let (handle, desk) = house.start(&["a.example"]);
        let open = |is_open| [&desk.http_open, &desk.alpn_open].iter().for_each(|port| port.store(is_open, Ordering::Relaxed));
        open(false);
        handle.go();
        until(&handle, |all| all[0].fails == 1).await;
        assert_eq!((proxy.count(Kind::NewOrder), rehearsals.count_all()), (2, 0));
        // A person believes that it is repaired. The authority itself does not hear of it.
        handle.settings(house.settings(&["a.example"])).await;
        until(&handle, |all| all[0].fails == 2).await;
        assert_eq!((proxy.count(Kind::NewOrder), rehearsals.count(Kind::NewOrder)), (2, 2));
        open(true);
        handle.settings(house.settings(&["a.example"])).await;
        until(&handle, |all| all[0].state == CertState::Valid).await;
        assert_eq!((proxy.count(Kind::NewOrder), rehearsals.count(Kind::NewOrder)), (3, 3));
        // An account of its own, and nothing of what it issued is kept.
        assert_eq!((rehearsals.answered(Kind::Finalize, 200), proxy.answered(Kind::Finalize, 200)), (1, 1));
        assert_eq!(house.folders("accounts").len(), 2);
        let kept = house.folders("certificates");
        assert!(kept.len() == 1 && kept[0].contains(&proxy.port().to_string()), "{kept:?}");
        handle.stop().await;
    });
}

#[test]
fn a_record_that_was_repaired_is_seen_and_the_certificate_obtained_without_a_word() {
    run(async || {
        let dns = DnsServer::start();
        // Nothing listens at that address.
        dns.zone("door.test").address_of("a.door.test", "127.0.0.9");
        let (mut house, pebble) = House::with(&Options { dns: Some(dns.address()), ..Options::default() });
        let proxy = FaultProxy::start(&pebble);
        house.acme = format!("{}resolvers {}\n", proxy.acme_lines(), dns.address());
        let (handle, _desk) = house.start(&["a.door.test"]);
        handle.go();
        until(&handle, |all| all.iter().any(|one| one.fails > 0 && one.state == CertState::Paused)).await;
        // The first look of our own follows at once, and the next one ten seconds later.
        let mut heard = 0;
        while dns.heard().len() != heard {
            heard = dns.heard().len();
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
        let failed = proxy.count(Kind::Challenge);
        assert!((1..=2).contains(&failed), "{failed} validations have failed");
        dns.remove("a.door.test").address_of("a.door.test", "127.0.0.1");
        until(&handle, |_| served(&handle, "a.door.test").is_some()).await;
        assert_eq!(proxy.count(Kind::Challenge), failed + 1, "one more validation, which succeeds");
        handle.stop().await;
    });
}

/// Under a clock that is so many days ahead: what the status says once a certificate came.
async fn under_a_clock_ahead_by(days: i64) -> Option<String> {
    let (mut house, pebble) = House::with(&Options::default());
    let proxy = FaultProxy::start(&pebble);
    (house.acme, house.clock) = (proxy.acme_lines(), WrongClock::ahead_by(days * 86_400));
    let (handle, desk) = house.start(&["a.example"]);
    handle.go();
    until(&handle, |_| served(&handle, "a.example").is_some()).await;
    until(&handle, |all| !all[0].next_why.contains("is being asked")).await;
    let leaf_served = leaf(&handle, "a.example");
    let status = handle.status()[0].clone();
    // Nothing more is planned for weeks, by the clock of this machine.
    let next = Timestamp::parse(status.next_attempt.as_deref().unwrap()).unwrap();
    assert!(next.since(house.clock.now()) > Duration::from_secs(20 * 86_400) || status.last_error.is_none(), "{status:?}");
    handle.stop().await;
    drop((handle, desk));
    // It is stored: the next process serves the same one and orders nothing, and so does one with a clock that is right.
    for set_right in [false, true] {
        if set_right {
            house.clock.set_right();
        }
        let (handle, desk) = house.start(&["a.example"]);
        handle.go();
        handle.settings(house.settings(&["a.example"])).await;
        assert_eq!(leaf(&handle, "a.example"), leaf_served, "{days} days");
        if set_right {
            until(&handle, |all| all[0].state == CertState::Valid && all[0].last_error.is_none()).await;
        }
        handle.stop().await;
        drop((handle, desk));
    }
    assert_eq!(proxy.count(Kind::NewOrder), 1, "{days} days");
    status.last_error
}

#[test]
fn a_certificate_that_comes_under_a_wrong_clock_is_stored_served_and_not_ordered_again() {
    run(async || {
        assert_eq!(under_a_clock_ahead_by(1).await, None, "it is valid and not due");
        for (days, difference, seen) in [(-1, "1d behind", "not valid yet"), (100, "100d ahead of", "expired already")] {
            let words = under_a_clock_ahead_by(days).await.unwrap();
            assert!(words.starts_with(&format!("this machine's clock is {difference} the authority's (")), "{words}");
            assert!(words.contains(&format!("{seen}; it is kept and served, and no other is ordered meanwhile")), "{words}");
        }
    });
}

#[test]
fn a_clock_that_is_ten_years_behind_is_reported_and_the_order_goes_out_when_it_is_set() {
    run(async || {
        let (mut house, _pebble) = House::with(&Options::default());
        house.clock = WrongClock::ahead_by(-3_650 * 86_400);
        let (handle, _desk) = house.start(&["a.example"]);
        handle.go();
        until(&handle, |all| all[0].next_why.contains("which is plainly wrong; nothing is ordered")).await;
        house.clock.set_right();
        handle.settings(house.settings(&["a.example"])).await;
        until(&handle, |all| served(&handle, "a.example").is_some() && all[0].state == CertState::Valid).await;
        handle.stop().await;
    });
}
