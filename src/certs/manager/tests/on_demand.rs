//! Names on demand over a restart.

use super::*;
use crate::base::name::HostPattern;
use crate::config::settings::{Acme, SiteHost};
use crate::state::schema::{Key, OnDemand};

fn star(world: &World) -> Arc<Settings> {
    let on_demand = Acme { on_demand_ask: Some("http://127.0.0.1:9/".into()), ..(*fixtures::acme(DEAD_CA)).clone() };
    let mut site = fixtures::site(&["placeholder.example"], &SiteTls::Acme(Arc::new(on_demand)));
    site.hosts = vec![SiteHost { pattern: HostPattern::Any, plain: false, port: 443 }];
    Arc::new(Settings { state: world.root(), ..fixtures::settings(vec![site]) })
}

/// A state in which `name` was obtained on demand, and asked for last at `last`.
fn remember(world: &World, name: &str, last: Timestamp) {
    let (store, _) = Store::open(&world.root(), Duration::ZERO, NOW).unwrap();
    let slot = Slot { issuer: Slug::of_url(DEAD_CA), name: Slug::parse(name).unwrap() };
    let (chain, key) = world.files(name, NOW);
    store.vault().save_pair(&slot, &chain, &crate::base::secret::Secret::new(key)).unwrap();
    store.put(&Key::OnDemand(slot), &OnDemand { name: name.to_owned(), last }).unwrap();
}

#[test]
fn names_on_demand_are_remembered_over_a_restart_while_somebody_asks_for_them() {
    run(async || {
        let world = World::new();
        remember(&world, "recent.example", NOW);
        remember(&world, "old.example", NOW - Duration::from_secs(31 * 86_400));
        let handle = world.start(&star(&world));
        assert!(serial(&handle, "recent.example").is_some());
        assert!(serial(&handle, "old.example").is_none());
        let names: Vec<String> = handle.status().iter().flat_map(|status| status.names.clone()).collect();
        assert_eq!(names, ["recent.example"]);
        assert!(matches!(handle.catalog.load().lookup(Some("old.example"), None), Lookup::Demand));
    });
}

#[test]
fn without_the_star_nothing_is_on_demand() {
    run(async || {
        let world = World::new();
        remember(&world, "recent.example", NOW);
        let handle = world.start(&world.settings(&[(&["localhost"], SiteTls::Internal)]));
        assert!(matches!(handle.catalog.load().lookup(Some("recent.example"), None), Lookup::Unknown));
    });
}

#[test]
fn an_endpoint_that_does_not_answer_lets_nothing_in() {
    run(async || {
        let world = World::new();
        let handle = world.start(&star(&world));
        let words = handle.demand.obtain("a.example").await.unwrap_err();
        assert!(words.contains("the endpoint of `on-demand ask` could not be asked"), "{words}");
        let words = handle.demand.obtain("nas.local").await.unwrap_err();
        assert_eq!(words, "no site takes this name");
        assert!(handle.status().is_empty());
    });
}
