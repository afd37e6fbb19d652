//! Performs what the planner decided at an authority, and reports how it came out. A worker decides nothing about what
//! comes next, and whatever becomes of it (a panic, a time-out), its report arrives.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::bundle::CertBundle;
use super::cert_cache::CachedCert;
use super::challenge::ChallengeBoard;
use super::desired::{Authority, DesiredCert};
use super::inventory::{Blame, Failure, Outcome, Parts};
use super::issuer::Rejection;
use super::issuer::account::AcmeAccount;
use super::issuer::acme::{self, Issued, OrderCause, OrderError, OrderJob, Step};
use super::issuer::http::HttpFailure;
use super::issuer::order_store::OrderStore;
use super::issuer::renewal_info;
use super::manager::events;
use super::preflight::PublicPorts;
use super::preflight::finding::Finding;
use super::preflight::order_check::{self, Advice, PreOrderCheck};
use super::preflight::recheck;
use super::rate_limit::{self, OrderLimit};
use crate::base::error_chain::ErrorChain;
use crate::base::secret::Secret;
use crate::base::task;
use crate::base::time::{Clock, ClockReading, Timestamp};
use crate::config::settings::{Acme, ChallengeKind};
use crate::state::history::{Ended, History};
use crate::state::pem_store::Slot;
use crate::state::schema::{Bucket, Remembered};
use crate::state::slug::Slug;
use crate::state::store::Store;

pub(crate) mod durable_store;
pub(crate) mod memory_store;

use durable_store::DurableOrderStore;

/// For one order with everything that belongs to it; what is not done by then is resumed by the next try.
const ORDER_TIMEOUT: Duration = Duration::from_secs(900);
/// For storing a certificate; after that it is served from memory.
const SAVE_TIMEOUT: Duration = Duration::from_secs(10);
/// For the authority's directory before a look of our own; it is remembered for an hour.
const DIRECTORY_TIMEOUT: Duration = Duration::from_secs(5);
/// For one question about a renewal window.
pub(crate) const ARI_TIMEOUT: Duration = Duration::from_secs(120);

/// What an order needs.
pub(crate) struct OrderTask {
    pub(crate) need: DesiredCert,
    pub(crate) from: Authority,
    /// Whether it is only tried: what comes is neither served nor stored.
    pub(crate) rehearsal: bool,
    pub(crate) memory: Remembered,
    /// The renewal id of the certificate that is to be replaced, if the same authority issued it (RFC 9773 section 5).
    pub(crate) replaces: Option<String>,
    pub(crate) account: Arc<AcmeAccount>,
    pub(crate) store: Arc<Store>,
    pub(crate) board: Arc<ChallengeBoard>,
    pub(crate) ports: PublicPorts,
    pub(crate) clock: Arc<dyn Clock>,
}

/// A worker's report.
pub(crate) struct OrderResult {
    /// For which need.
    pub(crate) id: Slot,
    /// How it came out.
    pub(crate) outcome: Outcome,
    /// What was tried, as the ledger counted it.
    pub(crate) tried: Option<OrderAttempt>,
    /// The certificate, if one was issued.
    pub(crate) shelved: Option<CachedCert>,
    /// What a person should know although it went well.
    pub(crate) warning: Option<String>,
    /// Our clock and the authority's as a certificate came.
    pub(crate) reading: Option<ClockReading>,
}

/// What the ledger of a try counted.
pub(crate) struct OrderAttempt {
    pub(crate) history: History,
    pub(crate) worked: Option<String>,
    /// Where the authority limits new orders: what is left of them.
    pub(crate) bucket: Option<(OrderLimit, Bucket)>,
}

/// Sends a report when it falls, if none was sent before: a panic is an outcome, too.
pub(crate) struct Reporter {
    to: UnboundedSender<OrderResult>,
    id: Slot,
    issuer: Slug,
    what: What,
    sent: bool,
}

/// What a worker does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Order,
    ExplainRequest,
    Look,
}

