//! Names on demand, and who waits for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::base::name::HostName;
use crate::base::time::Timestamp;
use crate::certs::on_demand::{OnDemandRules, Waiter};
use crate::state::pem_store::Slot;

/// A name that was wanted.
pub(super) struct Granted {
    pub(super) name: HostName,
    /// When somebody asked last, as the disk has it.
    pub(super) noted: Timestamp,
    /// When somebody asked last, as far as was looked.
    pub(super) last: Timestamp,
    /// Set by handshakes.
    pub(super) asked: Arc<AtomicBool>,
}

/// Names on demand as the loop has them.
#[derive(Default)]
pub(super) struct OnDemandState {
    pub(super) demands: Arc<OnDemandRules>,
    pub(super) granted: HashMap<Slot, Granted>,
    /// Handshakes that wait; their number is bounded at the door.
    pub(super) waiters: Vec<(Slot, Waiter)>,
    pub(super) restored: bool,
}
