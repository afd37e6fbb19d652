//! Errands at authorities, each a task of its own, so that the manager goes on turning. The answer goes straight to who
//! asked; only a revocation changes what the manager knows.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot::Sender;

use super::super::events;
use super::super::operation::{AccountDone, AccountRequest, ErrandError, Operation, OperationResult, Revoked, Trial};
use super::{ManagerState, STATE_TIMEOUT};
use crate::base::error_chain::ErrorChain;
use crate::base::name::Identifier;
use crate::base::task;
use crate::certs::cert_cache::CachedCert;
use crate::certs::desired::{Authority, Source};
use crate::certs::inventory::Doing;
use crate::certs::issuer::account::{AccountShown, AcmeAccount, Closed};
use crate::certs::issuer::acme::{self, OrderCause, OrderError, OrderJob, Step};
use crate::certs::issuer::order_store::OrderStore;
use crate::certs::issuer::revoke::{self, Reason};
use crate::certs::order_task::memory_store::MemoryOrderStore;
use crate::certs::plan::{self, Next};
use crate::certs::status;
use crate::config::settings::Acme;
use crate::state::pem_store::Slot;

/// For one question to an authority.
const QUESTION: Duration = Duration::from_secs(120);
/// For an order that is only tried.
const TRIAL: Duration = Duration::from_secs(600);
/// Failed proofs of one name that a try may cost: each challenge has its turn.
const MAX_FAILURES: usize = 3;

impl ManagerState {
    pub(super) async fn run(&mut self, errand: Operation) {
        match errand {
            Operation::Revoke(name, reason, reply) => self.revoke(&name, reason, reply),
            Operation::Try(name, directory, reply) => match self.trial(&name, directory) {
                Ok(trial) => self.spawn_errand("certificate-trial", reply, trial),
                Err(error) => answer(reply, Err(error)),
            },
            Operation::Account(wish, issuer, reply) => match self.account_errand(wish, issuer.as_deref()).await {
                Ok(errand) => self.spawn_errand("account-errand", reply, errand),
                Err(error) => answer(reply, Err(error)),
            },
            Operation::Accounts(reply) => {
                let shown = self.shown_accounts().await;
                self.spawn_errand("accounts-show", reply, shown);
            }
        }
    }