impl Reporter {
    pub(crate) fn new(to: UnboundedSender<OrderResult>, id: Slot, issuer: Slug, asking: bool) -> Self {
        let what = if asking { What::ExplainRequest } else { What::Order };
        Self { to, id, issuer, what, sent: false }
    }

    pub(crate) fn of_look(to: UnboundedSender<OrderResult>, id: Slot, issuer: Slug) -> Self {
        Self { to, id, issuer, what: What::Look, sent: false }
    }

    fn send(mut self, done: OrderResult) {
        self.sent = true;
        // A manager that is gone wants no reports.
        let _ended = self.to.send(done);
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if self.sent {
            return;
        }
        let words = "doorward itself failed while it worked on this certificate; please report it".to_owned();
        let (issuer, parts) = (self.issuer.clone(), Parts::default());
        let failure = Failure { issuer, blame: Blame::Name(None), ended: Ended::Failed, words, parts };
        let outcome = match self.what {
            What::Order => Outcome::Failed(failure),
            What::ExplainRequest => Outcome::WindowUnknown(None),
            What::Look => Outcome::Looked(None),
        };
        let _ended =
            self.to.send(OrderResult { id: self.id.clone(), outcome, tried: None, shelved: None, warning: None, reading: None });
    }
}

/// Obtains a certificate and reports.
pub(crate) async fn obtain(task: OrderTask, report: Reporter) {
    let done = obtain_one(&task).await;
    report.send(done);
}

async fn obtain_one(task: &OrderTask) -> OrderResult {
    let id = task.need.id.clone();
    let issuer = task.from.issuer.clone();
    let slot = Slot { issuer: issuer.clone(), name: id.name.clone() };
    let fail = |blame, ended, words, parts| Outcome::Failed(Failure { issuer: issuer.clone(), blame, ended, words, parts });
    let ledger = match begin(task, &slot).await {
        Ok(ledger) => ledger,
        Err(words) => {
            let remedy =
                "make room in the state folder, or let the gateway's user write there; the rest goes by itself".to_owned();
            let parts = Parts { remedy: Some(remedy), ..Parts::default() };
            let outcome = fail(Blame::LocalAddrs, Ended::NoOrder, words, parts);
            return OrderResult { id, outcome, tried: None, shelved: None, warning: None, reading: None };
        }
    };
    let now = task.clock.now();
    let left = rate_limit::proofs_left(&ledger.history(), now);
    let Advice { acme, found } = advised(task, now).await;
    let job = OrderJob { acme, identifiers: task.need.names.clone(), replaces: task.replaces.clone(), most_failures: left };
    let as_ledger: Arc<dyn OrderStore> = Arc::clone(&ledger) as Arc<dyn OrderStore>;
    let ordered = tokio::time::timeout(ORDER_TIMEOUT, acme::order(&job, &task.account, &as_ledger, &task.board)).await;
    let (outcome, shelved, warning) = match ordered {
        Ok(Ok(_)) if task.rehearsal => {
            discard(&ledger).await;
            (Outcome::Rehearsed, None, None)
        }
        Ok(Ok(issued)) => {
            let other_root = (!issued.preferred_root).then(|| {
                let wanted = task.from.acme.preferred_root.as_deref().unwrap_or_default();
                format!("the authority offers no chain to the preferred root `{wanted}`; its default chain is served")
            });
            let notes: Vec<String> = issued.bundle.note().map(str::to_owned).into_iter().chain(other_root).collect();
            let warning = (!notes.is_empty()).then(|| notes.join("; "));
            let shelved = shelve(task, &ledger, &slot, issued).await;
            (Outcome::Issued(shelved.held(&issuer)), Some(shelved), warning)
        }
        Ok(Err(error)) => {
            let now = task.clock.now();
            let finding = explained(&error, &found);
            (fail(blame(&error, now), ended(&error), words(&error, finding), parts(&error, finding)), None, None)
        }
        Err(_) => {
            let words = "the order was not done within 15 minutes; the next try goes on with it".to_owned();
            (fail(Blame::Issuer(None), Ended::Failed, words, Parts::default()), None, None)
        }
    };
    let tried = Some(OrderAttempt { history: ledger.history(), worked: ledger.worked(), bucket: ledger.bucket() });
    let reading = shelved.as_ref().and_then(|_| task.account.http().clock_reading());
    OrderResult { id, outcome, tried, shelved, warning, reading }
}

