//! From a proved order to a bundle: key, request, certificate, check.

use std::time::Duration;

use instant_acme::{Order, OrderStatus};
use tokio::time::sleep;

use super::csr;
use super::error::{OrderCause, Step};
use super::job::Issued;
use super::retry::{Repeat, call};
use super::run::{AcmeSession, Run};
use crate::base::backoff::Backoff;
use crate::base::mutex::lock;
use crate::base::rng::Rng;
use crate::base::secret::Secret;
use crate::base::task;
use crate::certs::bundle::{BundleError, CertBundle};
use crate::certs::issuer::jws::{self, Signer};

/// For the authority to sign.
const SIGNING: Duration = Duration::from_secs(300);

/// How often in one call the authority may call an order unready that it has called ready.
const MAX_NOT_READY: u32 = 3;

/// Downloads of one certificate in one call.
const MAX_DOWNLOADS: usize = 3;

/// How far the clocks of an authority's machines may be apart.
const SAME_MOMENT: Duration = Duration::from_secs(60);

/// For all alternate chains together: they are a wish, not a need.
const ALTERNATES: Duration = Duration::from_secs(30);

impl Run<'_> {
    /// Sends the request, by a key that is on disk before the authority can have signed for it. When the answer is lost,
    /// the order's own state says what became of it.
    pub(super) async fn finalize(&mut self, order: &mut Order) -> Result<(), OrderCause> {
        self.step = Step::Finalize;
        let key = self.certificate_key().await?;
        let csr = csr::request(&self.job.identifiers, &key)?;
        let cause = match call(Repeat::IfUnsent, async || order.finalize_csr(&csr).await).await {
            Ok(()) => return Ok(()),
            Err(cause) => cause,
        };
        let not_ready = cause.acme_type() == Some("orderNotReady");
        if !not_ready && !cause.is_passing() {
            return Err(cause);
        }
        tracing::info!(event = "finalize_unanswered", order = order.url(), error = %cause, "the request for the certificate got no answer; the order itself is asked what became of it");
        if not_ready {
            // One part of the authority may lag behind another for a moment, not for ever.
            self.not_ready += 1;
            if self.not_ready == MAX_NOT_READY {
                return Err(cause);
            }
            sleep(Backoff::NEARBY.delay(self.not_ready, &mut Rng::from_os())).await;
        }
        call(Repeat::Freely, async || order.refresh().await.map(|_| ())).await
    }

    /// The key that waits in the ledger for this order, or a new one, kept.
    async fn certificate_key(&self) -> Result<Secret<String>, OrderCause> {
        let in_flight = self.keep("read order in flight", |ledger| ledger.in_flight()).await?;
        if let Some(key) = in_flight.and_then(|order| order.key_pem) {
            return Ok(key);
        }
        let kind = self.job.acme.key;
        let key = task::blocking("make key", move || csr::new_key(kind)).await.ok_or(OrderCause::Panicked("make key"))??;
        let kept = key.clone();
        self.keep("keep certificate key", move |ledger| ledger.keep_certificate_key(&kept)).await?;
        Ok(key)
    }

    pub(super) async fn wait(&mut self, talk: &AcmeSession, order: &mut Order) -> Result<(), OrderCause> {
        self.step = Step::Issue;
        self.poll(talk, order, SIGNING, |status| status != OrderStatus::Processing).await.map(|_| ())
    }

    /// Downloads and checks. A chain that came damaged is fetched again: it was bought already.
    pub(super) async fn collect(&mut self, talk: &AcmeSession, order: &mut Order) -> Result<Issued, OrderCause> {
        self.step = Step::Download;
        let key_pem = self.certificate_key().await?;
        let mut download = 1;
        let bundle = loop {
            match self.check(&fetch(order).await?, &key_pem) {
                Ok(bundle) => break bundle,
                Err(error) if download == MAX_DOWNLOADS || error.never_fits() => return Err(self.refuse(error).await),
                Err(_) => download += 1,
            }
        };
        let (bundle, preferred_root) = self.towards_preferred_root(talk, bundle, &key_pem).await;
        Ok(Issued { bundle, key_pem, proved_by: self.proved_by, failed: std::mem::take(&mut self.failed), preferred_root })
    }

    /// Whether it is valid now is judged by our clock, and where that says no by the authority's: what was issued a moment
    /// ago is not expired and does not begin in weeks, so that it is our clock that is wrong then. Clients go by theirs.
    fn check(&self, chain_pem: &str, key_pem: &Secret<String>) -> Result<CertBundle, BundleError> {
        let http = self.account.http();
        let now = http.now();
        let build = |at| CertBundle::build(chain_pem, key_pem, &self.job.identifiers, at);
        let ours = build(now);
        let Some(reading) = http.clock_reading().filter(|_| ours.as_ref().is_err_and(BundleError::is_about_time)) else {
            return ours;
        };
        let theirs = reading.theirs_at(now);
        // Not all machines of an authority have the same second.
        build(theirs).or_else(|error| if error.is_about_time() { build(theirs + SAME_MOMENT) } else { Err(error) })
    }

    /// An order whose certificate can never fit is dropped; one whose download is bad is asked again next time.
    async fn refuse(&self, error: BundleError) -> OrderCause {
        if error.never_fits()
            && let Err(cause) = self.keep("forget order", |ledger| ledger.forget_order()).await
        {
            return cause;
        }
        OrderCause::Bundle(error)
    }

    /// The chain to the root the operator prefers, if the authority offers it among its alternates (RFC 8555 section
    /// 7.4.2). Whatever goes wrong on the way, the default chain is kept: it is a good one.
    async fn towards_preferred_root(
        &self,
        talk: &AcmeSession,
        default: CertBundle,
        key_pem: &Secret<String>,
    ) -> (CertBundle, bool) {
        let Some(wanted) = self.job.acme.preferred_root.as_deref() else { return (default, true) };
        if default.root_name() == wanted {
            return (default, true);
        }
        let urls = std::mem::take(&mut lock(&talk.notes).alternates);
        let search = async {
            for url in urls {
                match self.alternate(talk, &url, key_pem).await {
                    Ok(bundle) if bundle.root_name() == wanted => return Some(bundle),
                    Ok(_) => (),
                    Err(error) => tracing::warn!(event = "alternate_chain_unusable", url, %error),
                }
            }
            None
        };
        match tokio::time::timeout(ALTERNATES, search).await {
            Ok(Some(bundle)) => (bundle, true),
            Ok(None) | Err(_) => (default, false),
        }
    }

    async fn alternate(&self, talk: &AcmeSession, url: &str, key_pem: &Secret<String>) -> Result<CertBundle, OrderCause> {
        let registered = &talk.registered;
        let answer = jws::post(self.account.http(), &registered.key, Signer::Account(&registered.url), url, None).await?;
        let text = std::str::from_utf8(answer.body()).map_err(|_| OrderCause::Http(answer.garbage()))?;
        self.check(text, key_pem).map_err(OrderCause::Bundle)
    }
}

/// Fetches the default chain, again if the answer is lost.
async fn fetch(order: &mut Order) -> Result<String, OrderCause> {
    let chain = call(Repeat::Freely, async || order.certificate().await).await?;
    chain.ok_or(OrderCause::Form(instant_acme::Error::Str("the certificate of a valid order")))
}