    fn spawn_errand<T: 'static>(&mut self, name: &'static str, reply: Sender<T>, work: impl Future<Output = T> + 'static) {
        self.workers.push(task::spawn_local(name, async move { answer(reply, work.await) }));
    }

    fn revoke(&mut self, name: &str, reason: Reason, reply: Sender<Result<Revoked, ErrandError>>) {
        let (id, from, shelved) = match self.revocable(name) {
            Ok(found) => found,
            Err(error) => return answer(reply, Err(error)),
        };
        let account = self.account_at(&from);
        let to = self.answered.0.clone();
        self.workers.push(task::spawn_local("revocation", async move {
            let leaf = &shelved.bundle.certified().cert[0];
            let came = within(QUESTION, revoke::revoke(&account, leaf, &shelved.key, reason)).await;
            let serial = shelved.bundle.serial().to_owned();
            // A manager that is ordering_allowed takes nothing in, and its asker is told that it stops.
            let _ended = to.send(OperationResult { id, serial, reason, came, reply });
        }));
    }

    /// The certificate that is served for a name, with the authority that issued it.
    fn revocable(&self, name: &str) -> Result<(Slot, Authority, CachedCert), ErrandError> {
        let need = self.wanted(name).ok_or_else(|| ErrandError::Unknown(name.to_owned()))?;
        let not_revocable = |from: String, remedy| ErrandError::NotRevocable { name: name.to_owned(), from, remedy };
        let authorities = match &need.source {
            Source::Acme(authorities) => authorities,
            Source::Local => {
                return Err(not_revocable("the local authority".to_owned(), "`doorward certs renew` makes another by a new key"));
            }
            Source::Files { chain, .. } => {
                return Err(not_revocable(chain.display().to_string(), "ask who issued it, and replace the files"));
            }
        };
        let shelved = self.cache.get(&need.id).ok_or_else(|| ErrandError::NothingHeld(name.to_owned()))?;
        let issuer = shelved.slot.as_ref().map(|slot| &slot.issuer);
        let from = authorities.iter().find(|authority| Some(&authority.issuer) == issuer);
        let from = from.ok_or_else(|| ErrandError::NothingHeld(name.to_owned()))?;
        Ok((need.id.clone(), from.clone(), shelved.clone()))
    }

    /// The authority has answered: the successor is due at once, over a crash as well.
    pub(super) async fn take_answer(&mut self, answered: OperationResult) {
        let OperationResult { id, serial, reason, came, reply } = answered;
        if let Err(error) = came {
            return answer(reply, Err(error));
        }
        let now = self.clock.now();
        self.book.revoked(&id, &serial, now);
        self.remember(&id, None).await;
        let need = self.needs.iter().find(|need| need.id == id);
        let successor = need.and_then(|need| match plan::next(need, &self.book, now) {
            Next::Wait(..) => {
                let told =
                    status::statuses(std::slice::from_ref(need), &self.book, &self.cache, &self.board.waits, now).remove(0);
                Some((told.next_attempt.unwrap_or_default(), told.next_why))
            }
            Next::Act(_) | Next::Nothing => None,
        });
        if let Some(need) = need {
            events::revoked(need, &serial, reason);
        }
        answer(reply, Ok(Revoked { serial, successor }));
    }

    /// The whole issuance at a test directory, for a configured name or one that is only thought of.
    fn trial(
        &mut self,
        name: &str,
        directory: Option<String>,
    ) -> Result<impl Future<Output = Result<Trial, ErrandError>> + use<>, ErrandError> {
        let (identifiers, acme) = self.names_to_try(name)?;
        let at = test_place(acme, directory)?;
        let job = OrderJob { acme: Arc::clone(&at.acme), identifiers, replaces: None, most_failures: MAX_FAILURES };
        let account = self.account_at(&at);
        let board = Arc::clone(&self.board);
        let ledger: Arc<dyn OrderStore> = Arc::new(MemoryOrderStore::new(Arc::clone(&self.store), at.issuer.clone()));
        Ok(async move {
            let late = || failed("the order was not done within 10 minutes".to_owned(), None);
            let ordered = tokio::time::timeout(TRIAL, acme::order(&job, &account, &ledger, &board)).await.map_err(|_| late())?;
            let issued = ordered.map_err(|error| {
                let cause = error.likely_cause().map(|cause| format!("; likely cause: {cause}")).unwrap_or_default();
                failed(format!("{}{cause}", ErrorChain(&error)), error.remedy())
            })?;
            Ok(Trial {
                names: job.identifiers.iter().map(ToString::to_string).collect(),
                directory: job.acme.directory.clone(),
                proved_by: issued.proved_by.map(|kind| kind.to_string()),
                failed: issued.failed.iter().map(ToString::to_string).collect(),
            })
        })
    }

    fn names_to_try(&self, name: &str) -> Result<(Vec<Identifier>, Arc<Acme>), ErrandError> {
        if let Some(need) = self.wanted(name) {
            return match &need.source {
                Source::Acme(authorities) => Ok((need.names.clone(), Arc::clone(&authorities[0].acme))),
                Source::Local => Err(ErrandError::Local(name.to_owned())),
                Source::Files { .. } => Ok((need.names.clone(), Arc::clone(&self.acme))),
            };
        }
        let identifier = Identifier::parse(name).map_err(|error| failed(error.to_string(), None))?;
        match identifier.is_local() {
            true => Err(ErrandError::Local(name.to_owned())),
            false => Ok((vec![identifier], Arc::clone(&self.acme))),
        }
    }

    async fn account_errand(
        &mut self,
        wish: AccountRequest,
        issuer: Option<&str>,
    ) -> Result<impl Future<Output = Result<AccountDone, ErrandError>> + use<>, ErrandError> {
        let known = self.authorities_in_use().await;
        let names = || known.iter().map(|authority| authority.acme.directory.clone()).collect::<Vec<_>>();
        let fits = |authority: &&Authority, wanted: &str| {
            authority.acme.directory.contains(wanted) || authority.issuer.as_str().contains(wanted)
        };
        let chosen: Vec<&Authority> = match issuer {
            Some(wanted) => known.iter().filter(|authority| fits(authority, wanted)).collect(),
            None => known.iter().collect(),
        };
        let authority = match (chosen.as_slice(), issuer) {
            ([one], _) => (*one).clone(),
            ([], Some(wanted)) => return Err(ErrandError::NoSuchIssuer { wanted: wanted.to_owned(), known: names() }),
            ([], None) => return Err(ErrandError::NoAuthority),
            ([_, _, ..], _) => return Err(ErrandError::Which(names())),
        };
        let directory = authority.acme.directory.clone();
        let doing = self.book.records.values().filter_map(|record| record.doing.as_ref());
        let is_order = |doing: &&Doing| !matches!(doing, Doing::Looking(_));
        let orders = doing.filter(is_order).filter(|doing| *doing.issuer() == authority.issuer).count();
        if orders > 0 {
            return Err(ErrandError::Busy { directory, orders });
        }
        let account = self.account_at(&authority);
        Ok(async move {
            let (thumbprint, note) = match wish {
                AccountRequest::RollKey => (Some(Box::pin(within(QUESTION, account.roll_key())).await?), None),
                AccountRequest::Deactivate => (None, note_of(within(QUESTION, account.deactivate()).await?)),
            };
            Ok(AccountDone { directory, thumbprint, note })
        })
    }

    async fn shown_accounts(&mut self) -> impl Future<Output = Vec<AccountShown>> + use<> {
        let known = self.authorities_in_use().await;
        let accounts: Vec<Arc<AcmeAccount>> = known.iter().map(|authority| self.account_at(authority)).collect();
        async move {
            let mut shown = Vec::new();
            for account in accounts {
                let directory = account.http().directory_url().to_owned();
                let late =
                    AccountShown { directory, error: Some("it gave no answer in time".to_owned()), ..AccountShown::default() };
                shown.push(tokio::time::timeout(QUESTION / 4, account.show()).await.unwrap_or(late));
            }
            shown
        }
    }

    /// Every authority that a need may turn to, each once; staging ones where there is an account already, as far as the state
    /// folder answers.
    pub(super) async fn authorities_in_use(&self) -> Vec<Authority> {
        let mut known: Vec<(Authority, Option<PathBuf>)> = Vec::new();
        let configured = self.needs.iter().flat_map(|need| match &need.source {
            Source::Acme(authorities) => authorities.clone(),
            Source::Local | Source::Files { .. } => Vec::new(),
        });
        for authority in configured {
            let folder = |at: &Authority| self.store.vault().account_folder(&at.issuer);
            let staging = authority.rehearsal().map(|at| (folder(&at), at)).map(|(folder, at)| (at, Some(folder)));
            for (one, folder) in std::iter::once((authority, None)).chain(staging) {
                match known.iter_mut().find(|(other, _)| other.issuer == one.issuer) {
                    // One that a need turns to needs no account yet.
                    Some((_, required)) => *required = required.take().filter(|_| folder.is_some()),
                    None => known.push((one, folder)),
                }
            }
        }
        let folders: Vec<PathBuf> = known.iter().filter_map(|(_, folder)| folder.clone()).collect();
        let watch = self.store.vault().watch().clone();
        let look = move || -> BTreeSet<PathBuf> {
            let exists = |folder: &PathBuf| watch.begin("look at", folder).is_ok_and(|_call| folder.exists());
            folders.into_iter().filter(exists).collect()
        };
        let there = self.on_state("accounts-look", STATE_TIMEOUT, look).await.unwrap_or_default();
        let is_in_use = |folder: &Option<PathBuf>| folder.as_ref().is_none_or(|folder| there.contains(folder));
        known.into_iter().filter(|(_, folder)| is_in_use(folder)).map(|(authority, _)| authority).collect()
    }
}