/// The authority's settings; before a first order, with the challenges in the order in which they may work.
async fn advised(task: &OrderTask, now: Timestamp) -> Advice {
    let acme = &task.from.acme;
    if task.memory.worked.is_some() || task.rehearsal {
        return Advice { acme: Arc::clone(acme), found: Vec::new() };
    }
    // An authority that does not answer is told of by the order.
    let directory = task.account.http().directory().await;
    let identities = directory.map(|directory| directory.meta.caa_identities.clone()).unwrap_or_default();
    let before = PreOrderCheck { names: &task.need.names, identities: &identities, ports: task.ports, board: &task.board, now };
    order_check::before_order(acme, before).await
}

/// Makes sure that the disk takes what an order must not lose.
async fn begin(task: &OrderTask, slot: &Slot) -> Result<Arc<DurableOrderStore>, String> {
    let (store, clock) = (Arc::clone(&task.store), Arc::clone(&task.clock));
    let (need, slot, memory) = (task.need.id.clone(), slot.clone(), task.memory.clone());
    let limit = rate_limit::order_limit(&task.from.acme.directory);
    let begun = task::blocking("order-begin", move || {
        // What was wrong with the folder may be over, or may have come just now.
        events::findings(&store.tend(clock.now()));
        store.probe().map_err(|error| ErrorChain(&error).to_string())?;
        Ok(DurableOrderStore::new(store, clock, need, slot, memory, limit))
    });
    let no_order = |words| format!("nothing is ordered while the state folder cannot be written: {words}");
    begun.await.unwrap_or_else(|| Err("doorward itself failed".to_owned())).map(Arc::new).map_err(no_order)
}

/// Stores the certificate, then forgets the order. If the disk refuses, the certificate is served from memory, and its
/// order is kept until the certificate is.
async fn shelve(task: &OrderTask, ledger: &Arc<DurableOrderStore>, slot: &Slot, issued: Issued) -> CachedCert {
    let Issued { bundle, key_pem, .. } = issued;
    let shelved = CachedCert::new(Arc::new(bundle), Arc::new(key_pem), Some(slot.clone()));
    let (store, ledger, kept) = (Arc::clone(&task.store), Arc::clone(ledger), shelved.clone());
    let saved = task::blocking("certificate-save", move || {
        let generation = kept.save(&store)?;
        if let Err(error) = ledger.forget_order() {
            tracing::warn!(event = "order_not_forgotten", error = %ErrorChain(&error), "an order that is done is asked for once more");
        }
        Ok::<u64, crate::state::atomic_file::FileError>(generation)
    });
    let unsaved = |error: &str| {
        let name = task.need.title();
        tracing::error!(event = "certificate_unsaved", name, error, "served from memory; saving is tried again");
    };
    match tokio::time::timeout(SAVE_TIMEOUT, saved).await {
        Ok(Some(Ok(generation))) => return shelved.stored(generation),
        Ok(Some(Err(error))) => unsaved(&ErrorChain(&error).to_string()),
        Ok(None) => (),
        Err(_elapsed) => unsaved("the state folder did not answer within 10 s"),
    }
    shelved
}

/// Forgets an order whose certificate nobody wants, and its key.
async fn discard(ledger: &Arc<DurableOrderStore>) {
    let ledger = Arc::clone(ledger);
    if let Some(Err(error)) = task::blocking("rehearsal-forget", move || ledger.forget_order()).await {
        tracing::warn!(event = "order_not_forgotten", error = %ErrorChain(&error), "an order that is done is asked for once more");
    }
}

