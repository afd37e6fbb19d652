//! Sockets that systemd opened for us (`sd_listen_fds(3)`). Each is kept for as long as the process lives, since it cannot be
//! had a second time: a reload that gives a port up can be followed by one that wants it again. Workers get copies.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use socket2::SockRef;

use super::bind::{ListenKey, Listening, Role};
use super::quic::cid_routing::WorkerIndex;

/// All that were handed over.
#[derive(Debug, Default)]
pub struct InheritedSockets(Vec<Socket>);

#[derive(Debug)]
struct Socket {
    reach: Reach,
    socket: Kind,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// What comes to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reach {
    addr: SocketAddr,
    is_udp: bool,
    /// Whether an IPv6 socket takes IPv4 as well.
    is_dual: bool,
}

/// The handed sockets by which each place is served, by their numbers. A place without any is served by a socket of another
/// one; a place that is not in here is served by none, and is to be opened.
pub type Served = BTreeMap<ListenKey, Vec<usize>>;

impl InheritedSockets {
    /// Takes all of them from the environment; there are none when we were started otherwise.
    pub fn from_environment() -> Self {
        let mut fds = listenfd::ListenFd::from_env();
        let tcp: Vec<TcpListener> = (0..fds.len()).filter_map(|at| fds.take_tcp_listener(at).ok().flatten()).collect();
        let udp: Vec<UdpSocket> = (0..fds.len()).filter_map(|at| fds.take_udp_socket(at).ok().flatten()).collect();
        Self::new(tcp, udp)
    }

    /// These.
    pub fn new(tcp: Vec<TcpListener>, udp: Vec<UdpSocket>) -> Self {
        let tcp = tcp.into_iter().map(Kind::Tcp);
        let all = tcp.chain(udp.into_iter().map(Kind::Udp));
        // One without an address of IP is a Unix socket, which is nothing that a configuration could want.
        Self(all.filter_map(|socket| Some(Socket { reach: socket.reach().ok()?, socket })).collect())
    }

    /// Which of them serve which of the places that are wanted.
    pub fn served(&self, wanted: &BTreeSet<ListenKey>) -> Served {
        let reaches: Vec<Reach> = self.0.iter().map(|socket| socket.reach).collect();
        served(wanted, &reaches)
    }

    /// Copies of the sockets with these numbers, for each of `workers`. A UDP socket is one worker's alone: it cannot be
    /// shared, because the packets of a connection would come to whoever reads first.
    pub fn copies(&self, numbers: &[usize], workers: usize) -> io::Result<Vec<Vec<Listening>>> {
        let mut all: Vec<Vec<Listening>> = (0..workers).map(|_| Vec::new()).collect();
        for (at, number) in numbers.iter().enumerate() {
            match &self.0[*number].socket {
                Kind::Tcp(listener) => {
                    listener.set_nonblocking(true)?;
                    for worker in &mut all {
                        worker.push(Listening::Tcp(listener.try_clone()?));
                    }
                }
                Kind::Udp(socket) => {
                    socket.set_nonblocking(true)?;
                    all[at % workers].push(Listening::Udp(socket.try_clone()?, WorkerIndex::alone()));
                }
            }
        }
        Ok(all)
    }
}

impl Kind {
    fn reach(&self) -> io::Result<Reach> {
        let (addr, socket, is_udp) = match self {
            Self::Tcp(listener) => (listener.local_addr()?, SockRef::from(listener), false),
            Self::Udp(socket) => (socket.local_addr()?, SockRef::from(socket), true),
        };
        Ok(Reach { addr, is_udp, is_dual: addr.is_ipv6() && !socket.only_v6()? })
    }
}

impl Reach {
    fn is_at(&self, spot: &ListenKey) -> bool {
        self.addr.port() == spot.addr.port() && self.is_udp == (spot.role == Role::Quic)
    }

    /// How well it fits a place of its port: at the same address, of the same family, or not.
    fn fit(&self, spot: &ListenKey) -> u8 {
        match () {
            () if self.addr.ip() == spot.addr.ip() => 2,
            () if self.addr.is_ipv4() == spot.addr.is_ipv4() => 1,
            () => 0,
        }
    }

