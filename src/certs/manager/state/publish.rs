//! Showing what is held: the catalog for handshakes, the status for people, the levels for metrics, and the alarm.

use std::sync::Arc;

use tokio::time::Instant;

use super::super::alert_state::Endangered;
use super::super::events;
use super::ManagerState;
use crate::base::time::Timestamp;
use crate::certs::alert;
use crate::certs::cert_cache;
use crate::certs::status;
use crate::certs::status::NameStatus;

impl ManagerState {
    /// Publishes a new catalog and status. Whoever looks sees the old ones or the new ones.
    pub(super) fn publish(&mut self) {
        let now = self.clock.now();
        cert_cache::tidy(&self.needs, &mut self.cache);
        let book = &self.book;
        let catalog = cert_cache::catalog(&self.needs, &self.cache, |need| status::why_coming(need, book));
        self.catalog.store(Arc::new(self.with_demands(catalog)));
        let mut statuses = status::statuses(&self.needs, &self.book, &self.cache, &self.board.waits, now);
        self.measure(&statuses, now);
        for (need, status) in self.needs.iter().zip(&mut statuses) {
            status.alarmed = self.alarms.raised(&need.id).map(|at| at.to_string());
        }
        self.status.store(Arc::new(statuses));
        (self.stale, self.published) = (false, Instant::now());
    }

    fn measure(&mut self, statuses: &[NameStatus], now: Timestamp) {
        self.look_for_danger(statuses, now);
        let metrics = &self.metrics.certs;
        let (mut next_expiry, mut held, mut in_danger) = (None::<Timestamp>, 0, 0);
        for need in &self.needs {
            let Some(shelved) = self.cache.get(&need.id) else { continue };
            let validity = shelved.bundle.validity();
            held += 1;
            next_expiry = Some(next_expiry.map_or(validity.not_after, |first| first.min(validity.not_after)));
            in_danger += i64::from(alert::is_in_danger(validity, now));
        }
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        metrics.held.set(held);
        metrics.missing.set(count(self.needs.len()) - held);
        metrics.in_danger.set(in_danger);
        metrics.next_expiry.set(next_expiry.map_or(0, Timestamp::unix));
        metrics.state_unwritable.set(i64::from(self.unwritable));
    }

    /// Raises the alarm for certificates whose life runs out: one event for each, one alarm for all that are due now.
    fn look_for_danger(&mut self, statuses: &[NameStatus], now: Timestamp) {
        let mut due = Vec::new();
        for (need, status) in self.needs.iter().zip(statuses) {
            let Some(shelved) = self.cache.get(&need.id) else { continue };
            let validity = shelved.bundle.validity();
            if self.alarms.is_due(&need.id, alert::is_in_danger(validity, now), now, &self.store) {
                let file = status::end_of_files(need, Some(shelved), now);
                match &file {
                    Some(message) => events::file_ends(need, message),
                    None => events::in_danger(status, validity.not_after),
                }
                let said = file.map(|message| message.to_string()).or_else(|| status.last_error.clone());
                let why = said.unwrap_or_else(|| "no try has failed yet".to_owned());
                due.push(Endangered { need, not_after: validity.not_after, why });
            }
        }
        self.alarms.in_danger(&due, now);
    }
}