/// Looks whether what failed at a validation is in order, and reports.
pub(crate) async fn look(
    need: DesiredCert,
    acme: Arc<Acme>,
    account: Arc<AcmeAccount>,
    (ports, board): (PublicPorts, Arc<ChallengeBoard>),
    now: Timestamp,
    report: Reporter,
) {
    // An authority that does not answer is no reason not to look.
    let directory = tokio::time::timeout(DIRECTORY_TIMEOUT, account.http().directory()).await;
    let identities = directory.ok().and_then(Result::ok).map(|directory| directory.meta.caa_identities.clone());
    let provable = recheck::look(&acme, &need.names, &identities.unwrap_or_default(), ports, &board, now).await;
    let outcome = Outcome::Looked(provable);
    report.send(OrderResult { id: need.id, outcome, tried: None, shelved: None, warning: None, reading: None });
}

/// Asks for a renewal window and reports, within `limit`.
pub(crate) async fn ask_window(account: Arc<AcmeAccount>, certificate: String, limit: Duration, report: Reporter) {
    let asked = tokio::time::timeout(limit, renewal_info::ask(account.http(), &certificate)).await;
    let now = account.http().now();
    let outcome = match asked {
        Ok(Ok(Some(suggestion))) => Outcome::Window(suggestion.window, suggestion.ask_again.since(now)),
        // It may learn to.
        Ok(Ok(None)) => Outcome::Window(None, Duration::from_secs(86_400)),
        Ok(Err(error)) => {
            tracing::debug!(event = "renewal_info_unknown", error = %ErrorChain(&error), "when to renew is not known from the authority: {}", ErrorChain(&error));
            Outcome::WindowUnknown(error.retry_after())
        }
        Err(_) => Outcome::WindowUnknown(None),
    };
    let id = report.id.clone();
    report.send(OrderResult { id, outcome, tried: None, shelved: None, warning: None, reading: None });
}

/// Who has to do something before a new try can succeed.
fn blame(error: &OrderError, now: Timestamp) -> Blame {
    match (&error.cause, error.rejection(now)) {
        (OrderCause::Ledger(_) | OrderCause::Board(_), _) => Blame::LocalAddrs,
        (_, Rejection::ForGood) => Blame::Person,
        (OrderCause::Http(_), Rejection::Until(until)) if is_of_the_authority(error) => Blame::Issuer(Some(until)),
        (_, Rejection::Until(until)) if error.said_until().is_some() => Blame::Limited(until),
        (_, Rejection::Until(until)) => Blame::Name(Some(until)),
        (_, Rejection::TryAgain) if is_of_the_authority(error) => Blame::Issuer(None),
        (_, Rejection::TryAgain) => Blame::Name(None),
    }
}

/// Whether it would have happened to any name: the authority is gone, broken or busy.
fn is_of_the_authority(error: &OrderError) -> bool {
    match &error.cause {
        OrderCause::Http(HttpFailure::Refused(refusal)) => {
            let waits = refusal.retry_after.is_some() && !refusal.is_about_names();
            waits || refusal.status.is_server_error() || error.step == Step::Account
        }
        OrderCause::Http(_) | OrderCause::Form(_) => true,
        OrderCause::Slow { .. } => error.failed.is_empty(),
        _ => error.step == Step::Account,
    }
}

/// How the authority counts the try.
fn ended(error: &OrderError) -> Ended {
    match error.step {
        _ if !error.failed.is_empty() => Ended::Unproved,
        Step::Account | Step::Order => Ended::NoOrder,
        // Its verdict may still come.
        Step::Prove if matches!(error.cause, OrderCause::Slow { .. } | OrderCause::Http(_) | OrderCause::Record(_)) => {
            Ended::Open
        }
        Step::Download if matches!(&error.cause, OrderCause::Bundle(bundle) if bundle.never_fits()) => Ended::Unusable,
        Step::Prove | Step::Finalize | Step::Issue | Step::Download => Ended::Failed,
    }
}

