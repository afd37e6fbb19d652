//! What orders are waiting for at this moment outside of their authority: a program that sets a DNS record, a record that
//! spreads. A wait that is not named looks like an authority that does not answer.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::base::duration;
use crate::base::mutex::lock;

/// A wait longer than this is logged.
const REPORT_AFTER: Duration = Duration::from_secs(30);

/// Waits by number.
#[derive(Debug, Default)]
pub(in crate::certs) struct Waits(Mutex<(u64, BTreeMap<u64, Wait>)>);

/// One wait.
#[derive(Clone, Debug)]
struct Wait {
    /// The record it is about, as the order knows it.
    record: String,
    /// What is waited for.
    what: String,
    since: Instant,
    /// When it ends by itself.
    limit: Duration,
}

impl Waits {
    /// Runs `work` while its wait is listed, and logs it once it takes long. `record` is the record that it is for.
    pub(in crate::certs) async fn named<T>(
        &self,
        record: &str,
        what: String,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> T {
        let number = {
            let mut waits = self.lock();
            waits.0 += 1;
            let number = waits.0;
            let wait = Wait { record: record.to_owned(), what: what.clone(), since: Instant::now(), limit };
            waits.1.insert(number, wait);
            number
        };
        // Removed when it is done, and when its order is dropped.
        let _listed = Listed { waits: self, number };
        let mut work = std::pin::pin!(work);
        match timeout(REPORT_AFTER, &mut work).await {
            Ok(done) => done,
            Err(_) => {
                let (seconds, limit) = (REPORT_AFTER.as_secs(), duration::rough(limit));
                tracing::warn!(event = "waiting", record, "waiting for {what} for {seconds} s; it is ended after {limit}");
                work.await
            }
        }
    }

    /// The longest wait for one of these records, in words.
    pub(in crate::certs) fn of(&self, records: &[String]) -> Option<String> {
        let waits = self.lock();
        let wait = waits.1.values().filter(|wait| records.contains(&wait.record)).min_by_key(|wait| wait.since)?;
        let (waited, limit) = (wait.since.elapsed().as_secs(), duration::rough(wait.limit));
        Some(format!("waiting for {} for {waited} s (ended after {limit})", wait.what))
    }

    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Wait>)> {
        lock(&self.0)
    }
}

struct Listed<'a> {
    waits: &'a Waits,
    number: u64,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.waits.lock().1.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_is_named_for_as_long_as_it_lasts() {
        let (waits, record) = (Waits::default(), "_acme-challenge.a.example".to_owned());
        let records = [record.clone(), "_acme-challenge.b.example".to_owned()];
        let work = tokio::time::sleep(Duration::from_secs(60));
        let wait = waits.named(&record, "'/bin/hook set'".to_owned(), Duration::from_secs(120), work);
        let look = async {
            tokio::time::sleep(Duration::from_secs(50)).await;
            waits.of(&records)
        };
        let ((), said) = tokio::join!(wait, look);
        assert_eq!(said.as_deref(), Some("waiting for '/bin/hook set' for 50 s (ended after 2min)"));
        assert_eq!(waits.of(&records), None, "it is over");
        // One that is dropped is over as well.
        let endless = waits.named(&record, "the record".to_owned(), Duration::MAX, std::future::pending::<()>());
        assert!(timeout(Duration::from_secs(1), endless).await.is_err());
        assert_eq!(waits.of(&records), None);
    }
}
