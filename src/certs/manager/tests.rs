//! The manager as its callers see it: what is served at once, what new settings and words do, what a restart costs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::base::name::Identifier;
use crate::base::time::{ManualClock, Timestamp};
use crate::certs::catalog::Lookup;
use crate::certs::fixtures;
use crate::certs::issuer::local_ca::LocalCa;
use crate::certs::preflight::PublicPorts;
use crate::certs::status::{CertState, NameStatus};
use crate::config::settings::{At, Place, SiteTls};
use crate::state::pem_store::{PemStore, Slot};
use crate::state::slug::Slug;

mod on_demand;

const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);
/// Nobody listens on the discard port of the loopback address.
const DEAD_CA: &str = "https://127.0.0.1:9/dir";

struct World {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), clock: Arc::new(ManualClock::at(NOW)) }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn settings(&self, sites: &[(&[&str], SiteTls)]) -> Arc<Settings> {
        // As the configuration is resolved: private names are the local authority's, unless a site says otherwise.
        let tls_of = |host: &str, tls: &SiteTls| {
            let local = crate::base::name::HostPattern::parse(host).unwrap().is_local();
            if local && matches!(tls, SiteTls::Acme(_)) { SiteTls::Internal } else { tls.clone() }
        };
        let each = |(hosts, tls): &(&[&str], SiteTls)| {
            hosts.iter().map(|host| fixtures::site(&[host], &tls_of(host, tls))).collect::<Vec<_>>()
        };
        let sites = sites.iter().flat_map(each).collect();
        Arc::new(Settings { state: self.root(), ..fixtures::settings(sites) })
    }

    fn start(&self, settings: &Arc<Settings>) -> CertManagerHandle {
        let keeping = Keeping {
            settings: Arc::clone(settings),
            metrics: Arc::default(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            rng: Rng::seeded(1),
            ports: PublicPorts::STANDARD,
        };
        start(keeping).unwrap()
    }

    /// A chain and key of some authority, as certificate files.
    fn files(&self, name: &str, at: Timestamp) -> (String, String) {
        let mut ca = LocalCa::open(&PemStore::new(self.dir.path().join("other")), at).unwrap().0;
        let (chain, key) = ca.make(&[Identifier::parse(name).unwrap()], at).unwrap();
        (chain, key.expose().clone())
    }
}

/// Runs on a runtime like the gateway's control runtime, within a minute: the machine may be busy.
fn run(work: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), work()).await.expect("done in time") });
}

