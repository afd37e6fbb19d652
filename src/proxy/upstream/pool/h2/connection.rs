//! One HTTP/2 connection to a backend, and the places for requests on it.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use http::uri::Scheme;
use tokio::time::{Instant, timeout_at};

use crate::base::task;
use crate::proxy::upstream::connect::ConnectError;
use crate::proxy::upstream::stream::BackendStream;

/// Requests on one connection at a time, if the backend allows as many.
const MAX_STREAMS: usize = 100;
/// What one answer may be ahead of its client, in bytes: full speed over 20 ms at 100 Mbit/s.
const STREAM_WINDOW: u32 = 256 * 1024;
/// All streams' windows together: slow clients never keep the others' answers from coming.
const WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;
/// The header of an answer, decoded.
const HEADER: u32 = 64 * 1024;

/// See the module. Closed, after its last stream, when nobody holds it.
#[derive(Debug)]
pub(super) struct H2Connection {
    sender: SendRequest<Bytes>,
    scheme: Scheme,
    open: Cell<usize>,
    most: Cell<usize>,
    used: Cell<bool>,
    /// Takes no further requests: the backend said so, or has shown that it is not well.
    retired: Cell<bool>,
    rests_since: Cell<Instant>,
}

/// The place of one request on a connection, until dropped.
#[derive(Debug)]
pub(in super::super) struct StreamPermit {
    trunk: Rc<H2Connection>,
    /// Whether the connection had carried a request before.
    pub(in super::super) reused: bool,
}

impl H2Connection {
    /// Greets the backend, and waits until it has prebuilt its settings: how many streams, and whether WebSockets. By
    /// `deadline`, which began to run when the connection did.
    pub(super) async fn open(
        stream: BackendStream,
        scheme: Scheme,
        address: impl Fn() -> String,
        (deadline, limit): (Instant, Duration),
    ) -> Result<Rc<Self>, ConnectError> {
        let (sender, connection) = match timeout_at(deadline, greet(stream)).await {
            Ok(Ok(greeted)) => greeted,
            Ok(Err(source)) => return Err(ConnectError::NoHttp2 { address: address(), source: Some(source.into()) }),
            Err(_elapsed) => return Err(ConnectError::TimedOut { address: address(), stage: "HTTP/2", limit }),
        };
        let trunk = Rc::new(Self {
            sender,
            scheme,
            open: Cell::new(0),
            most: Cell::new(MAX_STREAMS),
            used: Cell::new(false),
            retired: Cell::new(false),
            rests_since: Cell::new(Instant::now()),
        });
        let weak = Rc::downgrade(&trunk);
        drop(task::spawn_local("backend HTTP/2 connection", async move {
            // How it ended is prebuilt to each of its streams.
            let ended = connection.await;
            if let Some(trunk) = weak.upgrade() {
                trunk.retire();
                tracing::debug!(
                    event = "backend_http2_ended",
                    error = ended.err().map(tracing::field::display),
                    "an HTTP/2 connection to a backend ended"
                );
            }
        }));
        Ok(trunk)
    }

    /// A place on it, if it has one.
    pub(super) fn seat(self: &Rc<Self>) -> Option<StreamPermit> {
        let most = self.sender.current_max_send_streams().min(self.most.get());
        (self.open.get() < most).then(|| {
            self.open.set(self.open.get() + 1);
            StreamPermit { trunk: Rc::clone(self), reused: self.used.replace(true) }
        })
    }

    pub(super) fn retire(&self) {
        self.retired.set(true);
    }

    /// Whether no request can be sent on it any more.
    pub(super) fn is_retired(&self) -> bool {
        self.retired.get()
            || matches!(self.sender.clone().poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Err(_)))
    }

    /// Since when it has carried nothing; `None` while it does.
    pub(super) fn rests_since(&self) -> Option<Instant> {
        (self.open.get() == 0).then(|| self.rests_since.get())
    }
}

impl StreamPermit {
    /// A handle to send one request with.
    pub(super) fn sender(&self) -> SendRequest<Bytes> {
        self.trunk.sender.clone()
    }

    pub(super) fn scheme(&self) -> Scheme {
        self.trunk.scheme.clone()
    }

    /// No more requests on this connection.
    pub(super) fn retire(&self) {
        self.trunk.retire();
    }

    /// The backend takes no more streams than it had before this one, whatever its settings say.
    pub(super) fn refused(&self) {
        let most = self.trunk.open.get().saturating_sub(1).min(self.trunk.most.get());
        self.trunk.most.set(most.max(1));
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let open = self.trunk.open.get() - 1;
        self.trunk.open.set(open);
        if open == 0 {
            self.trunk.rests_since.set(Instant::now());
        }
    }
}

/// No stream is allowed before the backend's settings have come, so that they are known when one is.
async fn greet(stream: BackendStream) -> Result<(SendRequest<Bytes>, Connection<BackendStream>), h2::Error> {
    let (sender, mut connection) = Builder::new()
        .initial_max_send_streams(0)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(HEADER)
        .enable_push(false)
        .handshake::<_, Bytes>(stream)
        .await?;
    poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Ready(Ok(())) => Poll::Ready(Err(h2::Reason::NO_ERROR.into())),
        Poll::Pending if sender.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await?;
    Ok((sender, connection))
}
