//! What the streams of one HTTP/3 connection share.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quinn::VarInt;
use tokio::sync::Notify;

use crate::base::addr::unmapped_socket;
use crate::listeners::context::ConnectionContext;
use crate::listeners::http::Unreadable;
use crate::listeners::http3::code::Code;
use crate::listeners::http3::control::Kind;
use crate::listeners::listener_config::ListenerConfig;
use crate::proxy::client_io::{Activity, OpenRequest};
use crate::proxy::connection::{Connection, TlsFacts};

/// Requests that a client may cancel beyond those whose answers it takes: a browser that leaves a page cancels what is open,
/// which `limit streams` bounds. Envoy allows as many.
const MAX_CANCELLED: u32 = 500;
/// What the streams of a connection share.
pub(super) struct Session {
    pub(super) quic: quinn::Connection,
    context: Rc<ConnectionContext>,
    pub(super) limits: Limits,
    activity: Arc<Activity>,
    local: SocketAddr,
    /// The port in URLs that lead here.
    port: u16,
    tls: TlsFacts,
    /// The client as it was seen last; it may move (RFC 9000 section 9).
    seen: RefCell<(SocketAddr, Rc<Connection>)>,
    /// Which of the streams that come once have come.
    critical: RefCell<Vec<Kind>>,
    /// Requests in progress, and whether there are none.
    pub(super) open: Cell<usize>,
    pub(super) quiet: Notify,
    pub(super) farewell: Notify,
    pub(super) leaving: Cell<bool>,
    /// Id of the first request that was not begun.
    pub(super) next: Cell<u64>,
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
    pub(super) fn of(front: &ListenerConfig) -> Self {
        Self { section: front.header_room, allowed: front.header_size, header: front.timeouts.header, send: front.timeouts.send }
    }
}

impl Session {
    pub(super) fn new(
        quic: quinn::Connection,
        (context, limits): (Rc<ConnectionContext>, Limits),
        activity: Arc<Activity>,
        (local, port): (SocketAddr, u16),
        tls: TlsFacts,
    ) -> Rc<Self> {
        let peer = quic.remote_address();
        let seen = RefCell::new((peer, Rc::new(Connection::new(peer, local, Some(tls.clone())).reached_at(port))));
        Rc::new(Self {
            quic,
            context,
            limits,
            activity,
            local,
            port,
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

    pub(super) const fn context(&self) -> &Rc<ConnectionContext> {
        &self.context
    }

    /// The client and the way it came, as they are now.
    pub(super) fn connection(&self) -> Rc<Connection> {
        let peer = self.quic.remote_address();
        let mut seen = self.seen.borrow_mut();
        if seen.0 != peer {
            *seen = (peer, Rc::new(Connection::new(peer, self.local, Some(self.tls.clone())).reached_at(self.port)));
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
        self.context.unreadable(what, unmapped_socket(self.quic.remote_address()));
    }

    pub(super) fn close(&self, code: Code) {
        self.quic.close(VarInt::from_u32(code.value()), b"");
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
