//! Proving the names of an order: proofs on the board, then the challenges, then the authority's verdict.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    AuthorizationHandle, AuthorizationStatus, ChallengeHandle, ChallengeStatus, Error, KeyAuthorization, Order, OrderStatus,
};

use super::error::{FailedProof, OrderCause, Step};
use super::retry::{Repeat, call};
use super::run::{AcmeSession, Run};
use super::select_challenge;
use crate::base::name::Identifier;
use crate::base::task;
use crate::certs::challenge::dns01::Placed;
use crate::certs::challenge::{HttpProof, Posted, stand_in, tls_alpn01};
use crate::config::settings::ChallengeKind;

/// For the authority's verdict, from several places of the world.
const VERDICT: Duration = Duration::from_secs(180);

/// How long a proof stays after the authority was told of it and the try ended without a verdict: the authority may look
/// at any moment, and a proof that is gone by then is a failed validation. The next try posts it again.
const LINGERING: Duration = Duration::from_secs(900);

/// How often the challenges are told again when the telling was lost.
const MAX_ROUNDS: usize = 3;

/// What stands for the authority to see. It falls, and the proofs with it, when the verdict is there.
#[derive(Default)]
pub(super) struct Proofs {
    posted: Vec<Posted>,
    pub(super) placed: Vec<(Identifier, Placed)>,
    /// Names with a record that nobody has to set.
    pub(super) standing: Vec<Identifier>,
}

impl Proofs {
    /// Leaves what listeners show where it is for [`LINGERING`]. DNS records are taken away: the next try sets the very same
    /// ones, and they would be taken away under it.
    fn linger(&mut self) {
        let posted = std::mem::take(&mut self.posted);
        if posted.is_empty() {
            return;
        }
        task::spawn_local("proofs-linger", async move {
            tokio::time::sleep(LINGERING).await;
            drop(posted);
        });
    }

    /// Whether a name's record is there.
    pub(super) fn has(&self, identifier: &Identifier) -> bool {
        self.standing.contains(identifier) || self.placed.iter().any(|(name, _)| name == identifier)
    }
}

/// What the authority knows of an authorization that needs a proof.
pub(super) enum AuthzStep {
    /// It is proved already.
    Nothing,
    /// It will never be.
    Dead,
    /// By this kind.
    Proof(ChallengeKind),
}

