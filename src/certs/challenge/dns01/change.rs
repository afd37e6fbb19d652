//! One record set or taken away, by whoever the configuration names.

use std::path::Path;
use std::time::Duration;

use super::provider::{self, Change};
use super::{Publisher, RecordError};
use crate::base::subprocess::{self, Program};
use crate::config::settings::{DnsProvider, Rfc2136, TsigAlgorithm, TsigKey};
use crate::net::dns::update::{self, Update, update};
use crate::state::schema::TxtRecord;

/// For the operator's program. Some wait until the record is everywhere before they end.
const HOOK: Duration = Duration::from_secs(120);

impl Publisher {
    pub(super) async fn change(&self, record: &TxtRecord, present: bool) -> Result<(), RecordError> {
        match &self.provider {
            DnsProvider::Hook(path) => by_hook(path, record, present).await,
            DnsProvider::Rfc2136(rfc2136) => self.by_update(rfc2136, record, present).await,
            DnsProvider::Service { name, parameters } => {
                let zone = self.apex(record).await?;
                provider::change(name, parameters, Change { zone: &zone, record, present }).await
            }
        }
    }

    /// What setting a record waits for, and when that ends by itself.
    pub(super) fn change_in_words(&self, record: &TxtRecord) -> (String, Duration) {
        match &self.provider {
            DnsProvider::Hook(path) => (format!("'{} set {}'", path.display(), record.name), HOOK),
            DnsProvider::Rfc2136(rfc2136) => {
                (format!("the name server {} to take the record {}", rfc2136.server, record.name), HOOK)
            }
            DnsProvider::Service { name, .. } => (format!("{name} to take the record {}", record.name), HOOK),
        }
    }

    async fn by_update(&self, to: &Rfc2136, record: &TxtRecord, present: bool) -> Result<(), RecordError> {
        let zone = match &to.zone {
            Some(zone) => zone.clone(),
            None => self.apex(record).await?,
        };
        let change = Update { server: to.server, zone: &zone, name: &record.name, text: &record.value, present };
        let updated = update(change, to.key.as_ref().map(signing_key), self.clock.now()).await;
        updated.map_err(|source| RecordError::Update { name: record.name.clone(), present, source })
    }

    async fn apex(&self, record: &TxtRecord) -> Result<String, RecordError> {
        self.dns.apex(&record.name).await.map_err(|source| RecordError::Lookup { name: record.name.clone(), source })
    }
}

fn signing_key(key: &TsigKey) -> update::TsigKey<'_> {
    let algorithm = match key.algorithm {
        TsigAlgorithm::HmacSha256 => update::TsigAlgorithm::HmacSha256,
        TsigAlgorithm::HmacSha384 => update::TsigAlgorithm::HmacSha384,
        TsigAlgorithm::HmacSha512 => update::TsigAlgorithm::HmacSha512,
    };
    update::TsigKey { name: &key.name, algorithm, secret: &key.secret }
}

async fn by_hook(path: &Path, record: &TxtRecord, present: bool) -> Result<(), RecordError> {
    let verb = if present { "set" } else { "unset" };
    let ran = subprocess::run(Program {
        path: path.to_owned(),
        arguments: vec![verb.to_owned(), record.name.clone(), record.value.clone()],
        environment: Vec::new(),
        input: String::new(),
        limit: HOOK,
    })
    .await;
    match ran.end.is_success() {
        true => Ok(()),
        false => {
            let end = ran.end.to_string();
            Err(RecordError::Hook { path: path.to_owned(), verb, name: record.name.clone(), end, said: ran.said })
        }
    }
}
