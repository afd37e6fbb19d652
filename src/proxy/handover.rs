//! How a client's connection leaves HTTP/1.1: its protocol hands it over once the answer that grants it is written.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::client_io::ClientIo;

/// A connection that has left HTTP/1.1.
pub struct HandedOver {
    /// The connection.
    pub io: ClientIo,
    /// What was read behind the request.
    pub leftover: Bytes,
}

impl std::fmt::Debug for HandedOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandedOver").field("leftover", &self.leftover.len()).finish_non_exhaustive()
    }
}

/// The side of the protocol. Dropped without use, there is no connection to hand over any more.
pub type Giver = oneshot::Sender<HandedOver>;

/// The side of the tunnel: an extension of the request. It is `Clone` and `Sync` because extensions are; one thread uses it.
#[derive(Clone, Debug)]
pub struct Handover(Arc<Mutex<Option<oneshot::Receiver<HandedOver>>>>);

/// Both sides.
pub fn handover() -> (Giver, Handover) {
    let (giver, receiver) = oneshot::channel();
    (giver, Handover(Arc::new(Mutex::new(Some(receiver)))))
}

impl Handover {
    /// Waits for the connection; `None` when it ended before.
    pub async fn taken(self) -> Option<HandedOver> {
        let receiver = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        receiver?.await.ok()
    }
}
