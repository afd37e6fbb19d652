//! One worker's QUIC socket: which connections it takes, and their handshakes.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;

use quinn::crypto::rustls::HandshakeData;
use quinn::{Endpoint, EndpointConfig, Incoming};
use tokio::task::JoinHandle;

use super::connection::{Limits, Session};
use super::runtime::OnThisWorker;
use super::steer::{Ids, Place};
use crate::base::addr::{unmapped, unmapped_socket};
use crate::base::name::HostName;
use crate::base::task;
use crate::listeners::accept::Door;
use crate::listeners::conns::{Conns, Driven};
use crate::listeners::front::Front;
use crate::listeners::tls::{HandshakeError, Refused};
use crate::proxy::exchange::TlsFacts;

/// With more handshakes than this in progress, a client has to prove first that it is where it says (RFC 9000 section
/// 8.1): a flood from made-up addresses then costs no signatures.
const BUSY: usize = 64;

/// A socket that takes connections.
pub struct Listener {
    endpoint: Endpoint,
    accepting: JoinHandle<Option<()>>,
    conns: Rc<Conns>,
}

impl Listener {
    /// Starts taking connections from `socket`. To be called on the worker's runtime.
    pub fn open(door: &Rc<Door>, socket: UdpSocket, place: Place) -> io::Result<Self> {
        let front = door.front();
        let quic = front.quic.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let server = quic.for_endpoint().map_err(io::Error::other)?;
        let mut config = EndpointConfig::default();
        config.cid_generator(move || Box::new(Ids(place)));
        let endpoint = Endpoint::new(config, Some(server), socket, Arc::new(OnThisWorker))?;
        let conns = Rc::<Conns>::default();
        let taking = Taking {
            door: Rc::clone(door),
            conns: Rc::clone(&conns),
            local: unmapped_socket(endpoint.local_addr()?),
            handshakes: Rc::default(),
        };
        let accepting = task::spawn_local("accept", taking.accept(endpoint.clone()));
        Ok(Self { endpoint, accepting, conns })
    }

    /// Takes no new connections; those that are there keep the socket until they end.
    pub fn leave(&self) {
        self.accepting.abort();
        self.endpoint.set_server_config(None);
    }

    /// Its connections.
    pub fn conns(&self) -> &Rc<Conns> {
        &self.conns
    }
}

/// What taking connections needs.
struct Taking {
    door: Rc<Door>,
    conns: Rc<Conns>,
    local: SocketAddr,
    handshakes: Rc<Cell<usize>>,
}

impl Taking {
    async fn accept(self, endpoint: Endpoint) {
        let this = Rc::new(self);
        while let Some(incoming) = endpoint.accept().await {
            this.admit(incoming);
        }
    }

    fn admit(self: &Rc<Self>, incoming: Incoming) {
        if self.handshakes.get() >= BUSY && !incoming.remote_address_validated() {
            // An address that is not validated may always be asked to come again.
            let _ = incoming.retry();
            return;
        }
        let Some(held) = self.door.room(incoming.remote_address()) else { return incoming.refuse() };
        let (this, front) = (Rc::clone(self), self.door.front());
        drop(task::spawn_local("connection", async move {
            this.receive(front, incoming).await;
            drop(held);
        }));
    }

    async fn receive(self: Rc<Self>, front: Arc<Front>, incoming: Incoming) {
        let peer = unmapped_socket(incoming.remote_address());
        let local = SocketAddr::new(incoming.local_ip().map_or_else(|| self.local.ip(), unmapped), self.local.port());
        match self.shake_hands(&front, incoming, local).await {
            Ok(quic) => {
                let member = self.conns.enter();
                let activity = Arc::clone(member.activity());
                let tls = facts(&quic);
                let session = Session::new(quic, (Rc::clone(&self.door), Limits::of(&front)), activity, local, tls);
                let _ = Driven::new(session.serve(), member).await;
            }
            Err(refused) => self.door.note(&refused, peer),
        }
    }

    async fn shake_hands(&self, front: &Front, incoming: Incoming, local: SocketAddr) -> Result<quinn::Connection, Refused> {
        let tls = |error: io::Error| HandshakeError::Tls(error);
        let unnamed = |why| Refused { server_name: None, why };
        let Some(quic) = &front.quic else { return Err(unnamed(tls(io::ErrorKind::Unsupported.into()))) };
        let (config, asked) = quic.for_connection(local.ip()).map_err(|error| unnamed(tls(io::Error::other(error))))?;
        let _in_progress = InProgress::begin(&self.handshakes);
        let connecting = incoming.accept_with(config).map_err(|error| unnamed(tls(error.into())))?;
        match tokio::time::timeout(front.timeouts.handshake, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(asked.refused(tls(error.into()))),
            Err(_) => Err(asked.refused(HandshakeError::TooSlow)),
        }
    }
}

/// Counts a handshake while it lives.
struct InProgress(Rc<Cell<usize>>);

impl InProgress {
    fn begin(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

fn facts(connection: &quinn::Connection) -> TlsFacts {
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    let server_name = data.and_then(|data| data.server_name).and_then(|name| HostName::parse(&name).ok());
    TlsFacts { server_name }
}
