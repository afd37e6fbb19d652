//! The ledgers of an account and of an order, over the vault (keys) and the journal (URLs, what was tried). Each fact is
//! on the disk before its method returns; a disk that refuses stops the order there.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::base::mutex::lock;
use crate::base::secret::Secret;
use crate::base::time::{Clock, Timestamp};
use crate::certs::issuer::order_store::{AccountFacts, AccountStore, InFlight, LedgerError, OrderStore};
use crate::certs::rate_limit::OrderLimit;
use crate::config::settings::ChallengeKind;
use crate::state::history::{Ended, History};
use crate::state::pem_store::Slot;
use crate::state::schema::{Bucket, IssuerMemory, Key, OpenOrder, Remembered, TxtRecord};
use crate::state::slug::Slug;
use crate::state::store::Store;

/// Our account at one authority.
pub(crate) struct DurableAccountStore {
    pub(crate) store: Arc<Store>,
    pub(crate) issuer: Slug,
    pub(crate) clock: Arc<dyn Clock>,
}

impl AccountStore for DurableAccountStore {
    fn account(&self) -> Result<AccountFacts, LedgerError> {
        match self.store.vault().account(&self.issuer) {
            Ok(stored) => Ok(stored.map_or_else(AccountFacts::default, |account| AccountFacts {
                key_pem: Some(account.key),
                url: account.url,
                next_key_pem: account.next_key,
            })),
            Err(error) if !error.is_damage() => Err(cannot("read the account")(error)),
            Err(error) => {
                // An order after it makes a new account.
                let folder = self.store.vault().account_folder(&self.issuer);
                let finding = self.store.set_aside(&folder, &error.source.to_string(), self.clock.now());
                tracing::warn!(event = "state_damaged", "{finding}");
                Ok(AccountFacts::default())
            }
        }
    }

    fn keep_account_key(&self, key_pem: &Secret<String>) -> Result<(), LedgerError> {
        if self.store.vault().account(&self.issuer).is_ok_and(|held| held.is_some()) {
            // The account of an unusable key may still be of use to a person.
            let folder = self.store.vault().account_folder(&self.issuer);
            self.store.set_aside(&folder, "its key could not be used", self.clock.now());
        }
        self.store.vault().save_account_key(&self.issuer, key_pem).map_err(cannot("keep the account key"))
    }

    fn keep_account_url(&self, url: &str) -> Result<(), LedgerError> {
        self.store.vault().save_account_url(&self.issuer, url).map_err(cannot("keep the account's URL"))
    }

    fn forget_account_url(&self) -> Result<(), LedgerError> {
        self.store.vault().drop_account_url(&self.issuer).map_err(cannot("forget the account's URL"))
    }

    fn keep_next_key(&self, key_pem: &Secret<String>) -> Result<(), LedgerError> {
        self.store.vault().save_next_account_key(&self.issuer, key_pem).map_err(cannot("keep the account's next key"))
    }

    fn settle_next_key(&self, took_place: bool) -> Result<(), LedgerError> {
        let vault = self.store.vault();
        let settled = match took_place {
            true => vault.promote_next_account_key(&self.issuer),
            false => vault.drop_next_account_key(&self.issuer),
        };
        settled.map_err(cannot("settle the account's next key"))
    }

    fn put_account_aside(&self, why: &str) -> Result<(), LedgerError> {
        let folder = self.store.vault().account_folder(&self.issuer);
        let moved = crate::state::quarantine::set_aside(self.store.vault().root(), &folder, self.clock.now());
        let place = moved.map_err(cannot("put the account aside"))?;
        let place = place.map(|place| place.display().to_string());
        tracing::info!(event = "account_put_aside", issuer = %self.issuer, place, why, "the account at {} is put aside: {why}", self.issuer);
        Ok(())
    }
}

/// One need's order at one authority, which also counts the orders it takes.
pub(crate) struct DurableOrderStore {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    /// The need, under which its memory is kept.
    need: Slot,
    /// Where the certificate will lie.
    slot: Slot,
    /// How the authority limits new orders, if that is known.
    limit: Option<OrderLimit>,
    progress: Mutex<Progress>,
}

struct Progress {
    memory: Remembered,
    bucket: Option<Bucket>,
}

impl DurableOrderStore {
    /// For one try, with what is remembered of those before it. Nothing is counted yet.
    pub(crate) fn new(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        need: Slot,
        slot: Slot,
        memory: Remembered,
        limit: Option<OrderLimit>,
    ) -> Self {
        let progress = Mutex::new(Progress { memory, bucket: None });
        Self { store, clock, need, slot, limit, progress }
    }

    /// The lock is not held while it is written: the manager reads the history of an order whose disk hangs.
    fn change(&self, change: impl FnOnce(&mut Remembered)) -> Result<(), LedgerError> {
        let memory = {
            let mut progress = self.progress();
            change(&mut progress.memory);
            progress.memory.clone()
        };
        self.store.put(&Key::Need(self.need.clone()), &memory).map_err(cannot("note the attempt"))
    }