/// What the look before the order had found of the very name and port by which it then failed: that is the cause, and no
/// other is guessed.
fn explained<'a>(error: &OrderError, found: &'a [Finding]) -> Option<&'a Finding> {
    let failed = error.failed_proof()?;
    let check = match failed.acme_type()? {
        "connection" | "unauthorized" | "incorrectResponse" | "tls" => match failed.kind {
            ChallengeKind::Http01 => "port-80",
            ChallengeKind::TlsAlpn01 => "port-443",
            ChallengeKind::Dns01 | ChallengeKind::DnsPersist01 => return None,
        },
        "dns" => "dns",
        "caa" => "caa",
        _ => return None,
    };
    let name = failed.identifier.to_string();
    found.iter().find(|finding| finding.check == check && finding.about == name)
}

fn words(error: &OrderError, finding: Option<&Finding>) -> String {
    let said = ErrorChain(error).to_string();
    match finding.map(|finding| finding.seen.clone()).or_else(|| error.likely_cause()) {
        Some(cause) => format!("{said}; likely cause: {cause}"),
        None => said,
    }
}

fn parts(error: &OrderError, finding: Option<&Finding>) -> Parts {
    Parts {
        step: Some(error.step.as_str()),
        problem: error.cause.acme_type().map(str::to_owned),
        cause: finding.map(|finding| finding.seen.clone()).or_else(|| error.likely_cause()),
        remedy: finding.map(|finding| finding.repair.clone()).or_else(|| error.remedy()),
    }
}

impl CachedCert {
    /// Puts the pair into the vault.
    pub(crate) fn save(&self, store: &Store) -> Result<u64, crate::state::atomic_file::FileError> {
        let slot = self.slot.as_ref().expect("only certificates with a slot are saved");
        let key: &Secret<String> = &self.key;
        store.vault().save_pair(slot, CertBundle::chain_pem(&self.bundle), key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::name::Identifier;
    use crate::certs::issuer::acme::FailedProof;

    #[test]
    fn what_the_look_found_is_the_cause_of_the_failure_that_follows() {
        let problem = serde_json::from_str(r#"{"type":"urn:ietf:params:acme:error:unauthorized","detail":"404"}"#).unwrap();
        let identifier = Identifier::parse("a.example").unwrap();
        let failed = FailedProof { kind: ChallengeKind::Http01, identifier, problem: Some(problem) };
        let error = OrderError { step: Step::Prove, cause: OrderCause::Proof(Box::new(failed.clone())), failed: vec![failed] };
        let seen = "the A record leads to 203.0.113.9, where another web server (nginx): 404 Not Found answers";
        let finding = |check, about: &str| Finding::trouble(check, about, seen, "this gateway", "let the A record point here");
        let found = [finding("port-443", "a.example"), finding("port-80", "b.example"), finding("port-80", "a.example")];
        let explained = explained(&error, &found);
        assert_eq!(explained, Some(&found[2]));
        assert!(words(&error, explained).ends_with(&format!("likely cause: {seen}")));
        let parts = parts(&error, explained);
        assert_eq!((parts.cause.as_deref(), parts.remedy.as_deref()), (Some(seen), Some("let the A record point here")));
        assert!(words(&error, None).contains("something else answers port 80"), "without a look it is guessed");
    }

    #[tokio::test]
    async fn a_panic_is_reported_and_ends_nothing_but_its_own_try() {
        let slot = Slot { issuer: Slug::parse("ca").unwrap(), name: Slug::parse("a.example").unwrap() };
        for asking in [false, true] {
            let (to, mut reports) = tokio::sync::mpsc::unbounded_channel();
            let report = Reporter::new(to, slot.clone(), slot.issuer.clone(), asking);
            let worker = task::spawn("panicking worker", async move {
                let _report = report;
                panic!("by order of the test");
            });
            let done = reports.recv().await.expect("whatever becomes of a worker, its report arrives");
            assert_eq!((done.id, matches!(done.outcome, Outcome::WindowUnknown(None))), (slot.clone(), asking));
            let _it_panicked = worker.await;
            assert!(reports.recv().await.is_none(), "one report for one try");
        }
    }
}