/// Waits until the manager shows what is expected.
async fn until(handle: &CertManagerHandle, expected: impl Fn(&[NameStatus]) -> bool) {
    while !expected(&handle.status()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn serial(handle: &CertManagerHandle, name: &str) -> Option<Vec<u8>> {
    match handle.catalog.load().lookup(Some(name), None) {
        Lookup::Found(key) => Some(key.cert[0].as_ref().to_vec()),
        Lookup::Coming(_) | Lookup::Demand | Lookup::Unknown => None,
    }
}

fn acme() -> SiteTls {
    SiteTls::Acme(fixtures::acme(DEAD_CA))
}

#[test]
fn localhost_is_served_before_start_returns() {
    run(async || {
        let world = World::new();
        let handle = world.start(&world.settings(&[(&["localhost", "app.localhost"], acme())]));
        assert!(serial(&handle, "localhost").is_some() && serial(&handle, "app.localhost").is_some());
        assert_eq!(handle.status()[0].state, CertState::Valid);
        let root = std::fs::read_to_string(handle.root_file()).unwrap();
        assert!(root.contains("BEGIN CERTIFICATE"));
        handle.stop().await;
    });
}

#[test]
fn stored_certificates_are_served_at_once_with_the_authority_unreachable_and_nothing_is_asked() {
    run(async || {
        let world = World::new();
        let slot = Slot { issuer: Slug::of_url(DEAD_CA), name: Slug::parse("a.example").unwrap() };
        let (chain, key) = world.files("a.example", NOW);
        PemStore::new(world.root()).save_pair(&slot, &chain, &crate::base::secret::Secret::new(key)).unwrap();
        let handle = world.start(&world.settings(&[(&["a.example"], acme())]));
        assert!(serial(&handle, "a.example").is_some());
        handle.go();
        // A word that is answered shows that the plan after `go` was made.
        assert!(matches!(handle.renew("b.example").await, Err(RenewError::Unknown(_))));
        let status = handle.status();
        assert_eq!((status[0].state, status[0].fails), (CertState::Valid, 0));
        handle.stop().await;
    });
}

#[test]
fn an_unreachable_authority_is_said_in_full_and_harms_no_other_name() {
    run(async || {
        let world = World::new();
        let handle = world.start(&world.settings(&[(&["a.example", "localhost"], acme())]));
        assert!(matches!(handle.catalog.load().lookup(Some("a.example"), None), Lookup::Coming(_)));
        handle.go();
        until(&handle, |status| status[0].last_error.is_some()).await;
        let status = handle.status();
        assert!(status[0].last_error.as_ref().unwrap().contains("127.0.0.1"), "{:?}", status[0]);
        assert_eq!(status[0].state, CertState::Paused);
        assert!(serial(&handle, "localhost").is_some());
        match handle.catalog.load().lookup(Some("a.example"), None) {
            Lookup::Coming(why) => assert!(why.contains("127.0.0.1"), "{why}"),
            other => panic!("{other:?}"),
        }
        handle.stop().await;
        // The failure is known after a restart, and the wait goes on.
        let handle = world.start(&world.settings(&[(&["a.example"], acme())]));
        assert_eq!(handle.status()[0].state, CertState::Paused);
        assert_eq!(handle.status()[0].fails, 1);
        handle.stop().await;
    });
}

#[test]
fn new_settings_are_served_when_their_word_returns() {
    run(async || {
        let world = World::new();
        let handle = world.start(&world.settings(&[(&["localhost"], acme())]));
        let first = serial(&handle, "localhost").unwrap();
        handle.settings(world.settings(&[(&["localhost", "new.localhost"], acme())])).await;
        assert!(serial(&handle, "new.localhost").is_some());
        assert_eq!(serial(&handle, "localhost").unwrap(), first, "what was held stays");
        handle.settings(world.settings(&[(&["new.localhost"], acme())])).await;
        assert!(serial(&handle, "localhost").is_none());
        handle.settings(world.settings(&[(&["localhost"], acme())])).await;
        assert!(serial(&handle, "localhost").is_some());
        handle.stop().await;
    });
}

#[test]
fn a_renewal_by_hand_takes_the_place_of_what_is_held() {
    run(async || {
        let world = World::new();
        let handle = world.start(&world.settings(&[(&["localhost"], acme())]));
        let first = serial(&handle, "localhost").unwrap();
        handle.renew("LOCALHOST.").await.unwrap();
        while serial(&handle, "localhost").unwrap() == first {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        handle.stop().await;
        assert_eq!(handle.renew("localhost").await, Err(RenewError::Stopping));
    });
}

#[test]
fn certificate_files_are_taken_when_right_and_the_last_good_ones_kept_when_wrong() {
    run(async || {
        let world = World::new();
        let (cert, key) = (world.dir.path().join("cert.pem"), world.dir.path().join("key.pem"));
        let put = |(chain, key_pem): (String, String)| {
            std::fs::write(&cert, chain).unwrap();
            std::fs::write(&key, key_pem).unwrap();
        };
        let settings =
            world.settings(&[(&["a.example"], SiteTls::Files { chain: cert.clone(), key: key.clone(), at: At::default() })]);
        let handle = world.start(&settings);
        assert!(handle.status()[0].last_error.as_ref().unwrap().contains("there is no file"));
        put(world.files("a.example", NOW));
        handle.settings(Arc::clone(&settings)).await;
        let first = serial(&handle, "a.example").unwrap();
        assert_eq!(handle.status()[0].last_error, None);
        std::fs::write(&key, "not a key").unwrap();
        handle.settings(Arc::clone(&settings)).await;
        assert!(handle.status()[0].last_error.as_ref().unwrap().contains("no private key"));
        assert_eq!(serial(&handle, "a.example").unwrap(), first);
        assert!(matches!(handle.renew("a.example").await, Err(RenewError::Files { .. })));
        // Without a word, by watching.
        put(world.files("a.example", NOW));
        while serial(&handle, "a.example").unwrap() == first {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        handle.stop().await;
    });
}

#[test]
fn what_is_published_stays_until_something_changes_or_time_may_have_changed_it() {
    let world = World::new();
    let (chain, key) = world.files("files.test", NOW);
    let (chain_at, key_at) = (world.dir.path().join("chain.pem"), world.dir.path().join("key.pem"));
    std::fs::write(&chain_at, chain).unwrap();
    std::fs::write(&key_at, key).unwrap();
    let settings =
        world.settings(&[(&["files.test"], SiteTls::Files { chain: chain_at.clone(), key: key_at.clone(), at: At::default() })]);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build_local(Default::default()).unwrap();
    runtime.block_on(async {
        let handle = world.start(&settings);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let first = handle.catalog.load_full();
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(Arc::ptr_eq(&first, &handle.catalog.load()), "ten looks at files that did not change");
        let (chain, key) = world.files("files.test", NOW);
        std::fs::write(&chain_at, chain).unwrap();
        std::fs::write(&key_at, key).unwrap();
        let before = serial(&handle, "files.test");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_ne!(before, serial(&handle, "files.test"), "changed files are served within two looks");
        let second = handle.catalog.load_full();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!Arc::ptr_eq(&second, &handle.catalog.load()), "what has expired meanwhile must be seen");
    });
}

#[test]
fn a_state_folder_that_cannot_be_written_serves_from_memory_and_orders_nothing() {
    run(async || {
        let world = World::new();
        std::fs::write(world.root(), "in the way").unwrap();
        let handle = world.start(&world.settings(&[(&["localhost", "a.example"], acme())]));
        assert!(serial(&handle, "localhost").is_some());
        handle.go();
        until(&handle, |status| status[1].last_error.is_some()).await;
        let error = handle.status()[1].last_error.clone().unwrap();
        assert!(error.contains("nothing is ordered while the state folder cannot be written"), "{error}");
        handle.stop().await;
    });
}

#[test]
fn a_second_keeper_on_one_state_is_refused() {
    run(async || {
        let world = World::new();
        let settings = world.settings(&[(&["localhost"], acme())]);
        let handle = world.start(&settings);
        let (store, clock) = (Path::new(&settings.state), NOW);
        assert!(matches!(Store::open(store, Duration::ZERO, clock), Err(LockError::InUse { .. })));
        handle.stop().await;
    });
}

/// A site with these texts as its certificate files.
fn of_files(world: &World, chain: &str, key: &str) -> Arc<Settings> {
    let (chain_file, key_file) = (world.dir.path().join("site.pem"), world.dir.path().join("site.key"));
    std::fs::write(&chain_file, chain).unwrap();
    std::fs::write(&key_file, key).unwrap();
    let at = At(Place { file: "doorward.conf".into(), line: 12, column: 5 });
    world.settings(&[(&["a.example"], SiteTls::Files { chain: chain_file, key: key_file, at })])
}

#[test]
fn files_that_do_not_belong_together_are_named_with_what_to_do() {
    run(async || {
        let world = World::new();
        let (chain, _) = world.files("a.example", NOW);
        let (_, key) = world.files("a.example", NOW);
        let handle = world.start(&of_files(&world, &chain, &key));
        let status = handle.status()[0].clone();
        let (seen, remedy) = (status.last_error.unwrap(), status.remedy.unwrap());
        assert!(seen.contains("site.key does not belong to ") && seen.ends_with("(a.example; the public keys differ)"), "{seen}");
        assert!(remedy.starts_with("give the key that this certificate was made with"), "{remedy}");
        assert!(remedy.ends_with("(doorward.conf:12)"), "{remedy}");
        match handle.catalog.load().lookup(Some("a.example"), None) {
            Lookup::Coming(why) => assert!(why.starts_with("its files cannot be used: "), "{why}"),
            other => panic!("{other:?}"),
        }
        handle.stop().await;
    });
}

#[test]
fn a_file_that_has_ended_is_served_and_named_with_what_to_do() {
    run(async || {
        let world = World::new();
        let (chain, key) = world.files("a.example", NOW - Duration::from_secs(7 * 86_400));
        let handle = world.start(&of_files(&world, &chain, &key));
        assert!(serial(&handle, "a.example").is_some(), "an expired one is better than none");
        let status = handle.status()[0].clone();
        assert_eq!((status.state, status.fails), (CertState::Expired, 0));
        let (seen, remedy) = (status.last_error.unwrap(), status.remedy.unwrap());
        assert!(seen.contains("site.pem expired on 2026-11-14, browsers refuse it"), "{seen}");
        assert!(remedy.starts_with("put a renewed file there") && remedy.contains("(doorward.conf:12)"), "{remedy}");
        handle.stop().await;
    });
}

#[test]
fn a_disk_that_hangs_holds_up_neither_new_settings_nor_renewals_nor_the_stop() {
    run(async || {
        let world = World::new();
        let handle = world.start(&world.settings(&[(&["localhost"], acme())]));
        let store = handle.stall.0.upgrade().unwrap();
        let hangs = store.hang(true);
        assert!(handle.hanging().unwrap().contains("/state/journal takes 2"), "{:?}", handle.hanging());
        handle.settings(world.settings(&[(&["localhost", "new.localhost", "a.example"], acme())])).await;
        assert!(serial(&handle, "new.localhost").is_some());
        let first = serial(&handle, "localhost").unwrap();
        handle.renew("localhost").await.unwrap();
        while serial(&handle, "localhost").unwrap() == first {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        handle.go();
        until(&handle, |status| status[2].last_error.is_some()).await;
        let error = handle.status()[2].last_error.clone().unwrap();
        assert!(error.contains("nothing is ordered") && error.contains("does not answer: to write "), "{error}");
        handle.stop().await;
        drop(hangs);
    });
}

#[test]
fn what_was_not_loaded_from_a_disk_that_hung_is_loaded_when_it_answers() {
    let world = World::new();
    let slot = Slot { issuer: Slug::of_url(DEAD_CA), name: Slug::parse("a.example").unwrap() };
    let (chain, key) = world.files("a.example", NOW);
    PemStore::new(world.root()).save_pair(&slot, &chain, &crate::base::secret::Secret::new(key)).unwrap();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build_local(Default::default()).unwrap();
    runtime.block_on(async {
        let handle = world.start(&world.settings(&[(&["localhost"], acme())]));
        let store = handle.stall.0.upgrade().unwrap();
        let hangs = store.hang(true);
        handle.settings(world.settings(&[(&["localhost", "a.example"], acme())])).await;
        assert!(serial(&handle, "a.example").is_none());
        drop(hangs);
        until(&handle, |_| serial(&handle, "a.example").is_some()).await;
        handle.stop().await;
    });
}

#[test]
fn a_disk_that_has_just_begun_to_hang_is_waited_for_within_a_bound() {
    run(async || {
        let world = World::new();
        let settings = world.settings(&[(&["localhost"], acme())]);
        let handle = world.start(&settings);
        let store = handle.stall.0.upgrade().unwrap();
        let hangs = store.hang(false);
        assert_eq!(handle.hanging(), None);
        handle.settings(settings).await;
        assert!(serial(&handle, "localhost").is_some());
        handle.stop().await;
        drop(hangs);
    });
}
