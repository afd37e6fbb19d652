//! A worker's HTTP/2 connections to backends, by target. While one is being made for a target, other requests wait for it
//! rather than make one each; when it fails, they try for themselves, so that nobody waits for a second failure.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Scheme;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::connection::{H2Connection, StreamPermit};
use crate::config::settings::TargetScheme;
use crate::proxy::upstream::connect::ConnectError;
use crate::proxy::upstream::endpoint_state::EndpointState;
use crate::proxy::upstream::lease::Lease;
use crate::proxy::upstream::stream::BackendStream;
use crate::proxy::upstream::tls::Alpn;

/// See the module.
#[derive(Debug, Default)]
pub(in super::super) struct H2Pool {
    /// By the address in memory of the target's state.
    branches: RefCell<BTreeMap<usize, Branch>>,
}

#[derive(Debug)]
struct Branch {
    /// Held so that no other target can come to lie at the same address.
    target: Arc<EndpointState>,
    trunks: Vec<Rc<H2Connection>>,
    keep_alive: Duration,
    dialing: Option<Rc<Dialing>>,
    /// The backend was offered both versions and chose HTTP/1.1.
    prefers_http1: bool,
}

/// A connection being made.
#[derive(Debug, Default)]
struct Dialing {
    over: Notify,
    failed: Cell<bool>,
}

/// What a request is sent on.
pub(in super::super) enum Line {
    /// A stream of an HTTP/2 connection; with how long it took to connect, if it had to be.
    StreamPermit(StreamPermit, Option<Duration>),
    /// A new connection on which the backend has chosen HTTP/1.1.
    H1Connection(BackendStream, Duration),
    /// HTTP/1.1, which the backend chose before.
    Wires,
}

/// What a look at a target's connections gave.
enum Look {
    StreamPermit(StreamPermit),
    Wires,
    Wait(Rc<Dialing>),
    Dial(Rc<Dialing>),
}

impl H2Pool {
    /// A place for one request to the lease's target.
    pub(in super::super) async fn line(&self, lease: &Lease, offer: Alpn) -> Result<Line, ConnectError> {
        if lease.is_introduced() {
            // What begins in one client's name is never another's.
            return self.dial(lease, offer).await;
        }
        let dialing = loop {
            match self.look(lease, offer) {
                Look::StreamPermit(seat) => return Ok(Line::StreamPermit(seat, None)),
                Look::Wires => return Ok(Line::Wires),
                Look::Dial(dialing) => break Some(DialState { trunks: self, key: lease.state().key(), dialing }),
                Look::Wait(dialing) => {
                    dialing.over.notified().await;
                    if dialing.failed.get() {
                        break None;
                    }
                }
            }
        };
        let dialed = self.dial(lease, offer).await;
        if let (Some(turn), Err(_)) = (&dialing, &dialed) {
            turn.dialing.failed.set(true);
        }
        dialed
    }

    fn look(&self, lease: &Lease, offer: Alpn) -> Look {
        let mut branches = self.branches.borrow_mut();
        let branch = branches.entry(lease.state().key()).or_insert_with(|| Branch {
            target: Arc::clone(lease.state()),
            trunks: Vec::new(),
            keep_alive: Duration::ZERO,
            dialing: None,
            prefers_http1: false,
        });
        branch.keep_alive = lease.cluster().settings().timeouts.keep_alive;
        branch.trunks.retain(|trunk| !trunk.is_retired());
        if let Some(seat) = branch.trunks.iter().find_map(H2Connection::seat) {
            return Look::StreamPermit(seat);
        }
        if branch.prefers_http1 && offer == Alpn::Both {
            return Look::Wires;
        }
        match &branch.dialing {
            Some(dialing) => Look::Wait(Rc::clone(dialing)),
            None => Look::Dial(Rc::clone(branch.dialing.insert(Rc::default()))),
        }
    }

    async fn dial(&self, lease: &Lease, offer: Alpn) -> Result<Line, ConnectError> {
        let started = Instant::now();
        let (cluster, place) = (lease.cluster(), lease.member().place());
        let stream = cluster.dialer().dial_for(place, lease.ends(), offer).await?;
        let in_the_clear = place.target.scheme == TargetScheme::H2c;
        let address = || place.to_string();
        if !in_the_clear && !stream.chose_http2() {
            if offer != Alpn::Both {
                return Err(ConnectError::NoHttp2 { address: address(), source: None });
            }
            self.note(lease, |branch| branch.prefers_http1 = true);
            return Ok(Line::H1Connection(stream, started.elapsed()));
        }
        stream.give_up_on_silence();
        let scheme = if in_the_clear { Scheme::HTTP } else { Scheme::HTTPS };
        let limit = cluster.settings().timeouts.connect;
        let trunk = H2Connection::open(stream, scheme, address, (started + limit, limit)).await?;
        let seat = trunk.seat().ok_or_else(|| ConnectError::NoHttp2 { address: address(), source: None })?;
        self.note(lease, |branch| {
            branch.prefers_http1 = false;
            if !lease.is_introduced() {
                branch.trunks.push(trunk);
            }
        });
        Ok(Line::StreamPermit(seat, Some(started.elapsed())))
    }

    fn note(&self, lease: &Lease, change: impl FnOnce(&mut Branch)) {
        if let Some(branch) = self.branches.borrow_mut().get_mut(&lease.state().key()) {
            change(branch);
        }
    }

    /// Lets go of what has carried nothing for long enough; says when to look again.
    pub(in super::super) fn close_overdue(&self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        self.branches.borrow_mut().retain(|_, branch| {
            let (keep_alive, gone) = (branch.keep_alive, branch.target.is_gone());
            branch.trunks.retain(|connection| {
                let until = connection.rests_since().unwrap_or(now) + keep_alive;
                let stays = !gone && !connection.is_retired() && until > now;
                if stays {
                    next = Some(next.map_or(until, |next| next.min(until)));
                }
                stays
            });
            let known = branch.prefers_http1 && Arc::strong_count(&branch.target) > 1;
            known || !branch.trunks.is_empty() || branch.dialing.is_some()
        });
        next
    }

    /// Connections, over all targets.
    pub(in super::super) fn len(&self) -> usize {
        self.branches.borrow().values().map(|branch| branch.trunks.len()).sum()
    }
}

/// The right to make a connection for all who wait. Given up on drop, also when the request that had it was given up.
struct DialState<'a> {
    trunks: &'a H2Pool,
    key: usize,
    dialing: Rc<Dialing>,
}

impl Drop for DialState<'_> {
    fn drop(&mut self) {
        if let Some(branch) = self.trunks.branches.borrow_mut().get_mut(&self.key) {
            branch.dialing = None;
        }
        self.dialing.over.notify_waiters();
    }
}