    /// What is left of the authority's limit of new orders, if it has one and this try made an order.
    pub(crate) fn bucket(&self) -> Option<(OrderLimit, Bucket)> {
        self.limit.zip(self.progress().bucket)
    }

    /// What was tried so far, this try included.
    pub(crate) fn history(&self) -> History {
        self.progress().memory.history.clone()
    }

    /// Which challenge proved the names, this try included.
    pub(crate) fn worked(&self) -> Option<String> {
        self.progress().memory.worked.clone()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }

    fn order_key(&self) -> Key {
        Key::Order(self.slot.clone())
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl OrderStore for DurableOrderStore {
    fn in_flight(&self) -> Result<Option<InFlight>, LedgerError> {
        let Some(order) = self.store.get::<OpenOrder>(&self.order_key()) else { return Ok(None) };
        let key_pem = self.store.vault().pending_key(&self.slot).map_err(cannot("read the key of the order in flight"))?;
        Ok(Some(InFlight { url: order.url, key_pem }))
    }

    fn count_order(&self) -> Result<(), LedgerError> {
        let now = self.now();
        self.change(|memory| {
            // One that is open still was cut off before its URL was kept, so that no proof can have failed for it.
            memory.history.end(Ended::Failed);
            memory.history.begin(now);
        })?;
        let Some(limit) = self.limit else { return Ok(()) };
        let take = |issuer: &mut IssuerMemory| issuer.bucket = Some(limit.take(issuer.bucket, self.now()));
        let issuer = self.store.update(&Key::Issuer(self.slot.issuer.clone()), take).map_err(cannot("count the order"))?;
        self.progress().bucket = issuer.bucket;
        Ok(())
    }

    fn keep_order(&self, url: &str) -> Result<(), LedgerError> {
        self.store.vault().drop_pending_key(&self.slot).map_err(cannot("drop the key of an older order"))?;
        let order = OpenOrder { url: url.to_owned(), at: self.now() };
        self.store.put(&self.order_key(), &order).map_err(cannot("keep the order's URL"))
    }

    fn keep_certificate_key(&self, key_pem: &Secret<String>) -> Result<(), LedgerError> {
        self.store.vault().save_pending_key(&self.slot, key_pem).map_err(cannot("keep the certificate's key"))
    }

    fn forget_order(&self) -> Result<(), LedgerError> {
        self.store.remove(&self.order_key()).map_err(cannot("forget the order"))?;
        self.store.vault().drop_pending_key(&self.slot).map_err(cannot("drop the order's key"))
    }

    fn fail_order(&self) -> Result<(), LedgerError> {
        self.change(|memory| memory.history.end(Ended::Unproved))?;
        self.forget_order()
    }

    fn last_challenge(&self) -> Result<Option<ChallengeKind>, LedgerError> {
        const KINDS: [ChallengeKind; 4] =
            [ChallengeKind::Http01, ChallengeKind::TlsAlpn01, ChallengeKind::Dns01, ChallengeKind::DnsPersist01];
        let progress = self.progress();
        Ok(KINDS.into_iter().find(|kind| progress.memory.worked.as_deref() == Some(kind.as_str())))
    }

    fn keep_challenge(&self, kind: ChallengeKind) -> Result<(), LedgerError> {
        self.change(|memory| memory.worked = Some(kind.as_str().to_owned()))
    }

    fn keep_record(&self, record: &TxtRecord) -> Result<(), LedgerError> {
        keep_record(&self.store, &self.slot.issuer, record)
    }

    fn forget_record(&self, record: &TxtRecord) -> Result<(), LedgerError> {
        forget_record(&self.store, &self.slot.issuer, record)
    }
}

/// Notes a record that is about to be set for an order at this authority.
pub(super) fn keep_record(store: &Store, issuer: &Slug, record: &TxtRecord) -> Result<(), LedgerError> {
    store.put(&record.key(issuer), record).map_err(cannot("note the DNS record"))
}

/// The record is gone.
pub(super) fn forget_record(store: &Store, issuer: &Slug, record: &TxtRecord) -> Result<(), LedgerError> {
    store.remove(&record.key(issuer)).map_err(cannot("forget the DNS record"))
}

fn cannot<E: std::error::Error + Send + Sync + 'static>(what: &'static str) -> impl FnOnce(E) -> LedgerError {
    move |error| LedgerError { what, cause: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::time::ManualClock;

    const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);
    const LIMIT: Option<OrderLimit> = Some(OrderLimit { burst: 300, refill: Duration::from_secs(36), reserve: 50 });

    fn slot() -> Slot {
        Slot { issuer: Slug::parse("ca").unwrap(), name: Slug::parse("a.example").unwrap() }
    }

    fn open(root: &std::path::Path) -> Arc<Store> {
        Arc::new(Store::open(root, Duration::ZERO, NOW).unwrap().0)
    }

    /// A try, as it begins with whatever is on the disk.
    fn begin(store: &Arc<Store>) -> DurableOrderStore {
        let memory = store.get(&Key::Need(slot())).unwrap_or_default();
        DurableOrderStore::new(Arc::clone(store), Arc::new(ManualClock::at(NOW)), slot(), slot(), memory, LIMIT)
    }

    fn ended(ledger: &DurableOrderStore) -> Vec<Ended> {
        ledger.history().attempts().iter().map(|attempt| attempt.ended).collect()
    }

    #[test]
    fn a_killed_order_is_found_again_with_its_key_and_counted_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let ledger = begin(&store);
        ledger.count_order().unwrap();
        ledger.keep_order("https://ca/order/1").unwrap();
        ledger.keep_certificate_key(&Secret::new("key".to_owned())).unwrap();
        drop((ledger, store));
        let store = open(dir.path());
        let ledger = begin(&store);
        let found = ledger.in_flight().unwrap().unwrap();
        assert_eq!((found.url.as_str(), found.key_pem.unwrap().expose().as_str()), ("https://ca/order/1", "key"));
        assert_eq!(ended(&ledger), [Ended::Open]);
        ledger.forget_order().unwrap();
        assert!(ledger.in_flight().unwrap().is_none());
        assert!(store.vault().pending_key(&slot()).unwrap().is_none());
    }

