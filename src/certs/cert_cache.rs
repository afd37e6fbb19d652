//! Certificates in memory: what is served, with what is needed to store it again. Loads them from the vault, and makes
//! the catalog of them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use super::bundle::CertBundle;
use super::catalog::{Catalog, Standing};
use super::desired::DesiredCert;
use super::inventory::{Held, Record};
use crate::base::name::Identifier;
use crate::base::rng::Rng;
use crate::base::secret::Secret;
use crate::base::time::Timestamp;
use crate::state::finding::Finding;
use crate::state::pem_store::Slot;
use crate::state::schema::Key;
use crate::state::slug::Slug;
use crate::state::store::Store;

/// A certificate in memory. Cloning is cheap.
#[derive(Clone, Debug)]
pub(crate) struct CachedCert {
    pub(crate) bundle: Arc<CertBundle>,
    /// Kept so that a state folder that was lost can be written again.
    pub(crate) key: Arc<Secret<String>>,
    /// Where it belongs in the vault; `None` for what is not stored there.
    pub(crate) slot: Option<Slot>,
    /// Its generation there, once it is.
    pub(crate) generation: Option<u64>,
}

impl CachedCert {
    pub(crate) const fn new(bundle: Arc<CertBundle>, key: Arc<Secret<String>>, slot: Option<Slot>) -> Self {
        Self { bundle, key, slot, generation: None }
    }

    pub(crate) fn stored(mut self, generation: u64) -> Self {
        self.generation = Some(generation);
        self
    }

    /// Whether it belongs into the vault and is not there, as far as is known.
    pub(crate) const fn is_unsaved(&self) -> bool {
        self.slot.is_some() && self.generation.is_none()
    }

    /// Its facts for the book.
    pub(crate) fn held(&self, issuer: &Slug) -> Held {
        let bundle = &self.bundle;
        Held {
            issuer: issuer.clone(),
            validity: bundle.validity(),
            serial: bundle.serial().to_owned(),
            has_window: self.slot.is_some() && bundle.renewal_id().is_some(),
        }
    }
}

/// All certificates in memory, by need.
pub(crate) type CertCache = BTreeMap<Slot, CachedCert>;

/// What the state holds for a need.
pub(crate) struct Loaded {
    pub(crate) id: Slot,
    pub(crate) record: Record,
    pub(crate) shelved: Option<CachedCert>,
    pub(crate) findings: Vec<Finding>,
}

/// Needs below which one core is as quick as several.
const MAX_UNUSED: usize = 32;

/// Looks up what the journal and the vault hold for these needs, in their order, on all cores: to prove a thousand chains
/// takes one core a good part of the second within which they are to be served. Blocks.
pub(crate) fn load(store: &Store, needs: &[DesiredCert], now: Timestamp, rng: &mut Rng) -> Vec<Loaded> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = needs.len().div_ceil(cores).max(MAX_UNUSED);
    let load_part = |part: &[DesiredCert], mut rng: Rng| -> Vec<Loaded> {
        part.iter().map(|need| load_one(store, need, now, &mut rng)).collect()
    };
    thread::scope(|scope| {
        let parts = needs.chunks(share).map(|part| {
            let rng = Rng::seeded(rng.roll());
            scope.spawn(move || load_part(part, rng))
        });
        let parts: Vec<_> = parts.collect();
        parts.into_iter().flat_map(|part| part.join().expect("damaged files are findings, not panics")).collect()
    })
}

/// As [`load`], for one need.
pub(crate) fn load_one(store: &Store, need: &DesiredCert, now: Timestamp, rng: &mut Rng) -> Loaded {
    let memory = store.get(&Key::Need(need.id.clone())).unwrap_or_default();
    let mut findings = Vec::new();
    let stored = need.slots().iter().filter_map(|slot| newest(store, slot, &need.names, now, &mut findings)).collect::<Vec<_>>();
    // The latest one that is valid: another authority's took the place of the first one's. Of equals, the first one's.
    let worth = |shelved: &CachedCert| (shelved.bundle.validity().holds_at(now), shelved.bundle.validity().not_before);
    let shelved = stored.into_iter().rev().max_by_key(worth);
    let held = shelved.as_ref().map(|shelved| shelved.held(shelved.slot.as_ref().map_or(&need.id.issuer, |slot| &slot.issuer)));
    Loaded { id: need.id.clone(), record: Record::restore(held, memory, now, rng), shelved, findings }
}

