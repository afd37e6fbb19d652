//! What has to stand in DNS before the authority is told: the records of dns-01, which are set here and seen everywhere, and
//! the standing ones of dns-persist-01, which must be there already.

use std::sync::Arc;

use instant_acme::Order;
use serde::Deserialize;

use super::authorize::{AuthzStep, Proofs, identifier};
use super::error::OrderCause;
use super::run::{AcmeSession, Run};
use super::select_challenge;
use crate::base::error_chain::ErrorChain;
use crate::base::name::Identifier;
use crate::certs::challenge::dns_persist01::StandingRecord;
use crate::certs::challenge::dns01::{self, Publisher, RecordError};
use crate::certs::issuer::jws::{self, Signer};
use crate::config::settings::ChallengeKind;
use crate::net::dns::Dns;

/// A name that is to be proved by a record.
enum Wanted {
    /// By one that has to be set.
    Set { identifier: Identifier, name: String, value: String },
    /// By one that has to stand; the challenge at this URL says which authority it names.
    Standing { identifier: Identifier, challenge: String },
}

/// What instant-acme does not read of a challenge of dns-persist-01.
#[derive(Deserialize)]
struct PersistChallenge {
    #[serde(default, rename = "issuer-domain-names")]
    issuers: Vec<String>,
    /// Newer authorities say by which URI they know the account here.
    #[serde(default, alias = "accountURI")]
    accounturi: Option<String>,
}

impl Run<'_> {
    /// Returns when every name that is to be proved by a record has one. A name that cannot have it is proved in another way,
    /// if there is one.
    pub(super) async fn publish(&mut self, talk: &AcmeSession, order: &mut Order, proofs: &mut Proofs) -> Result<(), OrderCause> {
        loop {
            let wanted = self.wanted(order, proofs).await?;
            if wanted.is_empty() {
                return Ok(());
            }
            // Each turn places a name's record or crosses a way off, so this ends.
            self.set(&wanted, proofs).await;
            self.look(talk, wanted, proofs).await?;
        }
    }

    async fn wanted(&self, order: &mut Order, proofs: &Proofs) -> Result<Vec<Wanted>, OrderCause> {
        let mut wanted = Vec::new();
        let mut stream = order.authorizations();
        while let Some(handle) = stream.next().await {
            let mut handle = handle?;
            let identifier = identifier(&handle)?;
            if proofs.has(&identifier) {
                continue;
            }
            let AuthzStep::Proof(kind) = self.need(&handle, &identifier)? else { continue };
            let Some(challenge) = handle.challenge(select_challenge::acme_kind(kind)) else { continue };
            match (kind, dns01::record_name(&identifier)) {
                (ChallengeKind::Dns01, Some(name)) => {
                    let value = challenge.key_authorization().dns_value();
                    wanted.push(Wanted::Set { identifier, name, value });
                }
                (ChallengeKind::DnsPersist01, _) => {
                    wanted.push(Wanted::Standing { identifier, challenge: challenge.url.clone() });
                }
                _ => (),
            }
        }
        Ok(wanted)
    }

    /// Sets all records before the first is waited for.
    async fn set(&mut self, wanted: &[Wanted], proofs: &mut Proofs) {
        let mut set = Vec::new();
        let mut publisher = None;
        for one in wanted {
            let Wanted::Set { identifier, name, value } = one else { continue };
            let publisher = match &mut publisher {
                Some(publisher) => publisher,
                none => {
                    let new = Publisher::new(&self.job.acme, self.account.http().clock()).await;
                    none.insert(new.map(Arc::new).map_err(Arc::new))
                }
            };
            let placed = match publisher {
                Ok(publisher) => publisher.set(self.board, name, value, self.ledger).await.map_err(Arc::new),
                Err(why) => Err(Arc::clone(why)),
            };
            match placed {
                Ok(placed) => set.push((identifier.clone(), name.clone(), placed)),
                Err(why) => self.cross_off(identifier.clone(), ChallengeKind::Dns01, why),
            }
        }
        let Some(Ok(publisher)) = publisher else { return };
        for (identifier, name, placed) in set {
            match publisher.until_seen(self.board, &name, &placed).await {
                Ok(()) => proofs.placed.push((identifier, placed)),
                Err(why) => self.cross_off(identifier, ChallengeKind::Dns01, Arc::new(why)),
            }
        }
    }

    /// Looks whether the standing records stand. Where nobody can be asked, the authority shall say.
    async fn look(&mut self, talk: &AcmeSession, wanted: Vec<Wanted>, proofs: &mut Proofs) -> Result<(), OrderCause> {
        for one in wanted {
            let Wanted::Standing { identifier, challenge } = one else { continue };
            let Some(record) = self.standing(talk, &identifier, &challenge).await? else { continue };
            let now = self.account.http().now();
            let published = match Dns::configured(&self.job.acme.resolvers).await {
                Ok(dns) => record.is_published(&dns, now).await,
                Err(error) => Err(error),
            };
            match published {
                Ok(false) => {
                    let why = RecordError::NotStanding { text: record.text(), name: record.name };
                    self.cross_off(identifier, ChallengeKind::DnsPersist01, Arc::new(why));
                }
                Ok(true) => proofs.standing.push(identifier),
                Err(error) => {
                    tracing::info!(event = "dns_record_unknown", record = record.name, error = %ErrorChain(&error), "whether {} is at every name server cannot be seen from here", record.name);
                    proofs.standing.push(identifier);
                }
            }
        }
        Ok(())
    }

    async fn standing(
        &self,
        talk: &AcmeSession,
        identifier: &Identifier,
        url: &str,
    ) -> Result<Option<StandingRecord>, OrderCause> {
        let account = &talk.registered;
        let answer = jws::post(self.account.http(), &account.key, Signer::Account(&account.url), url, None).await?;
        let challenge: PersistChallenge =
            serde_json::from_slice(answer.body()).map_err(|_| OrderCause::Http(answer.garbage()))?;
        let uri = challenge.accounturi.unwrap_or_else(|| account.url.clone());
        // A name and its wildcard in one order share one record: it is asked for once, as the wildcard needs it.
        let is_its_wildcard =
            |one: &&Identifier| matches!((one, identifier), (Identifier::Wildcard(a), Identifier::Dns(b)) if a == b);
        let widest = self.job.identifiers.iter().find(is_its_wildcard).unwrap_or(identifier);
        Ok(StandingRecord::of(widest, challenge.issuers, uri))
    }

    fn cross_off(&mut self, identifier: Identifier, kind: ChallengeKind, why: Arc<RecordError>) {
        tracing::warn!(event = "dns_record_failed", name = %identifier, challenge = %kind, error = %ErrorChain(&*why), "{identifier}: its record for {kind} could not be set: {}", ErrorChain(&*why));
        self.unplaced.push((identifier, kind, why));
    }
}
