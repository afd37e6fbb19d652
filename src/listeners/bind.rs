//! Listening sockets that are opened here; [`super::inherited`] has those of systemd. Does not accept on them.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use super::port_owner::{self, PortOwner};
use super::quic::cid_routing::{self, WorkerIndex};
use crate::base::addr::ListenAddr;
use crate::config::settings::Settings;

/// The kernel's queue of connections not yet accepted, for each socket; it caps this at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// What a UDP socket may hold while its thread does something else; the kernel caps this at `net.core.rmem_max` and
/// `wmem_max`.
const UDP_BUFFER: usize = 4 << 20;

/// What is spoken on a listening socket from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// HTTP in the clear.
    Plain,
    /// TLS.
    Tls,
    /// QUIC, over UDP.
    Quic,
}

/// A place to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenKey {
    /// Address and port.
    pub addr: SocketAddr,
    /// What is spoken there.
    pub role: Role,
    /// Whether an IPv6 socket leaves IPv4 to another one.
    pub only_v6: bool,
}

/// An open socket.
#[derive(Debug)]
pub enum Listening {
    /// A listening one.
    Tcp(TcpListener),
    /// One whose packets are a thread's own, as far as [`cid_routing`] could have it so.
    Udp(UdpSocket, WorkerIndex),
}

/// Why a place cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else has the port.
    #[error("{spot} is in use by {holder}; stop that program, or choose another port with `{word}`")]
    InUse {
        /// Where.
        spot: ListenAddr,
        /// By whom, as far as it can be told.
        holder: PortOwner,
        /// The directive that moves us elsewhere.
        word: &'static str,
    },
    /// Ports below 1024 need a capability.
    #[error(
        "{spot} may not be opened by this user; run doorward by its systemd unit, give the program the capability with \
         `setcap cap_net_bind_service=+ep`, or choose a port from 1024 up with `{word}`"
    )]
    NotPermitted {
        /// Where.
        spot: ListenAddr,
        /// The directive that moves us elsewhere.
        word: &'static str,
    },
    /// The address is not one of this machine's.
    #[error("{spot} is not an address of this machine; correct `bind`, or leave it out to listen on every address")]
    NotOurs {
        /// Where.
        spot: ListenAddr,
    },
    /// Anything else the system said.
    #[error("cannot listen on {spot}")]
    Other {
        /// Where.
        spot: ListenAddr,
        /// The system's words.
        #[source]
        source: io::Error,
    },
}

/// Every place the settings ask for, each once: the http port when any name wants https or plain http there, the https
/// port when any name has a certificate, and the ports that sites name themselves. Where TLS is spoken, QUIC is as well.
pub fn wanted(settings: &Settings) -> BTreeSet<ListenKey> {
    let mut ports: BTreeSet<(u16, Role)> = BTreeSet::new();
    for host in settings.sites.iter().flat_map(|site| &site.hosts) {
        ports.insert((host.port, if host.plain { Role::Plain } else { Role::Tls }));
        if !host.plain {
            // Challenges and redirects.
            ports.insert((settings.http_port, Role::Plain));
        }
    }
    if settings.protocols.h3 {
        let tls = ports.iter().filter(|(_, role)| *role == Role::Tls).map(|(port, _)| (*port, Role::Quic));
        ports = ports.iter().copied().chain(tls).collect();
    }
    let only_v6 = settings.bind.iter().any(IpAddr::is_ipv4);
    let spots = |(port, role): &(u16, Role)| {
        let (port, role) = (*port, *role);
        settings.bind.iter().map(move |ip| ListenKey { addr: SocketAddr::new(*ip, port), role, only_v6 })
    };
    ports.iter().flat_map(spots).collect()
}

/// Opens `spot` once for each of `workers`, all or nothing.
pub fn open(spot: ListenKey, workers: usize) -> Result<Vec<Listening>, BindError> {
    let opened = match spot.role {
        Role::Plain | Role::Tls => open_tcp(spot, workers),
        Role::Quic => open_udp(spot, workers),
    };
    opened.map_err(|error| explain(spot, error))
}

