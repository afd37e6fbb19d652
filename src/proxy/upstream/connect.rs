//! Reaches one target: name, TCP or Unix socket, TLS. No policy: it is prebuilt the target and one deadline for all of it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use rustls::AlertDescription;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::base::proxy_header::{self, Ends};
use crate::config::settings::{ProxyProtocol, Target, TargetAddress, TargetScheme, Upstream, UpstreamTls};
use crate::net::system_resolver::SystemResolver;

mod error;
mod loopback;
mod tls_test;

pub use error::ConnectError;
use loopback::LoopbackPorts;

use super::endpoint::EndpointAddr;
use super::stream::BackendStream;
use super::tls::{Alpn, TlsTowards, TlsTrust, TrustError};

/// How long the kernel lets a silent connection be before it asks whether the peer still lives: found out within
/// minutes instead of two hours, for tunnels that never time out.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// Reaches the targets of one cluster.
#[derive(Debug)]
pub struct Connector {
    limit: Duration,
    settings: UpstreamTls,
    /// How targets are prebuilt whose connection it is.
    introduce: Option<ProxyProtocol>,
    /// Present when some target speaks TLS.
    tls: Option<TlsTowards>,
    loopback: LoopbackPorts,
    resolver: SystemResolver,
}

impl Connector {
    pub(super) fn new(settings: &Upstream, trust: &TlsTrust) -> Result<Self, TrustError> {
        let asked = settings.targets.iter().any(|target| target.scheme == TargetScheme::Https);
        let tls = if asked { Some(trust.towards(&settings.tls)?) } else { None };
        let loopback = LoopbackPorts::of(&settings.targets);
        Ok(Self {
            limit: settings.timeouts.connect,
            settings: settings.tls.clone(),
            introduce: settings.proxy_protocol,
            tls,
            loopback,
            resolver: trust.resolver().clone(),
        })
    }

    /// Whether a connection of the other's could as well be one of ours.
    pub(super) fn reaches_like(&self, other: &Self) -> bool {
        let print = |dialer: &Self| dialer.tls.as_ref().map(|tls| tls.print);
        self.settings == other.settings && self.introduce == other.introduce && print(self) == print(other)
    }

    /// Who is asked for the addresses of targets' names.
    pub const fn resolver(&self) -> &SystemResolver {
        &self.resolver
    }

    /// Connects to `target` for ourselves, as to see whether it lives.
    pub async fn dial(&self, target: &Target) -> Result<BackendStream, ConnectError> {
        self.dial_for(target.into(), None, Alpn::Http1).await
    }

    /// Connects to a place in the name of a client, and lets it choose of what is offered. All of it, from the name to the
    /// end of the TLS handshake, shares one limit of time.
    pub(super) async fn dial_for(
        &self,
        place: EndpointAddr<'_>,
        ends: Option<&Ends>,
        offer: Alpn,
    ) -> Result<BackendStream, ConnectError> {
        let attempt = self.attempt(place, ends);
        match (&place.target.address, place.target.scheme) {
            (TargetAddress::Unix(path), TargetScheme::Http | TargetScheme::H2c) => {
                Ok(BackendStream::Unix(attempt.unix(path).await?))
            }
            (TargetAddress::Unix(path), TargetScheme::Https) => {
                let stream = attempt.unix(path).await?;
                Ok(BackendStream::UnixTls(self.tls(&attempt, offer, stream).await?))
            }
            (_, TargetScheme::Http | TargetScheme::H2c) => Ok(BackendStream::Tcp(attempt.tcp().await?)),
            (_, TargetScheme::Https) => {
                let stream = attempt.tcp().await?;
                Ok(BackendStream::TcpTls(self.tls(&attempt, offer, stream).await?))
            }
        }
    }

    fn attempt<'a>(&'a self, place: EndpointAddr<'a>, ends: Option<&Ends>) -> Attempt<'a> {
        let (header, loopback, resolver) = (self.header(ends), &self.loopback, &self.resolver);
        Attempt { deadline: Instant::now() + self.limit, limit: self.limit, place, header, loopback, resolver }
    }

    /// What a connection begins with, where targets are prebuilt whose it is.
    fn header(&self, ends: Option<&Ends>) -> Option<Vec<u8>> {
        self.introduce.map(|version| match version {
            ProxyProtocol::V1 => proxy_header::line_for(ends),
            ProxyProtocol::V2 => proxy_header::binary_for(ends),
        })
    }

    async fn tls<S>(&self, attempt: &Attempt<'_>, offer: Alpn, stream: S) -> Result<Box<TlsStream<S>>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let tls = self.tls.as_ref().expect("a dialer for https targets was made with TLS");
        let name = self.server_name(attempt.place.target);
        let handshake = TlsConnector::from(tls.offering(offer)).connect(name.clone(), stream);
        let error = match timeout_at(attempt.deadline, handshake).await {
            Ok(Ok(stream)) => return Ok(Box::new(stream)),
            Ok(Err(error)) => error,
            Err(_elapsed) => return Err(attempt.timed_out("TLS")),
        };
        let address = attempt.place.to_string();
        Err(match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(source @ rustls::Error::InvalidCertificate(_)) => {
                ConnectError::Certificate { address, name: name.to_str().into_owned(), source: source.clone() }
            }
            Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => {
                ConnectError::NoHttp2 { address, source: Some(error.into()) }
            }
            _ => ConnectError::Tls { address, source: error },
        })
    }

    /// The name sent and verified: the one set, else the target's own.
    fn server_name(&self, target: &Target) -> ServerName<'static> {
        let name = match (&self.settings.server_name, &target.address) {
            (Some(name), _) | (None, TargetAddress::Name(name, _)) => name.as_str().to_owned(),
            (None, TargetAddress::Socket(addr)) => return ServerName::IpAddress(addr.ip().into()),
            (None, TargetAddress::Loopback(_)) => return ServerName::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST).into()),
            // A path proves nothing; a socket of this machine is nearest to this name.
            (None, TargetAddress::Unix(_)) => "localhost".to_owned(),
        };
        ServerName::try_from(name).expect("a HostName is a name that TLS accepts")
    }
}