/// Where an order can be tried: the named directory, else the authority's staging one, else itself if it is one.
fn test_place(acme: Arc<Acme>, directory: Option<String>) -> Result<Authority, ErrandError> {
    match directory {
        Some(directory) if directory == acme.directory && !acme.staging => Err(ErrandError::NotATest(directory)),
        Some(directory) => Ok(Authority::new(Arc::new(Acme {
            directory,
            staging: true,
            eab: None,
            preferred_root: None,
            rehearsal: None,
            fallback: Vec::new(),
            ..(*acme).clone()
        }))),
        None if acme.staging => Ok(Authority::new(acme)),
        None => Authority::new(Arc::clone(&acme)).rehearsal().ok_or_else(|| ErrandError::NoTestDirectory(acme.directory.clone())),
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, OrderCause>>) -> Result<T, ErrandError> {
    match tokio::time::timeout(limit, work).await {
        Ok(came) => came.map_err(|cause| {
            let error = OrderError { step: Step::Account, cause, failed: Vec::new() };
            failed(ErrorChain(&error.cause).to_string(), error.remedy())
        }),
        Err(_) => Err(failed("the authority gave no answer within 2 minutes".to_owned(), None)),
    }
}

fn note_of(closed: Closed) -> Option<String> {
    match closed {
        Closed::Deactivated => None,
        Closed::Gone => Some("the authority did not know the account any more, or had closed it itself".to_owned()),
        Closed::OtherKey(url) => Some(format!(
            "the authority does not take its key any more, so {url} is not closed by this: its key was replaced since this state \
             folder was saved. Whoever has the newer key can close it"
        )),
    }
}

fn failed(words: String, remedy: Option<String>) -> ErrandError {
    ErrandError::Failed { words, remedy }
}

/// Who asked may have ordering_allowed.
fn answer<T>(reply: Sender<T>, came: T) {
    let _nobody_waits = reply.send(came);
}
