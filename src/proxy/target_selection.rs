//! The targets that one request tries, one after the other, and its wait while there is none.

use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderValue, Request};
use tokio::time::Instant;

use super::cookie;
use super::exchange::Exchange;
use super::upstream::lease::Lease;
use super::upstream::queue::{self, Seen};
use super::upstream::{PickContext, UpstreamGroup, hash_key};

/// See the module.
pub(super) struct TargetSelector<'a> {
    exchange: &'a Rc<Exchange>,
    /// The one to choose from; a request that waits follows a reload.
    cluster: Arc<UpstreamGroup>,
    key: Option<u64>,
    /// The value of the sticky cookie that the client has.
    cookie: Option<Box<str>>,
    tried: Vec<u64>,
    further: u32,
    /// Until when it may wait, once it does.
    until: Option<Instant>,
}

impl<'a> TargetSelector<'a> {
    pub(super) fn new<B>(exchange: &'a Rc<Exchange>, cluster: &Arc<UpstreamGroup>, request: Option<&Request<B>>) -> Self {
        let key = request.and_then(|request| hash_key::of(cluster.balance(), exchange.client, request));
        let further = cluster.settings().retry;
        let sticky = cluster.settings().sticky.as_ref();
        let cookie = sticky.zip(request).and_then(|(sticky, request)| cookie::find(request.headers(), &sticky.cookie));
        let cookie = cookie.map(Box::from);
        Self { exchange, cluster: Arc::clone(cluster), key, cookie, tried: Vec::new(), further, until: None }
    }

    /// The first target to try, waited for where that is allowed.
    pub(super) async fn first(&mut self) -> Option<Lease> {
        let at_once = if self.cluster.is_queueing() { None } else { self.pick() };
        match at_once {
            Some(lease) => Some(lease),
            None => self.held(Seen::NobodyOpen).await,
        }
    }

    /// Another one than this, which failed.
    pub(super) fn elsewhere(&mut self, failed: &Lease) -> Option<Lease> {
        self.further = self.further.saturating_sub(1);
        self.tried.push(failed.id());
        self.pick()
    }

    /// The cookie that has the client come to this target again, where the settings ask for it. It is added to the answer
    /// behind the cleaning of the backend's fields: a backend that lists Set-Cookie in `Connection` takes out its own only.
    pub(super) fn cookie_for(&self, lease: &Lease) -> Option<HeaderValue> {
        lease.cookie(self.cookie.as_deref(), self.exchange.is_secure())
    }

    /// How many more may be tried.
    pub(super) const fn further(&self) -> u32 {
        self.further
    }

    /// Whether it has waited.
    pub(super) const fn is_held(&self) -> bool {
        self.until.is_some()
    }

    /// Waits for a target, and begins anew.
    pub(super) async fn held(&mut self, seen: Seen) -> Option<Lease> {
        let rule = self.cluster.settings().hold?;
        let metrics = self.exchange.worker.metrics();
        if self.until.is_none() {
            metrics.held_total.add_one();
        }
        let until = *self.until.get_or_insert_with(|| Instant::now() + rule.span);
        let _held = metrics.held.hold();
        // Boxed: every open request would hold the room for it.
        Box::pin(self.wait(seen, until)).await
    }

    async fn wait(&mut self, mut seen: Seen, until: Instant) -> Option<Lease> {
        loop {
            self.cluster = queue::hold(&self.cluster, seen, until).await?;
            self.tried.clear();
            self.further = self.cluster.settings().retry;
            if let Some(lease) = self.pick() {
                return Some(lease);
            }
            seen = Seen::NobodyOpen;
        }
    }

    fn pick(&self) -> Option<Lease> {
        let cookie = self.cookie.as_deref();
        let wish = PickContext { roll: self.exchange.worker.roll(), key: self.key, cookie, tried: &self.tried };
        Some(self.cluster.pick(wish)?.in_the_name_of(|| self.exchange.ends()))
    }
}
