//! The right to use one target for one exchange. It counts as long as it lives, so whoever carries the answer's body to
//! its end carries the lease with it. What became of the exchange is prebuilt here, and moves the target's health.

use std::fmt::Display;
use std::sync::Arc;

use http::header::HeaderValue;

use super::circuit_breaker::{self, Change, Pass};
use super::endpoint::Endpoint;
use super::endpoint_state::EndpointState;
use super::events;
use super::{PickContext, UpstreamGroup};
use crate::base::proxy_header::Ends;
use crate::telemetry::metrics::proxy::ProxyMetrics;

/// How often a target may fill up between being chosen and being taken before a request gives up.
const RACES: usize = 8;

/// One exchange counted on one target, until dropped.
#[derive(Debug)]
pub struct Lease {
    cluster: Arc<UpstreamGroup>,
    member: Arc<Endpoint>,
    /// Whether the target had failed lately, so that this exchange shows whether it works again.
    trial: bool,
    /// By what right its circuit let it through.
    pass: Pass,
    /// The client, where the target is prebuilt of it before anything else.
    ends: Option<Box<Ends>>,
}

impl UpstreamGroup {
    /// Chooses a target and counts an exchange on it. `None` when every target was tried or is closed.
    pub fn pick(self: &Arc<Self>, context: PickContext<'_>) -> Option<Lease> {
        let roster = self.roster.load();
        for _ in 0..RACES {
            let endpoint = roster.choose(&self.settings, &self.turn, context)?;
            if let Some(lease) = Lease::take(self, endpoint) {
                return Some(lease);
            }
        }
        None
    }
}

impl Lease {
    /// `None` when others have filled the target meanwhile, or one of them decides whether it works again.
    fn take(group: &Arc<UpstreamGroup>, endpoint: &Arc<Endpoint>) -> Option<Self> {
        let state = endpoint.state();
        if !state.enter(group.settings().max_connections) {
            return None;
        }
        let Some(pass) = state.pass(group.settings()) else {
            state.leave();
            return None;
        };
        let trial = state.is_on_trial();
        Some(Self { cluster: Arc::clone(group), member: Arc::clone(endpoint), trial, pass, ends: None })
    }

    /// Uses the target in the name of one client; asked only where the target is prebuilt of it.
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
    pub const fn cluster(&self) -> &Arc<UpstreamGroup> {
        &self.cluster
    }

    /// The target it counts on.
    pub fn member(&self) -> &Endpoint {
        &self.member
    }

    /// The same, to be kept longer than the lease.
    pub fn shared_member(&self) -> Arc<Endpoint> {
        Arc::clone(&self.member)
    }

    /// The target among its cluster's, for [`super::PickContext::tried`].
    pub fn id(&self) -> u64 {
        self.member.id()
    }

    pub(super) fn state(&self) -> &Arc<EndpointState> {
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
    pub fn failed(&self, why: &dyn Display, metrics: &ProxyMetrics) {
        self.count_failure(why, metrics);
        self.judge(true, why, metrics);
        self.cluster.doubt();
    }

    fn count_failure(&self, why: &dyn Display, metrics: &ProxyMetrics) {
        let settings = self.cluster.settings();
        if let Some(rule) = &settings.max_fails
            && self.state().failed(rule).is_some()
        {
            events::failing(&settings.name, &self.member, rule, why, metrics);
        }
    }

    /// The target answered; whether that was well is for the settings to say.
    pub fn answered(&self, status: u16, metrics: &ProxyMetrics) {
        let settings = self.cluster.settings();
        let (why, counts) = (format_args!("status {status}"), settings.fail_status.iter().any(|range| range.contains(status)));
        if counts {
            self.count_failure(&why, metrics);
        } else if self.trial && self.state().succeeded().is_some() {
            events::is_back(&settings.name, &self.member, events::WORKS_AGAIN);
        }
        self.judge(counts || circuit_breaker::is_failure(status), &why, metrics);
    }

    /// Moves the target's circuit, where it has one.
    fn judge(&self, failed: bool, why: &dyn Display, metrics: &ProxyMetrics) {
        let settings = self.cluster.settings();
        let Some(rule) = &settings.circuit_breaker else { return };
        match self.state().judged(self.pass, failed, rule) {
            Some(Change::Opened(samples)) => events::circuit_opens(&settings.name, &self.member, rule, (samples, why), metrics),
            Some(Change::Closed) => {
                events::circuit_closes(&settings.name, &self.member);
                self.cluster.room().ring();
            }
            None => (),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.state().left(self.pass);
        self.state().leave();
        if self.cluster.settings().max_connections.is_some() {
            self.cluster.room().ring_one();
        }
    }
}
