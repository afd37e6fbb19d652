//! One HTTP/3 connection: takes its streams, and ends it with a farewell (RFC 9114 section 5.2).

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use quinn::VarInt;
use tokio::sync::Notify;

use super::{request, uni};
use crate::base::addr::unmapped_socket;
use crate::base::task;
use crate::listeners::accept::Door;
use crate::listeners::conns::Finish;
use crate::listeners::front::Front;
use crate::listeners::http::Unreadable;
use crate::listeners::http3::code::Code;
use crate::listeners::http3::control::{self, Kind};
use crate::proxy::client_io::{Activity, OpenRequest};
use crate::proxy::connection::{Connection, TlsFacts};

/// Requests that a client may cancel beyond those whose answers it takes: a browser that leaves a page cancels what is open,
/// which `limit streams` bounds. Envoy allows as many.
const MAX_CANCELLED: u32 = 500;
/// Between the ids of two requests (RFC 9000 section 2.1).
const NEXT: u64 = 4;
/// How long the last small answers get to arrive before the connection is closed behind them: four round trips, within
/// these bounds.
const GRACE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What the streams of a connection share.
pub(super) struct Session {
    quic: quinn::Connection,
    door: Rc<Door>,
    limits: Limits,
    activity: Arc<Activity>,
    local: SocketAddr,
    tls: TlsFacts,
    /// The client as it was seen last; it may move (RFC 9000 section 9).
    seen: RefCell<(SocketAddr, Rc<Connection>)>,
    /// Which of the streams that come once have come.
    critical: RefCell<Vec<Kind>>,
    /// Requests in progress, and whether there are none.
    open: Cell<usize>,
    quiet: Notify,
    farewell: Notify,
    leaving: Cell<bool>,
    /// Id of the first request that was not begun.
    next: Cell<u64>,
    /// Requests that the client cancelled, less those whose answers it took.
    cancelled: Cell<u32>,
}

/// What a connection is held to.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of a header section that are read.
    pub(super) section: usize,
    /// Bytes of one that are allowed.
    pub(super) allowed: usize,
    /// Until a header is whole.
    pub(super) header: Duration,
    /// Until the client takes more.
    pub(super) send: Duration,
}

impl Limits {
    pub(super) fn of(front: &Front) -> Self {
        Self { section: front.header_room, allowed: front.header_size, header: front.timeouts.header, send: front.timeouts.send }
    }
}

impl Session {
    pub(super) fn new(
        quic: quinn::Connection,
        (door, limits): (Rc<Door>, Limits),
        activity: Arc<Activity>,
        local: SocketAddr,
        tls: TlsFacts,
    ) -> Rc<Self> {
        let peer = quic.remote_address();
        let seen = RefCell::new((peer, Rc::new(Connection::new(peer, local, Some(tls.clone())))));
        Rc::new(Self {
            quic,
            door,
            limits,
            activity,
            local,
            tls,
            seen,
            critical: RefCell::default(),
            open: Cell::new(0),
            quiet: Notify::new(),
            farewell: Notify::new(),
            leaving: Cell::new(false),
            next: Cell::new(0),
            cancelled: Cell::new(0),
        })
    }

