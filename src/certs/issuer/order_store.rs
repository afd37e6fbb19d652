//! What an order needs from storage, and in which sequence, so that a crash at any instant loses nothing that was
//! bought and buys nothing twice. It does not say where the facts are kept.
//!
//! What must be on disk (written, synced, renamed) before what:
//!
//! 1. the account key before newAccount: the authority finds the account again by its key, so a crash between the two
//!    makes no second account and burns no one-time external binding;
//! 2. the account URL after newAccount, before the first order;
//! 3. the order's URL right after newOrder, before anything is asked of that order;
//! 4. the certificate's key before finalize: from that instant on the authority may have issued for it;
//! 5. an account's next key before keyChange: from that instant on either key may be the one the authority believes;
//! 6. the bundle after the download, before [`OrderStore::forget_order`] and before it is served. Steps 1 to 4 are the
//!    order's, 5 is the account's; this one is its caller's, because only the caller knows when the bundle is safe.
//!
//! Every method blocks until its fact is safe. Async callers go through the blocking pool.

use crate::base::secret::Secret;
use crate::config::settings::ChallengeKind;
use crate::state::schema::TxtRecord;

/// A fact could not be read or kept. An order stops at such a step instead of going on without a net.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}")]
pub struct LedgerError {
    /// What was tried, such as `keep the account key`.
    pub what: &'static str,
    /// Why it failed.
    #[source]
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

/// What is known of our account at one authority.
#[derive(Clone, Debug, Default)]
pub struct AccountFacts {
    /// The account's key, PKCS#8 as PEM.
    pub key_pem: Option<Secret<String>>,
    /// The account's URL; without it the account is looked up by its key.
    pub url: Option<String>,
    /// A key that was to take the first one's place when we heard last; the authority knows whether it did.
    pub next_key_pem: Option<Secret<String>>,
}

/// Keeps our account at one authority (one directory URL).
pub trait AccountStore: Send + Sync {
    /// What is on disk.
    fn account(&self) -> Result<AccountFacts, LedgerError>;

    /// Keeps a new account key; any URL on disk belonged to another key and is dropped.
    fn keep_account_key(&self, key_pem: &Secret<String>) -> Result<(), LedgerError>;

    /// Keeps the account's URL beside its key.
    fn keep_account_url(&self, url: &str) -> Result<(), LedgerError>;

    /// Drops the URL because the authority no longer knows the account. The key stays.
    fn forget_account_url(&self) -> Result<(), LedgerError>;

    /// Keeps a key that is about to take the account key's place. Both are kept until it is settled which one it is.
    fn keep_next_key(&self, key_pem: &Secret<String>) -> Result<(), LedgerError>;

    /// Settles it: with `took_place` the next key is the account's in one step, and the old one is gone; otherwise the next
    /// key is dropped.
    fn settle_next_key(&self, took_place: bool) -> Result<(), LedgerError>;

    /// Puts the account aside because it was closed for good; the next order makes another.
    fn put_account_aside(&self, why: &str) -> Result<(), LedgerError>;
}

/// An order that was begun and not yet settled.
#[derive(Clone, Debug)]
pub struct InFlight {
    /// The order's URL at the authority.
    pub url: String,
    /// The key of the certificate to come, PKCS#8 as PEM, once it was kept.
    pub key_pem: Option<Secret<String>>,
}

/// Keeps what one need's order at one authority must not forget.
pub trait OrderStore: Send + Sync {
    /// The order that was begun and not yet settled, if there is one.
    fn in_flight(&self) -> Result<Option<InFlight>, LedgerError>;

    /// Notes that the authority is about to be asked for a new order, which counts from then on, whatever becomes of it.
    fn count_order(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    /// Keeps a new order's URL, in place of any older order and its key.
    fn keep_order(&self, url: &str) -> Result<(), LedgerError>;

    /// Keeps the key of the certificate that the order in flight will be finalized with.
    fn keep_certificate_key(&self, key_pem: &Secret<String>) -> Result<(), LedgerError>;

    /// Drops the order in flight and its key: the authority called it invalid or no longer knows it, or its
    /// certificate is safe.
    fn forget_order(&self) -> Result<(), LedgerError>;

    /// As [`OrderStore::forget_order`], for one that failed because a name was not proved.
    fn fail_order(&self) -> Result<(), LedgerError> {
        self.forget_order()
    }

    /// The challenge type that worked last for this need.
    fn last_challenge(&self) -> Result<Option<ChallengeKind>, LedgerError>;

    /// Remembers the challenge type that worked.
    fn keep_challenge(&self, kind: ChallengeKind) -> Result<(), LedgerError>;

    /// Notes a record of dns-01 before it is set, so that it is taken away even after a crash.
    fn keep_record(&self, record: &TxtRecord) -> Result<(), LedgerError>;

    /// The record is gone.
    fn forget_record(&self, record: &TxtRecord) -> Result<(), LedgerError>;
}
