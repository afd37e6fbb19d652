//! The right to use one target for one exchange. It counts as long as it lives, so whoever carries the answer's body to
//! its end carries the lease with it. What became of the exchange is told here, and moves the target's health.

use std::sync::Arc;

use http::header::HeaderValue;

use super::Cluster;
use super::member::Member;
use super::state::TargetState;
use super::tell;
use crate::base::proxy_header::Ends;
use crate::telemetry::metrics::proxy::ProxyMetrics;

/// One exchange counted on one target, until dropped.
#[derive(Debug)]
pub struct Lease {
    cluster: Arc<Cluster>,
    member: Arc<Member>,
    /// Whether the target had failed lately, so that this exchange shows whether it works again.
    trial: bool,
    /// The client, where the target is told of it before anything else.
    ends: Option<Box<Ends>>,
}

impl Lease {
    /// `None` when others have filled the target meanwhile.
    pub(super) fn take(cluster: &Arc<Cluster>, member: &Arc<Member>) -> Option<Self> {
        let entered = member.state().enter(cluster.settings().max_connections);
        let trial = member.state().is_on_trial();
        entered.then(|| Self { cluster: Arc::clone(cluster), member: Arc::clone(member), trial, ends: None })
    }

    /// Uses the target in the name of one client; asked only where the target is told of it.
    pub fn in_the_name_of(mut self, ends: impl FnOnce() -> Ends) -> Self {
        if self.is_introduced() {
            self.ends = Some(Box::new(ends()));
        }
        self
    }

    /// Whether a connection is one client's alone, because it begins with who that is.
    pub fn is_introduced(&self) -> bool {
        self.cluster.settings.proxy_protocol.is_some()
    }

    pub(super) fn ends(&self) -> Option<&Ends> {
        self.ends.as_deref()
    }

    /// The cluster it belongs to.
    pub const fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// The target it counts on.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// The target among its cluster's, for [`super::Wish::tried`].
    pub fn id(&self) -> u64 {
        self.member.id()
    }

    pub(super) fn state(&self) -> &Arc<TargetState> {
        self.member.state()
    }

    /// The cookie by which the client comes here again, unless the one it has says so already; `secure` where it came by
    /// https.
    pub fn cookie(&self, has: Option<&str>, secure: bool) -> Option<HeaderValue> {
        let rule = self.cluster.settings().sticky.as_ref()?;
        let tag = self.member.tag()?;
        (!has.is_some_and(|value| tag.is(value))).then(|| tag.cookie(rule, secure))
    }

    /// The target failed by its own fault; `why` is the code of it.
    pub fn failed(&self, why: &dyn std::fmt::Display, metrics: &ProxyMetrics) {
        let settings = self.cluster.settings();
        if let Some(rule) = &settings.max_fails
            && self.state().failed(rule).is_some()
        {
            tell::failing(&settings.name, &self.member, rule, why, metrics);
        }
    }

    /// The target answered; whether that was well is for the settings to say.
    pub fn answered(&self, status: u16, metrics: &ProxyMetrics) {
        let settings = self.cluster.settings();
        if settings.fail_status.iter().any(|range| range.contains(status)) {
            self.failed(&format_args!("status {status}"), metrics);
        } else if self.trial && self.state().succeeded().is_some() {
            tell::works_again(&settings.name, &self.member);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.state().leave();
        if self.cluster.settings().max_connections.is_some() {
            self.cluster.room().ring_one();
        }
    }
}
