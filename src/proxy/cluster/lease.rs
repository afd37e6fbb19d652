//! The right to use one target for one exchange. It counts as long as it lives, so whoever carries the answer's body to
//! its end carries the lease with it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Cluster, Member, TargetState};

/// One exchange counted on one target, until dropped.
#[derive(Debug)]
pub struct Lease {
    cluster: Arc<Cluster>,
    member: usize,
}

impl Lease {
    pub(super) fn take(cluster: &Arc<Cluster>, member: usize) -> Self {
        let lease = Self { cluster: Arc::clone(cluster), member };
        lease.state().in_flight.fetch_add(1, Ordering::Relaxed);
        lease
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
