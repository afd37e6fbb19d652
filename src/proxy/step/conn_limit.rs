//! `limit connections`: exchanges and tunnels that one client has open at a time.

use std::net::IpAddr;
use std::sync::Arc;

use crate::proxy::limit::concurrency::{ConnLimiter, Permit};
use crate::proxy::refusal::Refusal;

/// One block's limit and who is inside.
#[derive(Clone, Debug)]
pub struct LimitConnections {
    pub(super) crowd: Arc<ConnLimiter>,
    pub(super) most: u32,
}

impl LimitConnections {
    /// A place, to be kept to the exchange's end.
    pub(super) fn enter(&self, client: IpAddr) -> Result<Permit, Refusal> {
        self.crowd.enter(client, self.most).ok_or(Refusal::TooManyConnections { limit: self.most })
    }
}
