//! How far the sending of a request has come, for whoever waits for its answer.

use std::cell::Cell;

/// How far the present exchange has come.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Goes up with every write that the backend's side took.
    pub(super) progress: Cell<u32>,
    pub(super) sending: Cell<Sending>,
}

/// Where the request's body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sending {
    /// On its way.
    #[default]
    Flowing,
    /// The client has to send more first.
    WaitsForClient,
    /// Given to the connection in full.
    Complete,
    /// The client's side of it failed.
    Failed,
}

impl Facts {
    pub(super) fn moved(&self) {
        self.progress.set(self.progress.get().wrapping_add(1));
    }
}
