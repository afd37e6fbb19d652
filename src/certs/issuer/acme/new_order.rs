//! The order in flight, found again, or a new one.

use instant_acme::{Account, CertificateIdentifier, Error, NewOrder, Order, OrderStatus};

use super::error::{OrderCause, Step};
use super::retry::{Repeat, call};
use super::run::{AcmeSession, Run};
use super::select_challenge;
use crate::base::mutex::lock;
use crate::base::name::Identifier;
use crate::certs::issuer::http::Directory;

impl Run<'_> {
    pub(super) async fn find_or_begin(&mut self, talk: &AcmeSession) -> Result<Order, OrderCause> {
        match self.find(talk).await? {
            Some(order) => {
                self.resumed = true;
                Ok(order)
            }
            None => self.begin(talk).await,
        }
    }

    /// The order that an earlier call left, if it can still lead to a certificate.
    async fn find(&mut self, talk: &AcmeSession) -> Result<Option<Order>, OrderCause> {
        let Some(in_flight) = self.keep("read order in flight", |ledger| ledger.in_flight()).await? else { return Ok(None) };
        let found = call(Repeat::Freely, async || talk.account.order(in_flight.url.clone()).await).await;
        let mut order = match found {
            Ok(order) => order,
            Err(cause) if cause.is_unknown() => return self.drop_order("the authority no longer knows it").await,
            Err(cause) => return Err(cause),
        };
        let status = order.state().status;
        match status {
            OrderStatus::Invalid => {
                self.keep("note failed order", |ledger| ledger.fail_order()).await?;
                self.drop_order("the authority called it invalid").await
            }
            // Finalized, and the key is lost: its certificate would be of no use.
            OrderStatus::Processing | OrderStatus::Valid if in_flight.key_pem.is_none() => {
                self.drop_order("its key is lost").await
            }
            OrderStatus::Pending | OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => {
                tracing::info!(event = "order_resumed", order = order.url(), status = ?status, "an order that was begun before goes on");
                Ok(Some(order))
            }
        }
    }

    async fn drop_order(&self, why: &'static str) -> Result<Option<Order>, OrderCause> {
        tracing::info!(event = "order_dropped", name = %self.job.identifiers[0], why, "the order that was begun before for {} is not gone on with: {why}", self.job.identifiers[0]);
        self.keep("forget order", |ledger| ledger.forget_order()).await?;
        Ok(None)
    }

    /// A new order, whose URL is on disk before anything else happens to it.
    pub(super) async fn begin(&mut self, talk: &AcmeSession) -> Result<Order, OrderCause> {
        self.step = Step::Order;
        let directory = self.account.http().directory().await?;
        self.must_have_profile(&directory)?;
        self.must_be_provable()?;
        let replaces = self.job.replaces.as_deref().filter(|_| directory.renewal_info.is_some()).and_then(read_id);
        self.keep("count order", |ledger| ledger.count_order()).await?;
        let order = match self.new_order(talk, replaces.clone()).await {
            Err(cause) if replaces.is_some() && is_about_replaces(&cause) => {
                tracing::info!(event = "order_without_replaces", name = %self.job.identifiers[0], said = cause.detail(), "{} is ordered without naming the certificate that is replaced, as the authority refuses that", self.job.identifiers[0]);
                self.new_order(talk, None).await?
            }
            order => order?,
        };
        let url = order.url().to_owned();
        self.keep("keep order", move |ledger| ledger.keep_order(&url)).await?;
        Ok(order)
    }

    async fn new_order(&self, talk: &AcmeSession, replaces: Option<CertificateIdentifier<'static>>) -> Result<Order, OrderCause> {
        let identifiers: Vec<instant_acme::Identifier> = self.job.identifiers.iter().map(acme_identifier).collect();
        let mut new = NewOrder::new(&identifiers);
        if let Some(profile) = &self.job.acme.profile {
            new = new.profile(profile);
        }
        if let Some(replaces) = replaces {
            new = new.replaces(replaces);
        }
        lock(&talk.notes).location = None;
        match call(Repeat::Once, async || talk.account.new_order(&new).await).await {
            Err(OrderCause::Form(error)) => refind(talk, error).await,
            order => order,
        }
    }

    /// A name that no challenge of ours can prove, such as a wildcard without DNS, is no order's worth.
    fn must_be_provable(&self) -> Result<(), OrderCause> {
        let allowed = |identifier: &Identifier| select_challenge::allowed(identifier, &self.job.acme.challenges, self.last);
        match self.job.identifiers.iter().find(|identifier| allowed(identifier).is_empty()) {
            None => Ok(()),
            Some(identifier) => {
                Err(OrderCause::NoChallenge { identifier: identifier.clone(), offered: Vec::new(), allowed: Vec::new() })
            }
        }
    }

    /// A profile the authority does not have is a mistake of the configuration, not a reason for its default.
    fn must_have_profile(&self, directory: &Directory) -> Result<(), OrderCause> {
        let Some(wanted) = &self.job.acme.profile else { return Ok(()) };
        if directory.meta.profiles.contains_key(wanted) {
            return Ok(());
        }
        // It may be new: the next try looks at a fresh directory.
        self.account.http().forget_directory();
        let offered = directory.meta.profiles.keys().cloned().collect();
        Err(OrderCause::Profile { wanted: wanted.clone(), offered })
    }
}

/// instant-acme refuses an answer that does not repeat `replaces`, but the order exists at the authority by then.
async fn refind(talk: &AcmeSession, error: Error) -> Result<Order, OrderCause> {
    let location = lock(&talk.notes).location.take();
    match location {
        Some(url) => call(Repeat::Freely, async || Account::order(&talk.account, url.clone()).await).await,
        None => Err(OrderCause::Form(error)),
    }
}

/// Whether leaving `replaces` out is worth a try: the certificate was replaced already, or is not known to this authority.
fn is_about_replaces(cause: &OrderCause) -> bool {
    match cause.acme_type() {
        Some("alreadyReplaced" | "conflict") => true,
        Some("malformed" | "unauthorized") | None => cause.problem().is_some() || cause.is_unknown(),
        Some(_) => false,
    }
}

fn read_id(text: &str) -> Option<CertificateIdentifier<'static>> {
    let (key, serial) = text.split_once('.')?;
    Some(CertificateIdentifier { authority_key_identifier: key.to_owned().into(), serial: serial.to_owned().into() })
}

fn acme_identifier(identifier: &Identifier) -> instant_acme::Identifier {
    match identifier {
        Identifier::Ip(ip) => instant_acme::Identifier::Ip(*ip),
        name => instant_acme::Identifier::Dns(name.to_string()),
    }
}
