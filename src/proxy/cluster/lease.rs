//! The right to use one target for one exchange. It counts as long as it lives, so whoever carries the answer's body to
//! its end carries the lease with it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Cluster, Member, TargetState};
use crate::base::proxy_header::Ends;

/// One exchange counted on one target, until dropped.
#[derive(Debug)]
pub struct Lease {
    cluster: Arc<Cluster>,
    member: usize,
    /// The client, where the target is told of it before anything else.
    ends: Option<Box<Ends>>,
}

impl Lease {
    pub(super) fn take(cluster: &Arc<Cluster>, member: usize) -> Self {
        let lease = Self { cluster: Arc::clone(cluster), member, ends: None };
        lease.state().in_flight.fetch_add(1, Ordering::Relaxed);
        lease
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
        &self.cluster.members[self.member]
    }

    /// The target's place among its cluster's, for [`super::Wish::tried`].
    pub const fn index(&self) -> usize {
        self.member
    }

    pub(super) fn state(&self) -> &Arc<TargetState> {
        &self.member().state
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.state().in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
