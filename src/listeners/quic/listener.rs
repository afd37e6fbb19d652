//! One worker's QUIC socket: which connections it takes, and their handshakes.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;

use quinn::crypto::rustls::HandshakeData;
use quinn::{ConnectionError, Endpoint, EndpointConfig, Incoming};
use rustls::pki_types::CertificateDer;
use tokio::task::JoinHandle;

use super::cid_routing::{Ids, WorkerIndex};
use super::handshake_hooks::HandshakeHooks;
use super::runtime::OnThisWorker;
use super::session::{Limits, Session};
use crate::base::addr::{unmapped, unmapped_socket};
use crate::base::name::HostName;
use crate::base::task;
use crate::listeners::connections::{ConnectionRegistry, Driven};
use crate::listeners::context::ConnectionContext;
use crate::listeners::listener_config::ListenerConfig;
use crate::listeners::tls::{HandshakeError, RejectedHello};
use crate::proxy::connection::TlsFacts;
use crate::telemetry::metrics::handshakes::Fault;

/// With more handshakes than this in progress, a client has to prove first that it is where it says (RFC 9000 section
/// 8.1): a flood from made-up addresses then costs no signatures.
const BUSY: usize = 64;
/// So many newcomers are looked at before others have their turn. To ask one for a proof of its address takes as long as a
/// small request.
const TURN: usize = 16;

/// A socket that takes connections.
pub struct Listener {
    endpoint: Endpoint,
    accepting: JoinHandle<Option<()>>,
    conns: Rc<ConnectionRegistry>,
}

impl Listener {
    /// Starts taking connections from `socket`. To be called on the worker's runtime.
    pub fn open(context: &Rc<ConnectionContext>, socket: UdpSocket, place: WorkerIndex) -> io::Result<Self> {
        let front = context.front();
        let quic = front.quic.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let server = quic.for_endpoint().map_err(io::Error::other)?;
        let local = socket.local_addr()?;
        let mut config = EndpointConfig::default();
        config.cid_generator(move || Box::new(Ids(place)));
        if let Some(key) = quic.keys.reset(local, place) {
            config.reset_key(key);
        }
        let endpoint = Endpoint::new(config, Some(server), socket, Arc::new(OnThisWorker))?;
        let conns = Rc::<ConnectionRegistry>::default();
        let taking = Taking {
            context: Rc::clone(context),
            conns: Rc::clone(&conns),
            local: unmapped_socket(local),
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
    pub fn conns(&self) -> &Rc<ConnectionRegistry> {
        &self.conns
    }
}

/// What taking connections needs.
struct Taking {
    context: Rc<ConnectionContext>,
    conns: Rc<ConnectionRegistry>,
    local: SocketAddr,
    handshakes: Rc<Cell<usize>>,
}

impl Taking {
    async fn accept(self, endpoint: Endpoint) {
        let this = Rc::new(self);
        for count in 1_usize.. {
            let Some(incoming) = endpoint.accept().await else { return };
            this.admit(incoming);
            if count.is_multiple_of(TURN) {
                tokio::task::yield_now().await;
            }
        }
    }

    fn admit(self: &Rc<Self>, incoming: Incoming) {
        if self.handshakes.get() >= BUSY && !incoming.remote_address_validated() {
            // An address that is not validated may always be asked to come again.
            let _ = incoming.retry();
            return;
        }
        let Some(held) = self.context.room(incoming.remote_address()) else { return incoming.refuse() };
        let (this, front) = (Rc::clone(self), self.context.front());
        drop(task::spawn_local("connection", async move {
            this.receive(front, incoming).await;
            drop(held);
        }));
    }

    async fn receive(self: Rc<Self>, front: Arc<ListenerConfig>, incoming: Incoming) {
        let peer = unmapped_socket(incoming.remote_address());
        let local = SocketAddr::new(incoming.local_ip().map_or_else(|| self.local.ip(), unmapped), self.local.port());
        match self.shake_hands(&front, incoming, local).await {
            Ok((quic, tls)) => {
                let member = self.conns.enter();
                let activity = Arc::clone(member.activity());
                let metrics = &self.context.metrics().handshakes;
                metrics.tls13.add_one();
                let ends = (local, front.ports.public(local.port()));
                let session = Session::new(quic, (Rc::clone(&self.context), Limits::of(&front)), activity, ends, tls);
                let _ = Driven::new(session.serve(), member).await;
            }
            Err(refused) => self.context.note(&refused, peer),
        }
    }

    async fn shake_hands(
        &self,
        front: &ListenerConfig,
        incoming: Incoming,
        local: SocketAddr,
    ) -> Result<(quinn::Connection, TlsFacts), RejectedHello> {
        let tls = |error: io::Error| HandshakeError::Tls(Fault::Other, error);
        let unnamed = |why| RejectedHello { server_name: None, why };
        let Some(quic) = &front.quic else { return Err(unnamed(tls(io::ErrorKind::Unsupported.into()))) };
        let (config, asked) = quic.for_connection(local).map_err(|error| unnamed(tls(io::Error::other(error))))?;
        let _in_progress = InProgress::begin(&self.handshakes);
        let connecting = incoming.accept_with(config).map_err(|error| unnamed(tls(error.into())))?;
        match tokio::time::timeout(front.timeouts.handshake, connecting).await {
            Ok(Ok(connection)) => {
                let facts = facts(&connection, &asked);
                Ok((connection, facts))
            }
            Ok(Err(error)) => Err(asked.refused(HandshakeError::Tls(fault(&error), as_alert(error)))),
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

fn facts(connection: &quinn::Connection, asked: &HandshakeHooks) -> TlsFacts {
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    let server_name = data.and_then(|data| data.server_name).and_then(|name| HostName::parse(&name).ok());
    let shown = connection.peer_identity().and_then(|shown| shown.downcast::<Vec<CertificateDer<'static>>>().ok());
    let client_cert =
        asked.client_certs().and_then(|client_certs| client_certs.client_cert(shown.as_ref().map(|chain| chain.as_slice())));
    TlsFacts { server_name, client_cert, is_stand_in: false }
}

/// A client's alert as the TLS library has it over TCP, anything else as it is.
fn as_alert(error: ConnectionError) -> io::Error {
    let code = match &error {
        ConnectionError::ConnectionClosed(close) => u64::from(close.error_code).checked_sub(0x100),
        _ => None,
    };
    match code.and_then(|code| u8::try_from(code).ok()) {
        Some(alert) => io::Error::other(rustls::Error::AlertReceived(alert.into())),
        None => error.into(),
    }
}

/// What a failed handshake means; TLS alerts are codes from 0x100 on (RFC 9001 section 4.8), with ours for what the client
/// did.
fn fault(error: &ConnectionError) -> Fault {
    match error {
        ConnectionError::TransportError(error) => match u64::from(error.code).checked_sub(0x100) {
            Some(116) => Fault::NoClientCertificate,
            // bad_certificate to certificate_unknown, unknown_ca, decrypt_error (RFC 8446 section 6.2)
            Some(42..=46 | 48 | 51) => Fault::BadClientCertificate,
            // handshake_failure, protocol_version, missing_extension, no_application_protocol
            Some(40 | 70 | 109 | 120) => Fault::NothingInCommon,
            _ => Fault::Other,
        },
        ConnectionError::ConnectionClosed(_) | ConnectionError::ApplicationClosed(_) => Fault::RefusedByClient,
        ConnectionError::TimedOut | ConnectionError::Reset => Fault::ClientLeft,
        ConnectionError::VersionMismatch | ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => Fault::Other,
    }
}