    /// Whether what comes to the place comes to it.
    fn covers(&self, spot: &ListenKey) -> bool {
        let whole_family = self.addr.ip().is_unspecified() && self.addr.is_ipv4() == spot.addr.is_ipv4();
        let both = self.addr.ip() == IpAddr::from([0; 16]) && self.is_dual;
        self.addr.ip() == spot.addr.ip() || whole_family || both
    }
}

/// Every socket serves the place of its port that fits it best, whatever address it was opened on: who hands it over says
/// where to listen. A place that gets none may be covered by a socket of another.
fn served(wanted: &BTreeSet<ListenKey>, handed: &[Reach]) -> Served {
    let mut served = Served::new();
    for (number, reach) in handed.iter().enumerate() {
        // The first of those that fit equally well.
        let best = wanted.iter().filter(|spot| reach.is_at(spot)).rev().max_by_key(|spot| reach.fit(spot));
        if let Some(spot) = best {
            served.entry(*spot).or_default().push(number);
        }
    }
    for spot in wanted {
        if handed.iter().any(|reach| reach.is_at(spot) && reach.covers(spot)) {
            served.entry(*spot).or_default();
        }
    }
    served
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spots(list: &[&str]) -> BTreeSet<ListenKey> {
        let only_v6 = list.iter().any(|text| !text.starts_with('['));
        list.iter().map(|text| ListenKey { addr: text.parse().unwrap(), role: Role::Tls, only_v6 }).collect()
    }

    /// Places as they are written, sockets likewise, `+` behind one that takes both families.
    fn check(wanted: &[&str], handed: &[&str], expected: &str) {
        let reaches: Vec<Reach> = handed
            .iter()
            .map(|text| Reach { addr: text.trim_end_matches('+').parse().unwrap(), is_udp: false, is_dual: text.ends_with('+') })
            .collect();
        let served = served(&spots(wanted), &reaches);
        let shown: Vec<String> = served.iter().map(|(spot, numbers)| format!("{} {numbers:?}", spot.addr)).collect();
        assert_eq!(shown.join(", "), expected, "{wanted:?} {handed:?}");
    }

    #[test]
    fn every_handed_socket_serves_a_place() {
        check(&["[::]:443"], &["0.0.0.0:443", "[::]:443"], "[::]:443 [0, 1]");
        check(&["0.0.0.0:443", "[::]:443"], &["0.0.0.0:443", "[::]:443"], "0.0.0.0:443 [0], [::]:443 [1]");
        check(&["0.0.0.0:443", "[::]:443"], &["[::]:443+"], "0.0.0.0:443 [], [::]:443 [0]");
        check(&["0.0.0.0:443", "[::]:443"], &["0.0.0.0:443"], "0.0.0.0:443 [0]");
        check(&["127.0.0.1:443"], &["[::]:443+"], "127.0.0.1:443 [0]");
        check(&["192.0.2.1:443", "192.0.2.2:443"], &["192.0.2.2:443", "192.0.2.1:443"], "192.0.2.1:443 [1], 192.0.2.2:443 [0]");
        check(&["192.0.2.1:443", "192.0.2.2:443"], &["0.0.0.0:443"], "192.0.2.1:443 [0], 192.0.2.2:443 []");
        check(&["[::]:443"], &["0.0.0.0:80"], "");
    }

    #[test]
    fn a_handed_socket_can_be_taken_again_and_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind(listener.local_addr().unwrap()).unwrap();
        let addr = listener.local_addr().unwrap();
        let handed = InheritedSockets::new(vec![listener], vec![udp]);
        let wanted: BTreeSet<ListenKey> = [Role::Tls, Role::Quic].map(|role| ListenKey { addr, role, only_v6: false }).into();
        for _ in 0..3 {
            let served = handed.served(&wanted);
            assert_eq!(served.values().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
            let count = |role| {
                let spot = ListenKey { addr, role, only_v6: false };
                handed.copies(&served[&spot], 2).unwrap().iter().map(Vec::len).collect::<Vec<_>>()
            };
            assert_eq!((count(Role::Tls), count(Role::Quic)), (vec![1, 1], vec![1, 0]));
        }
    }
}