fn open_tcp(spot: ListenKey, workers: usize) -> io::Result<Vec<Listening>> {
    // Port sharing would quietly share with an older doorward of the same user as well; a first socket without it
    // finds out whether anybody is there.
    drop(fresh(spot, |addr| listen(addr, spot.only_v6, false))?);
    (0..workers).map(|_| fresh(spot, |addr| listen(addr, spot.only_v6, true)).map(Listening::Tcp)).collect()
}

fn open_udp(spot: ListenKey, workers: usize) -> io::Result<Vec<Listening>> {
    drop(fresh(spot, |addr| receive(addr, spot.only_v6, false))?);
    let sockets: io::Result<Vec<_>> = (0..workers).map(|_| fresh(spot, |addr| receive(addr, spot.only_v6, true))).collect();
    Ok(cid_routing::share(sockets?).map(|(socket, place)| Listening::Udp(socket, place)).collect())
}

/// Opens `spot`. An IPv6 wildcard on a machine without IPv6 becomes the IPv4 one.
fn fresh<T>(spot: ListenKey, open: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
    match open(spot.addr) {
        Err(error) if spot.addr.ip() == IpAddr::from([0; 16]) && without_ipv6(&error) => {
            open(SocketAddr::new(IpAddr::from([0; 4]), spot.addr.port()))
        }
        result => result,
    }
}

fn listen(addr: SocketAddr, only_v6: bool, share: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    // Connections of a former process may linger in TIME_WAIT on the port.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share)?;
    socket.bind(&addr.into())?;
    if share {
        socket.listen(BACKLOG)?;
    } else {
        // Two sockets may be bound with SO_REUSEADDR; only listening tells that somebody else listens already.
        socket.listen(1)?;
    }
    Ok(socket.into())
}

fn receive(addr: SocketAddr, only_v6: bool, share: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    // Less than asked for is what most machines allow; it costs repeats under load, and nothing else.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER);
    let _ = socket.set_send_buffer_size(UDP_BUFFER);
    socket.set_reuse_port(share)?;
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// EAFNOSUPPORT: the kernel has no IPv6; EADDRNOTAVAIL on the wildcard: IPv6 is switched off.
fn without_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.raw_os_error() == Some(EAFNOSUPPORT) || error.kind() == io::ErrorKind::AddrNotAvailable
}

/// What an error at a place means for a person.
pub fn explain(spot: ListenKey, error: io::Error) -> BindError {
    let word = match spot.role {
        Role::Plain => "http-port",
        Role::Tls | Role::Quic => "https-port",
    };
    let at = ListenAddr(spot.addr);
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let holder = match spot.role {
                Role::Plain | Role::Tls => port_owner::of_port(spot.addr.port()),
                Role::Quic => port_owner::of_udp_port(spot.addr.port()),
            };
            BindError::InUse { spot: at, holder, word }
        }
        io::ErrorKind::PermissionDenied => BindError::NotPermitted { spot: at, word },
        io::ErrorKind::AddrNotAvailable => BindError::NotOurs { spot: at },
        _ => BindError::Other { spot: at, source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(port: u16) -> ListenKey {
        ListenKey { addr: SocketAddr::from(([127, 0, 0, 1], port)), role: Role::Tls, only_v6: false }
    }

    #[test]
    fn a_port_in_use_is_refused_with_its_holder() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        let error = open(local(port), 2).unwrap_err().to_string();
        let us = format!("process {}", std::process::id());
        assert!(error.contains(&us) && error.contains("https-port"), "{error}");
    }

    #[test]
    fn a_second_gateway_of_the_same_user_is_noticed_in_spite_of_port_sharing() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let first = open(local(free), 2).unwrap();
        assert_eq!(first.len(), 2);
        assert!(matches!(open(local(free), 2), Err(BindError::InUse { .. })));
    }

    #[test]
    fn a_udp_port_in_use_is_refused_with_its_holder() {
        let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
        let spot = ListenKey { role: Role::Quic, ..local(holder.local_addr().unwrap().port()) };
        let error = open(spot, 2).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(holder);
        assert_eq!(open(spot, 2).unwrap().len(), 2);
    }

    #[test]
    fn an_address_of_another_machine_is_named_as_such() {
        let spot = ListenKey { addr: "192.0.2.1:8443".parse().unwrap(), ..local(0) };
        assert!(matches!(open(spot, 1), Err(BindError::NotOurs { .. })));
    }
}
