//! Brings each packet to the worker whose connection it belongs to. The kernel spreads the packets of a shared port by
//! their addresses, but a QUIC client may change its address and stay connected (RFC 9000 section 9). So every connection
//! id we give out says in its first byte whose it is, and the kernel is told to look there.

use std::net::UdpSocket;

use nix::libc::{self, sock_filter, sock_fprog};
use nix::sys::socket::{setsockopt, sockopt::AttachReusePortCbpf};
use quinn::{ConnectionId, ConnectionIdGenerator};

/// Length of our connection ids: the longest that QUIC has would only make packets longer.
const LENGTH: usize = 8;

/// One socket's place among those that share a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerIndex {
    index: u8,
    of: u8,
    /// Whether packets of its connections come to no other.
    sure: bool,
}

impl WorkerIndex {
    /// Of a socket that shares with nobody.
    pub const fn alone() -> Self {
        Self { index: 0, of: 1, sure: true }
    }

    /// Of a socket that shares, where addresses decide.
    pub(super) const fn anywhere() -> Self {
        Self { sure: false, ..Self::alone() }
    }

    /// The place `index` among `of`.
    pub(super) fn of(index: usize, of: u8) -> Option<Self> {
        let index = u8::try_from(index).ok().filter(|index| *index < of)?;
        Some(Self { index, of, sure: true })
    }

    /// What no other socket of the port is called. `None` where packets may come to another one.
    pub(super) fn name(self) -> Option<String> {
        self.sure.then(|| format!("{} of {}", self.index, self.of))
    }

    /// A first byte that says so, made of a random one.
    const fn mark(self, byte: u8) -> u8 {
        // The last round may not have room for every place.
        byte % (u8::MAX / self.of) * self.of + self.index
    }
}

/// Has the sockets, which share a port in this order, share its packets by connection. Beyond 128 sockets, and where the
/// kernel does not take the instruction, addresses decide, and a client that changes its own starts anew.
pub fn share(sockets: Vec<UdpSocket>) -> impl Iterator<Item = (UdpSocket, WorkerIndex)> {
    let of = u8::try_from(sockets.len()).ok().filter(|of| (2..=128).contains(of));
    let attached = of.is_some_and(|of| sockets.first().is_some_and(|first| attach(first, of)));
    let shared = sockets.len() > 1;
    let place = move |index: usize| match of.filter(|_| attached) {
        Some(of) => WorkerIndex::of(index, of).unwrap_or(WorkerIndex::anywhere()),
        None if shared => WorkerIndex::anywhere(),
        None => WorkerIndex::alone(),
    };
    sockets.into_iter().enumerate().map(move |(index, socket)| (socket, place(index)))
}

/// Gives the group of `socket` a program that picks one of its `of` members by the first byte of the destination
/// connection id. In a first packet the client chose that at random, which spreads new connections.
fn attach(socket: &UdpSocket, of: u8) -> bool {
    let mut program = program(of);
    let Ok(len) = u16::try_from(program.len()) else { return false };
    let program = sock_fprog { len, filter: program.as_mut_ptr() };
    let attached = setsockopt(socket, AttachReusePortCbpf, &program);
    if let Err(error) = attached {
        tracing::debug!(event = "quic_unsteered", error = %error, "packets of QUIC go to workers as the system likes");
    }
    attached.is_ok()
}

/// The packet begins at the UDP payload. Headers are of RFC 8999: a long one has the id's length in byte 5 and the id
/// behind it, a short one has the id in byte 1.
fn program(of: u8) -> [sock_filter; 7] {
    let instruction = |code: u32, jt, jf, k| sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf, k };
    let load = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    [
        instruction(load, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 2, 0x80),
        instruction(load, 0, 0, 6),
        // Over the next one.
        instruction(libc::BPF_JMP | libc::BPF_JA, 0, 0, 1),
        instruction(load, 0, 0, 1),
        instruction(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, 0, 0, u32::from(of)),
        instruction(libc::BPF_RET | libc::BPF_A, 0, 0, 0),
    ]
}

/// Gives out connection ids of one place.
pub struct Ids(pub WorkerIndex);

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut bytes = [0; LENGTH];
        // From the crypto library, because nobody may tell that two ids are of one connection. It fails on no system that
        // has come this far, and ids that collide are still told apart by their keys.
        let _ = aws_lc_rs::rand::fill(&mut bytes);
        bytes[0] = self.0.mark(bytes[0]);
        ConnectionId::new(&bytes)
    }

    fn cid_len(&self) -> usize {
        LENGTH
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_id_says_whose_it_is() {
        for of in 1..=128 {
            for index in 0..of {
                let place = WorkerIndex::of(usize::from(index), of).unwrap();
                assert!((0..=u8::MAX).all(|byte| place.mark(byte) % of == index), "{place:?}");
            }
            let ids: Vec<_> = (0..40).map(|_| Ids(WorkerIndex::of(usize::from(of - 1), of).unwrap()).generate_cid()).collect();
            assert!(ids.iter().all(|id| id.len() == LENGTH && id[0] % of == of - 1));
            assert!(ids.iter().any(|id| id[1..] != ids[0][1..]));
        }
    }

    /// Sockets that share a port, steered.
    fn group(of: usize) -> Vec<(UdpSocket, WorkerIndex)> {
        let open = |port: u16| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
            socket.set_reuse_port(true).unwrap();
            socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
            UdpSocket::from(socket)
        };
        let first = open(0);
        let port = first.local_addr().unwrap().port();
        let rest = (1..of).map(|_| open(port));
        let sockets: Vec<_> = std::iter::once(first).chain(rest).collect();
        share(sockets).collect()
    }

    #[test]
    fn packets_come_to_the_place_their_id_names_whatever_their_address() {
        let group = group(3);
        let to = group[0].0.local_addr().unwrap();
        for (socket, place) in &group {
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            for _ in 0..20 {
                let id = Ids(*place).generate_cid();
                let client = UdpSocket::bind("127.0.0.1:0").unwrap();
                let short = [&[0x40][..], &id[..], b"short"].concat();
                let long = [&[0xc0, 0, 0, 0, 1, 8][..], &id[..], b"long"].concat();
                for packet in [short, long] {
                    client.send_to(&packet, to).unwrap();
                    let mut bytes = [0; 100];
                    let length = socket.recv(&mut bytes).unwrap();
                    assert_eq!(bytes[..length], packet);
                }
            }
        }
    }
}