    #[test]
    fn every_order_of_one_try_is_counted_and_on_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let ledger = begin(&store);
        ledger.count_order().unwrap();
        ledger.keep_order("https://ca/order/1").unwrap();
        ledger.keep_certificate_key(&Secret::new("key".to_owned())).unwrap();
        ledger.fail_order().unwrap();
        ledger.count_order().unwrap();
        ledger.keep_order("https://ca/order/2").unwrap();
        assert!(ledger.in_flight().unwrap().unwrap().key_pem.is_none(), "a key belongs to one order");
        drop((ledger, store));
        let ledger = begin(&open(dir.path()));
        assert_eq!(ended(&ledger), [Ended::Unproved, Ended::Open]);
    }

    #[test]
    fn every_new_order_is_taken_from_the_authoritys_bucket_and_a_resumed_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let left = |store: &Arc<Store>| {
            let issuer: IssuerMemory = store.get(&Key::Issuer(slot().issuer)).unwrap();
            issuer.bucket.unwrap().left
        };
        let store = open(dir.path());
        let ledger = begin(&store);
        ledger.count_order().unwrap();
        assert_eq!((left(&store), ledger.bucket().unwrap().1.left), (299, 299));
        ledger.keep_order("https://ca/order/1").unwrap();
        ledger.fail_order().unwrap();
        ledger.count_order().unwrap();
        ledger.keep_order("https://ca/order/2").unwrap();
        assert_eq!(left(&store), 298);
        drop((ledger, store));
        let store = open(dir.path());
        let ledger = begin(&store);
        assert_eq!((left(&store), ledger.bucket()), (298, None), "over a crash, too");
    }

    #[test]
    fn a_try_that_died_as_it_asked_counts_as_an_order_and_one_that_died_before_as_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        drop(begin(&store));
        assert_eq!(ended(&begin(&store)), []);
        begin(&store).count_order().unwrap();
        let ledger = begin(&store);
        ledger.count_order().unwrap();
        assert_eq!(ended(&ledger), [Ended::Failed, Ended::Open], "no proof can have failed");
    }

    #[test]
    fn what_worked_is_remembered_over_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let ledger = begin(&store);
        assert_eq!(ledger.last_challenge().unwrap(), None);
        ledger.keep_challenge(ChallengeKind::TlsAlpn01).unwrap();
        drop((ledger, store));
        assert_eq!(begin(&open(dir.path())).last_challenge().unwrap(), Some(ChallengeKind::TlsAlpn01));
    }

    #[test]
    fn an_account_keeps_its_key_when_its_url_is_forgotten_and_a_damaged_one_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let issuer = slot().issuer;
        let ledger =
            DurableAccountStore { store: Arc::clone(&store), issuer: issuer.clone(), clock: Arc::new(ManualClock::at(NOW)) };
        assert!(ledger.account().unwrap().key_pem.is_none());
        ledger.keep_account_key(&Secret::new("key".to_owned())).unwrap();
        ledger.keep_account_url("https://ca/acct/1").unwrap();
        ledger.forget_account_url().unwrap();
        let facts = ledger.account().unwrap();
        assert_eq!((facts.key_pem.unwrap().expose().as_str(), facts.url), ("key", None));
        std::fs::write(store.vault().account_folder(&issuer).join("key.pem"), [0xff, 0xfe]).unwrap();
        assert!(ledger.account().unwrap().key_pem.is_none());
        assert_eq!(std::fs::read_dir(dir.path().join("damaged")).unwrap().count(), 1);
    }
}
