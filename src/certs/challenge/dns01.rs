//! dns-01 (RFC 8555 section 8.4): TXT records that others set for us, seen at the zone's own servers before the authority
//! is told, and taken away whatever becomes of the order.
//!
//! A record is in the journal before it is set and until it is gone, so that one a crash left behind is taken away at the
//! next start. Values of one name stand side by side: a name and its wildcard need two at once. Changes of one name go
//! one after the other, because many services can only replace all values of a name together.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::ChallengeBoard;
use crate::base::error_chain::ErrorChain;
use crate::base::name::Identifier;
use crate::base::task;
use crate::base::time::Clock;
use crate::certs::issuer::order_store::OrderStore;
use crate::config::settings::{Acme, DnsProvider, Propagation};
use crate::net::dns::Dns;
use crate::state::schema::TxtRecord;

mod change;
pub(in crate::certs) mod cleanup;
mod error;
pub(super) mod name_lock;
pub mod propagation;
mod provider;

pub use error::RecordError;

use name_lock::NameLockGuard;
use propagation::Spread;

/// How long a record is waited for. Slow services take some minutes until all of their servers have it.
const PROPAGATION: Duration = Duration::from_secs(300);
/// The same where no name server can be queried.
const UNASKED: Duration = Duration::from_secs(60);
/// Waits before a record that could not be taken away is tried again; after the last it is left to the next start.
const UNSET_AGAIN: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(15)];

/// Where the authority looks for the proof of an identifier; an address has no such place.
pub fn record_name(identifier: &Identifier) -> Option<String> {
    match identifier {
        Identifier::Dns(name) | Identifier::Wildcard(name) => Some(format!("_acme-challenge.{name}")),
        Identifier::Ip(_) => None,
    }
}

/// Sets records as one configuration says.
pub(in crate::certs) struct Publisher {
    provider: DnsProvider,
    propagation: Propagation,
    dns: Dns,
    clock: Arc<dyn Clock>,
}

impl Publisher {
    /// As `acme` says.
    pub(in crate::certs) async fn new(acme: &Acme, clock: Arc<dyn Clock>) -> Result<Self, RecordError> {
        let provider = acme.dns.clone().ok_or(RecordError::NoWay)?;
        let dns = Dns::configured(&acme.resolvers).await.map_err(RecordError::NoResolver)?;
        Ok(Self { provider, propagation: acme.propagation, dns, clock })
    }

    /// Sets a record for as long as the guard lives. Aliases of the name are followed: whoever delegates
    /// `_acme-challenge` to another zone has the record set there.
    pub(in crate::certs) async fn set(
        self: &Arc<Self>,
        board: &ChallengeBoard,
        name: &str,
        value: &str,
        ledger: &Arc<dyn OrderStore>,
    ) -> Result<Placed, RecordError> {
        let asked = name;
        let name = self.canonical(name).await;
        let record = TxtRecord { name, value: value.to_owned() };
        let turn = board.turns.of(&record.name);
        let mut uses = turn.lock().await;
        let first = uses.begin(&record.value);
        // From here on, whatever happens, the guard takes the record away.
        let placed =
            Placed(Some(Standing { publisher: Arc::clone(self), turn: Arc::clone(&turn), record, ledger: Arc::clone(ledger) }));
        if first {
            let Some(Standing { record, .. }) = &placed.0 else { return Ok(placed) };
            self.keep(ledger, record, true).await?;
            let (what, limit) = self.change_in_words(record);
            board.waits.named(asked, what, limit, self.change(record, true)).await?;
            tracing::info!(event = "dns_record_set", record = record.name, "the record {} is set", record.name);
        }
        drop(uses);
        Ok(placed)
    }

    /// Waits as `propagation` says; by itself until every server of the zone has the record.
    pub(in crate::certs) async fn until_seen(
        &self,
        board: &ChallengeBoard,
        asked: &str,
        placed: &Placed,
    ) -> Result<(), RecordError> {
        let Some(Standing { record, .. }) = &placed.0 else { return Ok(()) };
        match self.propagation {
            Propagation::Off => return Ok(()),
            Propagation::Wait(span) => {
                let what = format!("the time of `propagation wait` for the record {}", record.name);
                board.waits.named(asked, what, span, tokio::time::sleep(span)).await;
                return Ok(());
            }
            Propagation::Check => (),
        }
        let what = format!("the record {} at the zone's name servers", record.name);
        let seen = propagation::until_seen(&self.dns, record, PROPAGATION, UNASKED);
        match board.waits.named(asked, what, PROPAGATION, seen).await? {
            Spread::Seen => (),
            Spread::Unchecked(why) => tracing::warn!(
                event = "dns_record_unchecked",
                record = record.name,
                "whether the record has reached the zone's name servers cannot be seen from here ({why}); the authority is told \
                 of it after {} s; `propagation wait 60s` sets the time, `propagation off` waits for nothing, and `resolvers` \
                 names servers that can be asked",
                UNASKED.as_secs()
            ),
        }
        Ok(())
    }

    /// The name behind all aliases; the name itself where no name server can be queried (right where there is no alias).
    async fn canonical(&self, name: &str) -> String {
        match self.dns.canonical(name).await {
            Ok(name) => name,
            Err(error) => {
                tracing::warn!(
                    event = "dns_alias_unknown",
                    record = name,
                    error = %ErrorChain(&error),
                    "whether this name is an alias cannot be seen from here; the record is set under the name itself"
                );
                name.to_owned()
            }
        }
    }

    async fn keep(&self, ledger: &Arc<dyn OrderStore>, record: &TxtRecord, there: bool) -> Result<(), RecordError> {
        let (ledger, kept) = (Arc::clone(ledger), record.clone());
        let written = task::blocking("dns-record-note", move || match there {
            true => ledger.keep_record(&kept),
            false => ledger.forget_record(&kept),
        });
        written.await.ok_or(RecordError::Panicked)?.map_err(RecordError::Ledger)
    }
}

/// A record stands for as long as this lives; then it is taken away by a task of its own.
#[must_use = "the record goes with its guard"]
pub(in crate::certs) struct Placed(Option<Standing>);

struct Standing {
    publisher: Arc<Publisher>,
    turn: Arc<NameLockGuard>,
    record: TxtRecord,
    ledger: Arc<dyn OrderStore>,
}

impl Drop for Placed {
    fn drop(&mut self) {
        // Without a runtime the process ends, and the next start takes it away.
        if let (Some(standing), Ok(_)) = (self.0.take(), Handle::try_current()) {
            task::spawn("dns-record-unset", standing.clear());
        }
    }
}

impl Standing {
    async fn clear(self) {
        let mut uses = self.turn.lock().await;
        // Another order may need the same value: authorities hand out a pending authorization twice.
        if !uses.end(&self.record.value) {
            return;
        }
        let mut again = UNSET_AGAIN.into_iter();
        while let Err(error) = self.publisher.change(&self.record, false).await {
            let Some(wait) = again.next() else {
                tracing::warn!(
                    event = "dns_record_left",
                    record = self.record.name,
                    error = %ErrorChain(&error),
                    "it is tried again at the next start"
                );
                return;
            };
            tokio::time::sleep(wait).await;
        }
        tracing::info!(event = "dns_record_unset", record = self.record.name, "the record {} is removed", self.record.name);
        if let Err(error) = self.publisher.keep(&self.ledger, &self.record, false).await {
            tracing::debug!(event = "journal_behind", error = %ErrorChain(&error), "the journal is behind, and is written again with the next change");
        }
    }
}