/// The newest sound pair of a slot that covers the names; damaged ones are set aside.
fn newest(store: &Store, slot: &Slot, names: &[Identifier], now: Timestamp, findings: &mut Vec<Finding>) -> Option<CachedCert> {
    let mut found: Option<CachedCert> = None;
    for pair in store.vault().pairs(slot) {
        let (generation, why) = match pair {
            Ok(pair) => match CertBundle::restore(&pair.chain, &pair.key) {
                Ok(bundle) => {
                    let shelved =
                        CachedCert::new(Arc::new(bundle), Arc::new(pair.key), Some(slot.clone())).stored(pair.generation);
                    let valid = shelved.bundle.validity().holds_at(now);
                    let better = found.as_ref().is_none_or(|held| !held.bundle.validity().holds_at(now) && valid);
                    if better && shelved.bundle.covers_all(names) {
                        found = Some(shelved);
                    }
                    continue;
                }
                Err(error) => (pair.generation, error.to_string()),
            },
            Err((generation, error)) if error.is_damage() => (generation, error.to_string()),
            // The disk is at fault: what lies there may be good.
            Err((_, error)) => {
                findings.push(Finding::NotWritable(error.to_string()));
                continue;
            }
        };
        findings.push(store.set_aside(&store.vault().generation_folder(slot, generation), &why, now));
    }
    found
}

fn covers(bundle: &CertBundle, name: &Identifier) -> bool {
    bundle.covers_all(std::slice::from_ref(name))
}

/// The catalog of all needs. A name whose own certificate is still coming is served by one that is no longer asked for
/// but covers it: when `[a]` becomes `[a, b]`, the old `a` serves until the new pair is held. `why` says for a need
/// without one what is being waited for.
pub(crate) fn catalog(needs: &[DesiredCert], cache: &CertCache, why: impl Fn(&DesiredCert) -> String) -> Catalog {
    let spare = spare(needs, cache);
    let entries = needs.iter().flat_map(|need| match cache.get(&need.id) {
        Some(shelved) => vec![(need.names.clone(), ready(shelved))],
        // Whoever asks for it waits for it.
        None if need.on_demand => Vec::new(),
        None => {
            let coming = Standing::Coming(why(need).into());
            let stand_in =
                |name: &Identifier| spare.iter().find(|shelved| covers(&shelved.bundle, name)).map(|shelved| ready(shelved));
            need.names.iter().map(|name| (vec![name.clone()], stand_in(name).unwrap_or_else(|| coming.clone()))).collect()
        }
    });
    let catalog = Catalog::build(entries);
    let Some(default) = needs.iter().find(|need| need.default) else { return catalog };
    let standing = cache.get(&default.id).map_or_else(|| Standing::Coming(why(default).into()), ready);
    catalog.with_default(standing)
}

fn ready(shelved: &CachedCert) -> Standing {
    Standing::Ready(Arc::clone(shelved.bundle.certified()))
}

/// Certificates that no need asks for any more; usually none.
fn spare<'a>(needs: &[DesiredCert], cache: &'a CertCache) -> Vec<&'a CachedCert> {
    let asked: BTreeSet<&Slot> = needs.iter().map(|need| &need.id).collect();
    cache.iter().filter(|(id, _)| !asked.contains(id)).map(|(_, shelved)| shelved).collect()
}