/// One try to reach one target.
struct Attempt<'a> {
    deadline: Instant,
    limit: Duration,
    place: EndpointAddr<'a>,
    /// What is said before anything else.
    header: Option<Vec<u8>>,
    loopback: &'a LoopbackPorts,
    resolver: &'a SystemResolver,
}

impl Attempt<'_> {
    async fn tcp(&self) -> Result<TcpStream, ConnectError> {
        let address = &self.place.target.address;
        let stream = match (address, &self.place.at) {
            (TargetAddress::Loopback(port), _) => self.first_of_loopback(*port).await?,
            (TargetAddress::Name(_, port), None) if address.loopback_port().is_some() => self.first_of_loopback(*port).await?,
            (TargetAddress::Socket(addr), _) | (TargetAddress::Name(..), Some(addr)) => self.first_of(&[*addr]).await?,
            (TargetAddress::Name(name, port), None) => self.first_of(&self.resolve(name.as_str(), *port).await?).await?,
            (TargetAddress::Unix(path), _) => return Err(self.no_address(&path.display().to_string())),
        };
        self.introduced(stream).await
    }

    async fn introduced<S: AsyncWrite + Unpin>(&self, mut stream: S) -> Result<S, ConnectError> {
        let Some(header) = &self.header else { return Ok(stream) };
        match timeout_at(self.deadline, stream.write_all(header)).await {
            Ok(Ok(())) => Ok(stream),
            Ok(Err(source)) => Err(unreached(self.place.to_string(), source)),
            Err(_elapsed) => Err(self.timed_out("the PROXY header")),
        }
    }

    async fn resolve(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        match timeout_at(self.deadline, self.resolver.lookup(name, port)).await {
            Ok(Ok(addresses)) if addresses.is_empty() => Err(self.no_address(name)),
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(source)) => Err(ConnectError::NameNotFound { name: name.to_owned(), source }),
            Err(_elapsed) => Err(self.timed_out("the name")),
        }
    }

    fn no_address(&self, name: &str) -> ConnectError {
        let source = io::Error::new(io::ErrorKind::NotFound, "it has no address");
        ConnectError::NameNotFound { name: name.to_owned(), source }
    }

    /// One address after the other; each but the last may use its share of the time that is left, so that a dead one
    /// does not keep the living ones from being tried.
    async fn first_of(&self, addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
        let mut failure = self.timed_out("TCP");
        for (i, addr) in addresses.iter().enumerate() {
            let now = Instant::now();
            let share = u32::try_from(addresses.len() - i).unwrap_or(u32::MAX);
            let until = now + self.deadline.saturating_duration_since(now) / share;
            match timeout_at(until, TcpStream::connect(addr)).await {
                Ok(Ok(stream)) => {
                    prepare(&stream);
                    return Ok(stream);
                }
                Ok(Err(source)) => failure = unreached(addr.to_string(), source),
                Err(_elapsed) => failure = self.timed_out("TCP"),
            }
        }
        Err(failure)
    }

    async fn first_of_loopback(&self, port: u16) -> Result<TcpStream, ConnectError> {
        for addr in self.loopback.order(port) {
            match timeout_at(self.deadline, TcpStream::connect(addr)).await {
                Ok(Ok(stream)) => {
                    self.loopback.connected(port, addr);
                    prepare(&stream);
                    return Ok(stream);
                }
                // A machine without IPv6, or without IPv4, has no such address: nothing can listen there.
                Ok(Err(source)) if loopback::is_absent(source.kind()) => (),
                Ok(Err(source)) => return Err(unreached(addr.to_string(), source)),
                Err(_elapsed) => return Err(self.timed_out("TCP")),
            }
        }
        Err(ConnectError::NothingListens { port, at: self.place.target.at.clone() })
    }

    async fn unix(&self, path: &Path) -> Result<UnixStream, ConnectError> {
        match timeout_at(self.deadline, UnixStream::connect(path)).await {
            Ok(Ok(stream)) => self.introduced(stream).await,
            Ok(Err(source)) => Err(unreached(self.place.to_string(), source)),
            Err(_elapsed) => Err(self.timed_out("the socket")),
        }
    }

    fn timed_out(&self, stage: &'static str) -> ConnectError {
        ConnectError::TimedOut { address: self.place.to_string(), stage, limit: self.limit }
    }
}

fn unreached(address: String, source: io::Error) -> ConnectError {
    match source.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::Refused { address },
        _ => ConnectError::Unreachable { address, source },
    }
}

/// Best effort: a connection without these works as well, only later or longer than it should.
fn prepare(stream: &TcpStream) {
    let _slower = stream.set_nodelay(true);
    let _unprobed = SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_AFTER));
}