impl Run<'_> {
    /// Proves every name that is not proved yet. `false` when a proof failed and there is another way to try, for which
    /// the authority wants a new order.
    pub(super) async fn prove(&mut self, talk: &AcmeSession, order: &mut Order) -> Result<bool, OrderCause> {
        self.step = Step::Prove;
        let mut proofs = Proofs::default();
        let mut alive = true;
        for round in 1..=MAX_ROUNDS {
            load(order).await?;
            self.publish(talk, order, &mut proofs).await?;
            match self.tell(order, &mut proofs).await {
                Ok(all) => {
                    alive = all;
                    break;
                }
                Err(cause) if cause.is_passing() && round < MAX_ROUNDS => {
                    call(Repeat::Freely, async || order.refresh().await.map(|_| ())).await?;
                }
                Err(cause) => return Err(cause),
            }
        }
        let verdict = match alive {
            true => match self.poll(talk, order, VERDICT, |status| status != OrderStatus::Pending).await {
                Ok(status) => status,
                Err(cause) => {
                    proofs.linger();
                    return Err(cause);
                }
            },
            false => OrderStatus::Invalid,
        };
        drop(proofs);
        if verdict == OrderStatus::Invalid {
            self.learn(order).await?;
            return Ok(false);
        }
        self.remember().await;
        Ok(true)
    }

    /// Posts each proof that is missing and tells the authority of it. `false` when an authorization is beyond proof.
    async fn tell(&mut self, order: &mut Order, proofs: &mut Proofs) -> Result<bool, OrderCause> {
        let mut stream = order.authorizations();
        while let Some(handle) = stream.next().await {
            let mut handle = handle?;
            let identifier = identifier(&handle)?;
            let kind = match self.need(&handle, &identifier)? {
                AuthzStep::Nothing => continue,
                AuthzStep::Dead => return Ok(false),
                AuthzStep::Proof(kind) => kind,
            };
            let Some(mut challenge) = handle.challenge(select_challenge::acme_kind(kind)) else { continue };
            if !matches!(kind, ChallengeKind::Dns01 | ChallengeKind::DnsPersist01) {
                proofs.posted.push(self.post(kind, &identifier, &challenge.token, &challenge.key_authorization())?);
                if kind == ChallengeKind::Http01 {
                    proofs.posted.extend(stand_in::publish(self.board, &identifier, self.account.http().now()));
                }
            }
            self.proved_by = Some(kind);
            if challenge.status == ChallengeStatus::Pending {
                ready(&mut challenge).await?;
            }
        }
        Ok(true)
    }

    pub(super) fn need(&self, handle: &AuthorizationHandle<'_>, identifier: &Identifier) -> Result<AuthzStep, OrderCause> {
        match handle.status {
            AuthorizationStatus::Valid => return Ok(AuthzStep::Nothing),
            AuthorizationStatus::Pending => (),
            _ => return Ok(AuthzStep::Dead),
        }
        let offers = |kind: &ChallengeKind| handle.challenges.iter().any(|one| one.r#type == select_challenge::acme_kind(*kind));
        let allowed = select_challenge::allowed(identifier, &self.job.acme.challenges, self.last);
        let mut usable = self.usable(identifier);
        usable.retain(offers);
        // A resumed order goes on with the challenge the authority was told of.
        let begun = handle.challenges.iter().find(|one| one.status == ChallengeStatus::Processing);
        if let Some(kind) = begun.and_then(|one| select_challenge::our_kind(&one.r#type)).filter(|kind| usable.contains(kind)) {
            return Ok(AuthzStep::Proof(kind));
        }
        match select_challenge::next(identifier, &usable, &self.failed, self.job.most_failures) {
            Some(kind) => Ok(AuthzStep::Proof(kind)),
            None => match self.unplaced.iter().find(|(name, ..)| name == identifier) {
                Some((.., why)) => Err(Arc::clone(why).into()),
                None => {
                    let offered = handle.challenges.iter().filter_map(|one| select_challenge::our_kind(&one.r#type));
                    let offered = offered.map(|kind| kind.to_string()).collect();
                    Err(OrderCause::NoChallenge { identifier: identifier.clone(), offered, allowed })
                }
            },
        }
    }

    /// What may prove a name and was not found impossible in this call.
    fn usable(&self, identifier: &Identifier) -> Vec<ChallengeKind> {
        let mut usable = select_challenge::allowed(identifier, &self.job.acme.challenges, self.last);
        usable.retain(|kind| !self.unplaced.iter().any(|(name, of, _)| name == identifier && of == kind));
        usable
    }

    fn post(
        &self,
        kind: ChallengeKind,
        identifier: &Identifier,
        token: &str,
        key: &KeyAuthorization,
    ) -> Result<Posted, OrderCause> {
        if kind == ChallengeKind::TlsAlpn01 {
            let digest = key.digest().as_ref().try_into().expect("a SHA-256 digest has 32 bytes");
            let proof = tls_alpn01::certificate(identifier, &digest, self.account.http().now())?;
            return Ok(self.board.post_alpn(&tls_alpn01::server_name(identifier), proof)?);
        }
        let proof = HttpProof { identifier: identifier.clone(), key_authorization: key.as_str().to_owned() };
        Ok(self.board.post_http(token, proof)?)
    }

    /// Takes down which proofs failed, drops the order, and gives up where there is no other way to try.
    async fn learn(&mut self, order: &mut Order) -> Result<(), OrderCause> {
        self.proved_by = None;
        call(Repeat::Freely, async || order.refresh().await.map(|_| ())).await?;
        load(order).await?;
        let known = self.failed.len();
        let mut stream = order.authorizations();
        while let Some(handle) = stream.next().await {
            let handle = handle?;
            self.failed.extend(failure(&handle)?);
        }
        let problem = order.state().error.clone();
        self.keep("forget order", |ledger| ledger.fail_order()).await?;
        let resumed = std::mem::take(&mut self.resumed);
        if self.failed.len() == known {
            // An order of an earlier call may have grown too old to be proved. That is nobody's failure.
            if resumed {
                return Ok(());
            }
            return Err(OrderCause::Invalid(problem));
        }
        for failed in &self.failed[known..] {
            tracing::info!(event = "proof_failed", name = %failed.identifier, challenge = %failed.kind, said = %failed, "{failed}");
            let usable = self.usable(&failed.identifier);
            if select_challenge::next(&failed.identifier, &usable, &self.failed, self.job.most_failures).is_none() {
                return Err(OrderCause::Proof(Box::new(failed.clone())));
            }
        }
        Ok(())
    }

    async fn remember(&self) {
        let Some(kind) = self.proved_by.filter(|kind| Some(*kind) != self.last) else { return };
        // It only saves a failed proof next time: no reason to fail this order.
        if let Err(error) = self.keep("keep challenge", move |ledger| ledger.keep_challenge(kind)).await {
            tracing::warn!(event = "challenge_not_remembered", %error, "which challenge worked is not remembered: {error}");
        }
    }
}

/// Fetches every authorization that is not known yet.
async fn load(order: &mut Order) -> Result<(), OrderCause> {
    call(Repeat::Freely, async || {
        let mut stream = order.authorizations();
        while let Some(handle) = stream.next().await {
            handle?;
        }
        Ok::<(), Error>(())
    })
    .await
}

async fn ready(challenge: &mut ChallengeHandle<'_>) -> Result<(), OrderCause> {
    match call(Repeat::IfUnsent, async || challenge.set_ready().await).await {
        // A telling that was thought lost had arrived; or the challenge failed at once. The verdict says which.
        Err(OrderCause::Problem(_)) => Ok(()),
        Err(cause) if cause.acme_type() == Some("malformed") => Ok(()),
        result => result,
    }
}

pub(super) fn identifier(handle: &AuthorizationHandle<'_>) -> Result<Identifier, OrderCause> {
    let text = handle.identifier().to_string();
    Identifier::parse(&text).map_err(|_| OrderCause::Form(Error::Str("an authorization for something that is no name")))
}

fn failure(handle: &AuthorizationHandle<'_>) -> Result<Option<FailedProof>, OrderCause> {
    if handle.status != AuthorizationStatus::Invalid {
        return Ok(None);
    }
    let identifier = identifier(handle)?;
    let is_failed = |status| status == ChallengeStatus::Invalid;
    let challenge = handle.challenges.iter().find(|one| one.error.is_some() || is_failed(one.status));
    Ok(challenge.and_then(|one| {
        let kind = select_challenge::our_kind(&one.r#type)?;
        Some(FailedProof { kind, identifier, problem: one.error.clone() })
    }))
}