/// Drops what no need asks for and no name without a certificate of its own could use.
pub(crate) fn tidy(needs: &[DesiredCert], cache: &mut CertCache) {
    let asked: BTreeSet<&Slot> = needs.iter().map(|need| &need.id).collect();
    if cache.keys().all(|id| asked.contains(id)) {
        return;
    }
    let bare: Vec<Identifier> =
        needs.iter().filter(|need| !cache.contains_key(&need.id)).flat_map(|need| need.names.clone()).collect();
    cache.retain(|id, shelved| asked.contains(id) || bare.iter().any(|name| covers(&shelved.bundle, name)));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::certs::catalog::Lookup;
    use crate::certs::fixtures;
    use crate::certs::issuer::local_ca::LocalCa;
    use crate::state::pem_store::PemStore;

    const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);

    fn names(texts: &[&str]) -> Vec<Identifier> {
        texts.iter().map(|text| Identifier::parse(text).unwrap()).collect()
    }

    fn need(texts: &[&str]) -> DesiredCert {
        fixtures::acme_need("https://ca.example/dir", texts)
    }

    /// Somebody's chain and key for these names, made at this moment.
    fn pair(texts: &[&str], at: Timestamp) -> (String, Secret<String>) {
        let dir = tempfile::tempdir().unwrap();
        LocalCa::open(&PemStore::new(dir.path().to_owned()), at).unwrap().0.make(&names(texts), at).unwrap()
    }

    fn shelved(texts: &[&str]) -> CachedCert {
        let (chain, key) = pair(texts, NOW);
        CachedCert::new(Arc::new(CertBundle::restore(&chain, &key).unwrap()), Arc::new(key), None)
    }

    #[test]
    fn a_damaged_generation_is_set_aside_and_the_one_before_it_is_served() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(dir.path(), Duration::ZERO, NOW).unwrap();
        let need = need(&["a.example"]);
        let slot = &need.slots()[0];
        for _ in 0..2 {
            let (chain, key) = pair(&["a.example"], NOW);
            store.vault().save_pair(slot, &chain, &key).unwrap();
        }
        let damaged = store.vault().generation_folder(slot, 2).join("cert.pem");
        let text = std::fs::read_to_string(&damaged).unwrap();
        std::fs::write(&damaged, &text[..text.len() / 3]).unwrap();
        let loaded = load_one(&store, &need, NOW, &mut Rng::seeded(1));
        assert_eq!(loaded.shelved.unwrap().generation, Some(1));
        assert!(matches!(&loaded.findings[..], [Finding::SetAside { now_at: Some(_), .. }]), "{:?}", loaded.findings);
        assert!(loaded.record.held.is_some() && loaded.record.memory.renewal.is_some());
        assert_eq!(load_one(&store, &need, NOW, &mut Rng::seeded(1)).findings, []);
    }

    #[test]
    fn an_expired_certificate_is_served_only_when_no_valid_one_is_stored() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(dir.path(), Duration::ZERO, NOW).unwrap();
        let need = need(&["a.example"]);
        let week = Duration::from_secs(7 * 86_400);
        // The newer generation has expired, as after a clock that was wrong.
        for at in [NOW, NOW - week] {
            let (chain, key) = pair(&["a.example"], at);
            store.vault().save_pair(&need.slots()[0], &chain, &key).unwrap();
        }
        assert_eq!(load_one(&store, &need, NOW, &mut Rng::seeded(1)).shelved.unwrap().generation, Some(1));
        let later = load_one(&store, &need, NOW + week, &mut Rng::seeded(1)).shelved;
        assert!(later.is_some(), "an expired one is better than none");
    }

    #[test]
    fn an_old_certificate_serves_its_name_until_the_new_set_is_held() {
        let (old, new) = (need(&["a.example"]), need(&["a.example", "b.example"]));
        let mut cache = CertCache::from([(old.id.clone(), shelved(&["a.example"]))]);
        let needs = [new.clone()];
        tidy(&needs, &mut cache);
        let found = |cache: &CertCache, name| catalog(&needs, cache, |_| "coming".to_owned()).lookup(Some(name), None);
        assert!(matches!(found(&cache, "a.example"), Lookup::Found(_)));
        assert!(matches!(found(&cache, "b.example"), Lookup::Coming(_)));
        cache.insert(new.id.clone(), shelved(&["a.example", "b.example"]));
        tidy(&needs, &mut cache);
        assert_eq!(cache.len(), 1);
        assert!(matches!(found(&cache, "b.example"), Lookup::Found(_)));
    }

    #[test]
    fn a_name_that_is_no_longer_configured_is_no_longer_served() {
        let mut cache = CertCache::from([(need(&["a.example"]).id, shelved(&["a.example"]))]);
        tidy(&[], &mut cache);
        assert!(cache.is_empty());
    }
}
