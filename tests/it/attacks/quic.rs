//! Floods of packets, and clients of HTTP/3 that take nothing.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use doorward::base::rng::Rng;
use http::Request;
use quinn::{TransportConfig, VarInt};

use super::siege::{SOON, Siege};
use crate::support::h3::{ClientCert, Stream, hellos, trusting};
use crate::support::scene::Scene;
use crate::support::{server, wait};

/// Handshakes in progress from which on each worker has newcomers prove their address.
const BUSY: usize = 64;

impl Siege {
    fn udp(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.gateway.https).into()
    }

    /// Somebody comes over HTTP/3, and is served.
    fn one_by_quic_is_served(&self) {
        server::runtime().block_on(async {
            let asking = async {
                let mut visitor = ClientCert::connect("localhost", self.gateway.https, &self.root).await;
                visitor.ask(Request::get(format!("https://localhost:{}/", self.gateway.https)).body(()).unwrap()).await
            };
            assert_eq!(tokio::time::timeout(SOON, asking).await.expect("served in time").status(), 200);
        });
    }
}

/// A packet that is none: of nothing but chance, or with a beginning that looks like one.
fn noise(rng: &mut Rng) -> Vec<u8> {
    let mut byte = || u8::try_from(rng.below(256)).unwrap();
    let kind = byte();
    let length = if kind % 2 == 0 { 1_200 } else { 1 + usize::from(byte()) };
    let mut packet: Vec<u8> = (0..length).map(|_| byte()).collect();
    let head: &[u8] = match kind % 6 {
        // INITIAL, 0-RTT or HANDSHAKE of version 1, with an id of 8 bytes.
        0 => &[0xc3, 0, 0, 0, 1, 8],
        1 => &[0xd3, 0, 0, 0, 1, 8],
        2 => &[0xe3, 0, 0, 0, 1, 8],
        // A version that nobody knows, and the negotiation of one.
        3 => &[0xc3, 0x1a, 0x2a, 0x3a, 0x4a, 8],
        4 => &[0x80, 0, 0, 0, 0, 8],
        // Of a connection that never was.
        _ => &[0x43],
    };
    let count = head.len().min(packet.len());
    packet[..count].copy_from_slice(&head[..count]);
    if kind % 6 == 0 && packet.len() == 1_200 {
        // Ids, no token, and the length of the rest: as an INITIAL has it, but for the seal.
        packet[14..18].copy_from_slice(&[0, 0, 0x44, 0x9e]);
    }
    packet
}

#[test]
fn packets_of_nothing_grow_nothing() {
    let siege = Siege::lay();
    let mut rng = Rng::seeded(20_261_121);
    let sockets: Vec<UdpSocket> = (0..8).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    for round in 0..20 {
        for socket in sockets.iter().cycle().take(1_000) {
            // What does not fit into the gateway's queue is lost, as on any network.
            let _ = socket.send_to(&noise(&mut rng), siege.udp());
        }
        siege.others_are_served();
        if round % 10 == 9 {
            siege.one_by_quic_is_served();
        }
    }
    siege.until_connections_are_few();
    siege.lift();
}

#[test]
fn half_open_handshakes_have_newcomers_prove_their_address() {
    const MORE: usize = 150;
    let siege = Siege::lay();
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let hellos = hellos(&siege.root, workers * BUSY + MORE);
    let attacker = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    attacker.set_nonblocking(true).unwrap();
    let send_all = || hellos.iter().flatten().for_each(|packet| drop(attacker.send_to(packet, siege.udp())));
    send_all();
    let (mut retries, mut looks) = (0, 0);
    let mut bytes = [0; 2_000];
    wait::until("newcomers are asked to prove their address", SOON, || {
        // A busy machine loses datagrams of such a burst.
        looks += 1;
        if looks % 200 == 0 {
            send_all();
        }
        while let Ok(length) = attacker.recv(&mut bytes) {
            // RETRY (RFC 9000 section 17.2.5).
            retries += usize::from(length > 5 && bytes[0] & 0xf0 == 0xf0 && bytes[1..5] == [0, 0, 0, 1]);
        }
        if retries >= MORE / 2 { Ok(()) } else { Err(retries) }
    });
    siege.one_by_quic_is_served();
    siege.others_are_served();
    wait::until("the half-open are told", SOON, || {
        let log = siege.gateway.output();
        (log.contains("handshake_refused") && log.contains("too-slow")).then_some(()).ok_or(log)
    });
    siege.until_connections_are_few();
    siege.lift();
}

#[test]
fn an_answer_that_nobody_takes_is_given_up_and_its_neighbours_are_not() {
    let scene = Scene::new("timeouts {\n    send 1s\n}");
    // Credit of each stream, and of the connection.
    for (stream, connection) in [(1_000, 1 << 20), (1 << 20, 1_000)] {
        let given_up = || scene.gateway.output().lines().filter(|line| line.contains("client-left")).count();
        let before = given_up();
        scene.run(async {
            let mut transport = TransportConfig::default();
            transport.stream_receive_window(VarInt::from_u32(stream)).receive_window(VarInt::from_u32(connection));
            transport.keep_alive_interval(Some(Duration::from_millis(100)));
            let mut config = trusting(&scene.root);
            config.transport_config(Arc::new(transport));
            let mut visitor = ClientCert::connect_as("localhost", scene.gateway.https, config).await.unwrap();
            let mut stalled = visitor.send(scene.get("/bytes/5000000")).await;
            stalled.finish().await.unwrap();
            while given_up() == before {
                if stream < connection {
                    assert_eq!(visitor.ask(scene.get("/a")).await.status(), 200, "beside the one that rests");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let end = until_broken(&mut stalled).await;
            assert!(end.contains("H3_REQUEST_CANCELLED"), "{end}");
            assert_eq!(visitor.ask(scene.get("/a")).await.status(), 200, "the connection stays");
        });
    }
}

/// What ends an answer that must not end well.
async fn until_broken(stream: &mut Stream) -> String {
    if let Err(error) = stream.recv_response().await {
        return error.to_string();
    }
    loop {
        match stream.recv_data().await {
            Ok(Some(_)) => (),
            Ok(None) => panic!("the answer ended as if it were whole"),
            Err(error) => return error.to_string(),
        }
    }
}
