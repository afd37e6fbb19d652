//! Showing what is held: the catalog for handshakes, the status for people, the levels for metrics, and the alarm.

use std::sync::Arc;
use std::time::Duration;

use super::super::tell;
use super::Desk;
use crate::base::time::Timestamp;
use crate::certs::shelf;
use crate::certs::status;
use crate::certs::status::NameStatus;

const DAY: Duration = Duration::from_secs(86_400);

impl Desk {
    /// Publishes a new catalog and status. Whoever looks sees the old ones or the new ones.
    pub(super) fn publish(&mut self) {
        let now = self.clock.now();
        shelf::tidy(&self.needs, &mut self.shelf);
        let book = &self.book;
        let catalog = shelf::catalog(&self.needs, &self.shelf, |need| status::why_coming(need, book));
        self.catalog.store(Arc::new(catalog));
        let statuses = status::statuses(&self.needs, &self.book, &self.shelf, now);
        self.measure(&statuses, now);
        self.status.store(Arc::new(statuses));
    }

    fn measure(&mut self, statuses: &[NameStatus], now: Timestamp) {
        let metrics = &self.metrics.certs;
        let (mut next_expiry, mut held, mut in_danger) = (None::<Timestamp>, 0, 0);
        for (need, status) in self.needs.iter().zip(statuses) {
            let Some(shelved) = self.shelf.get(&need.id) else { continue };
            let validity = shelved.bundle.validity();
            held += 1;
            next_expiry = Some(next_expiry.map_or(validity.not_after, |first| first.min(validity.not_after)));
            if validity.not_after.since(now) >= validity.lifetime() / 6 {
                self.alarmed.remove(&need.id);
                continue;
            }
            in_danger += 1;
            if self.alarmed.get(&need.id).is_none_or(|last| now.since(*last) >= DAY) {
                tell::in_danger(status, validity.not_after);
                self.alarmed.insert(need.id.clone(), now);
            }
        }
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        metrics.held.set(held);
        metrics.missing.set(count(self.needs.len()) - held);
        metrics.in_danger.set(in_danger);
        metrics.next_expiry.set(next_expiry.map_or(0, Timestamp::unix));
        metrics.state_unwritable.set(i64::from(self.unwritable));
    }
}
