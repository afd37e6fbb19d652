//! The facts of one client connection.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use http::header::HeaderValue;

use super::client_cert::ClientCert;
use super::forward::{self, HeaderLines};
use super::refusal::Malformed;
use super::validate::{self, Host};
use crate::base::addr::unmapped_socket;
use crate::base::name::HostName;

/// What is known of a client's TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// The name the client asked for.
    pub server_name: Option<HostName>,
    /// The client itself, where its site asked for a certificate and accepted it.
    pub client_cert: Option<Arc<ClientCert>>,
    /// Whether a certificate was shown that only stands in while the host's own is being obtained.
    pub is_stand_in: bool,
}

impl TlsFacts {
    /// From a session whose handshake is done; `client_cert` is the certificate that its client has shown.
    pub fn of(session: &rustls::ServerConnection, client_cert: Option<Arc<ClientCert>>) -> Self {
        Self { server_name: session.server_name().and_then(|name| HostName::parse(name).ok()), client_cert, is_stand_in: false }
    }
}

/// One client connection. Keeps what is the same for all its requests, ready as header values.
pub struct Connection {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    tls: Option<TlsFacts>,
    peer_line: HeaderValue,
    /// The port that the client used.
    port_line: HeaderValue,
    /// The authority seen last: nearly always the next one's too.
    seen: RefCell<Option<Rc<Authority>>>,
}

/// An authority and what was made of it.
#[derive(Debug)]
pub(super) struct Authority {
    /// As the client wrote it.
    pub(super) line: HeaderValue,
    pub(super) host: Host,
    /// What an ordinary request's backend is prebuilt of the client; see [`forward::PrebuiltHeaders`].
    pub(super) prebuilt: Box<[u8]>,
}

impl Connection {
    /// A connection from `peer` to `local`.
    pub fn new(peer: SocketAddr, local: SocketAddr, tls: Option<TlsFacts>) -> Self {
        let peer = unmapped_socket(peer);
        let text = |text: String| HeaderValue::try_from(text).expect("addresses and numbers are visible ASCII");
        Self {
            peer,
            local,
            tls,
            peer_line: text(peer.ip().to_string()),
            port_line: text(local.port().to_string()),
            seen: RefCell::default(),
        }
    }

    /// The same with the port that the client used, where it was forwarded to the one that is listened on.
    #[must_use]
    pub fn reached_at(mut self, port: u16) -> Self {
        self.port_line = HeaderValue::from(port);
        self
    }

    /// The address that the connection comes from.
    pub(super) const fn peer(&self) -> IpAddr {
        self.peer.ip()
    }

    /// Whether it is over TLS.
    pub const fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// What is known of its TLS.
    pub(super) const fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_ref()
    }

    /// The port that is listened on, by which routes are found.
    pub const fn port(&self) -> u16 {
        self.local.port()
    }

    pub(super) const fn scheme(&self) -> &'static str {
        if self.is_secure() { "https" } else { "http" }
    }

    /// The normal form of an authority; an HTTP/1.0 request without one means the name of the handshake.
    pub(super) fn authority(&self, raw: Option<&[u8]>) -> Result<Rc<Authority>, Malformed> {
        let named = || self.tls.as_ref().and_then(|tls| tls.server_name.as_ref()).map(|name| name.as_str().as_bytes());
        let raw = raw.or_else(named).ok_or(Malformed::Host)?;
        if let Some(seen) = &*self.seen.borrow()
            && seen.line.as_bytes() == raw
        {
            return Ok(Rc::clone(seen));
        }
        let (host, _port) = validate::host(raw)?;
        let line = HeaderValue::from_bytes(raw).map_err(|_| Malformed::HostSyntax)?;
        let prebuilt = self.lines(&line, HeaderValue::from_static("")).written().into_boxed_slice();
        let authority = Rc::new(Authority { line, host, prebuilt });
        self.seen.replace(Some(Rc::clone(&authority)));
        Ok(authority)
    }

    /// What a backend is prebuilt of this connection and of a client that came by it without a trusted proxy.
    pub(super) fn lines(&self, host: &HeaderValue, id: HeaderValue) -> HeaderLines {
        HeaderLines {
            chain: self.peer_line.clone(),
            client: self.peer_line.clone(),
            proto: HeaderValue::from_static(self.scheme()),
            port: self.port_line.clone(),
            host: host.clone(),
            forwarded: forward::forwarded(&[self.peer.ip()], host.as_bytes(), self.scheme()),
            id,
            peer: forward::Peer::Untrusted,
        }
    }
}
