//! How a client's stream of HTTP/2 becomes a tunnel's: its protocol hands it over once the answer that grants it is sent.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use tokio::sync::oneshot;

use crate::proxy::upstream::pool::StreamTunnel;

/// Both halves of a stream.
pub(super) type Halves = (RecvStream, SendStream<Bytes>);

/// A request's extension: yields its stream once the answer that grants a tunnel is sent. A lock because extensions are shared;
/// one thread uses it, once.
#[derive(Clone, Debug)]
pub struct OnStream(Arc<Mutex<Option<oneshot::Receiver<Halves>>>>);

impl OnStream {
    pub(super) fn new() -> (oneshot::Sender<Halves>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(Arc::new(Mutex::new(Some(receiver)))))
    }

    /// Waits for the stream; `None` when there will be none.
    pub(in crate::proxy) async fn taken(self) -> Option<StreamTunnel> {
        let receiver = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let (received, sent) = receiver.await.ok()?;
        Some(StreamTunnel::of_client(received, sent))
    }
}