    pub(super) const fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) const fn door(&self) -> &Rc<Door> {
        &self.door
    }

    /// The client and the way it came, as they are now.
    pub(super) fn connection(&self) -> Rc<Connection> {
        let peer = self.quic.remote_address();
        let mut seen = self.seen.borrow_mut();
        if seen.0 != peer {
            *seen = (peer, Rc::new(Connection::new(peer, self.local, Some(self.tls.clone()))));
        }
        Rc::clone(&seen.1)
    }

    /// A request's header is whole.
    pub(super) fn begin(self: &Rc<Self>) -> Open {
        self.open.set(self.open.get() + 1);
        Open { session: Rc::clone(self), _open: self.activity.begin() }
    }

    /// Whether a stream that may come once has come for the first time.
    pub(super) fn is_first(&self, kind: Kind) -> bool {
        let mut critical = self.critical.borrow_mut();
        let first = !critical.contains(&kind);
        critical.push(kind);
        first
    }

    /// Counts how a request ended. A client that asks and cancels without end makes work here and at backends that it never waits
    /// for (CVE-2023-44487 over HTTP/2); its limit on open streams does not hold it back.
    pub(super) fn ended(&self, is_taken: bool) {
        let count = self.cancelled.get();
        self.cancelled.set(if is_taken { count.saturating_sub(1) } else { count + 1 });
        if count >= MAX_CANCELLED && self.quic.close_reason().is_none() {
            self.unreadable(Unreadable::Cancels);
            self.close(Code::ExcessiveLoad);
        }
    }

    /// Ends the connection of a client that broke the rules.
    pub(super) fn breach(&self, code: Code) {
        if self.quic.close_reason().is_none() {
            self.unreadable(Unreadable::Http3);
            self.close(code);
        }
    }

    /// Says that something was no request.
    pub(super) fn unreadable(&self, what: Unreadable) {
        self.door.unreadable(what, unmapped_socket(self.quic.remote_address()));
    }

    fn close(&self, code: Code) {
        self.quic.close(VarInt::from_u32(code.value()), b"");
    }

    /// Serves the connection until it ends.
    pub(super) fn serve(self: Rc<Self>) -> Serving {
        Serving { run: Box::pin(Rc::clone(&self).run()), session: self }
    }

    async fn run(self: Rc<Self>) {
        let Ok(mut control) = self.quic.open_uni().await else { return };
        let hello = control::hello(u64::try_from(self.limits.section).unwrap_or(u64::MAX >> 2));
        if control.write_all(&hello).await.is_err() {
            return;
        }
        let requests = async {
            while let Ok((send, recv)) = self.quic.accept_bi().await {
                self.admit(send, recv);
            }
        };
        let others = async {
            while let Ok(stream) = self.quic.accept_uni().await {
                drop(task::spawn_local("unidirectional", uni::read(Rc::clone(&self), stream)));
            }
        };
        tokio::select! {
            () = requests => (),
            () = others => (),
            () = self.part(control) => (),
        }
    }

    fn admit(self: &Rc<Self>, mut send: quinn::SendStream, mut recv: quinn::RecvStream) {
        let id = u64::from(VarInt::from(recv.id()));
        if self.leaving.get() && id >= self.next.get() {
            // The client knows by the farewell that it may ask again elsewhere.
            let rejected = VarInt::from_u32(Code::RequestRejected.value());
            let _ = (recv.stop(rejected), send.reset(rejected));
            return;
        }
        self.next.set(self.next.get().max(id.saturating_add(NEXT)));
        drop(task::spawn_local("request", request::answer(Rc::clone(self), send, recv)));
    }

    /// Once asked to finish: says farewell, waits for what is open, and closes.
    async fn part(&self, mut control: quinn::SendStream) {
        self.farewell.notified().await;
        self.leaving.set(true);
        if control.write_all(&control::goaway(self.next.get())).await.is_err() {
            return;
        }
        while self.open.get() > 0 {
            self.quiet.notified().await;
        }
        let grace = (self.quic.rtt() * 4).clamp(GRACE.0, GRACE.1);
        let _ = tokio::time::timeout(grace, self.quic.closed()).await;
    }
}

/// Counts a request as open for as long as it lives.
pub(super) struct Open {
    session: Rc<Session>,
    _open: OpenRequest,
}

impl Drop for Open {
    fn drop(&mut self) {
        let left = self.session.open.get() - 1;
        self.session.open.set(left);
        if left == 0 {
            self.session.quiet.notify_one();
        }
    }
}

/// A connection being served. Dropping it closes the connection.
pub(super) struct Serving {
    session: Rc<Session>,
    run: Pin<Box<dyn Future<Output = ()>>>,
}

impl Future for Serving {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.run.as_mut().poll(cx)
    }
}

impl Finish for Serving {
    fn finish(self: Pin<&mut Self>) {
        self.session.farewell.notify_one();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.session.close(Code::NoError);
    }
}
