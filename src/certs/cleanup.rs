//! Clearing out: certificates that no site asks for any more, long after they have ended.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::base::time::Timestamp;
use crate::certs::bundle::CertBundle;
use crate::state::pem_store::{PemStore, Slot};
use crate::state::schema::Key;
use crate::state::store::Store;

/// How long after its end a certificate that nobody asks for is kept: a site that comes back next season finds what was
/// remembered of it, and nobody needs the key of a certificate that ended a quarter of a year ago.
const KEPT: Duration = Duration::from_secs(90 * 86_400);

/// Removes what is neither wanted nor younger than that, with what the journal remembers of it; which it was. Blocks.
pub(crate) fn clear(store: &Store, wanted: &BTreeSet<Slot>, now: Timestamp) -> Vec<Slot> {
    let stale = stale(store.vault(), wanted, now);
    let removed = |slot: &Slot| {
        let forgotten = [Key::Need(slot.clone()), Key::Order(slot.clone()), Key::AlertMessage(slot.clone())];
        // A journal that refuses keeps a record of a few hundred bytes.
        forgotten.iter().for_each(|key| _ = store.remove(key));
        store.vault().drop_slot(slot).is_ok()
    };
    stale.into_iter().filter(removed).collect()
}

/// The slots to be cleared. One with a certificate that cannot be read is left for a person.
fn stale(vault: &PemStore, wanted: &BTreeSet<Slot>, now: Timestamp) -> Vec<Slot> {
    let is_stale = |slot: &Slot| {
        let pairs = vault.pairs(slot);
        let ended = pairs.iter().all(|pair| {
            let bundle = pair.as_ref().ok().and_then(|pair| CertBundle::restore(&pair.chain, &pair.key).ok());
            bundle.is_some_and(|bundle| bundle.validity().not_after + KEPT < now)
        });
        !pairs.is_empty() && ended
    };
    vault.slots().into_iter().filter(|slot| !wanted.contains(slot) && is_stale(slot)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::name::Identifier;
    use crate::certs::issuer::local_ca::LocalCa;
    use crate::state::schema::Remembered;
    use crate::state::slug::Slug;

    const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);

    #[test]
    fn what_nobody_asks_for_is_removed_a_quarter_of_a_year_after_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(dir.path(), Duration::ZERO, NOW).unwrap();
        let slot = |name: &str| Slot { issuer: Slug::parse("ca").unwrap(), name: Slug::parse(name).unwrap() };
        let mut ca = LocalCa::open(&PemStore::new(dir.path().join("ca")), NOW).unwrap().0;
        for name in ["wanted.example", "gone.example", "damaged.example"] {
            let (chain, key) = ca.make(&[Identifier::parse(name).unwrap()], NOW).unwrap();
            store.vault().save_pair(&slot(name), &chain, &key).unwrap();
            store.put(&Key::Need(slot(name)), &Remembered::default()).unwrap();
        }
        std::fs::write(store.vault().generation_folder(&slot("damaged.example"), 1).join("cert.pem"), "garbage").unwrap();
        let wanted = BTreeSet::from([slot("wanted.example")]);
        let ends = NOW + Duration::from_secs(12 * 3_600);
        assert_eq!(clear(&store, &wanted, ends + KEPT), []);
        let later = ends + KEPT + Duration::from_secs(1);
        assert_eq!(clear(&store, &wanted, later), [slot("gone.example")]);
        assert_eq!(store.vault().slots(), [slot("damaged.example"), slot("wanted.example")]);
        assert_eq!(store.keys(), [Key::Need(slot("damaged.example")), Key::Need(slot("wanted.example"))]);
    }
}
