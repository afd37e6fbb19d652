//! Which protocols are spoken with clients, and how much of each one client gets.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::FutureExt;
use quinn::VarInt;
use tokio::net::TcpStream;

use crate::support::gateway::Gateway;
use crate::support::h2_frames::{Came, END_HEADERS, END_STREAM, End, H2, HEADERS, RST_STREAM, SETTINGS, frame, request};
use crate::support::h3;
use crate::support::line::Line;
use crate::support::peers::curl;
use crate::support::scene::Scene;
use crate::support::{client, server};

const SOON: Duration = crate::support::wait::LIMIT;

/// What is agreed on with a client that offers these, or why nothing is.
fn agreed(gateway: &Gateway, alpn: &[&[u8]]) -> Result<Option<Vec<u8>>, String> {
    let roots = std::fs::read_to_string(gateway.local_root()).unwrap();
    server::runtime().block_on(async {
        let socket = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, gateway.https))).await.unwrap();
        let stream = client::handshake(socket, "localhost", &roots, alpn).await.map_err(|error| error.to_string())?;
        Ok(stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec))
    })
}

#[test]
fn the_newest_protocol_that_both_speak_is_spoken() {
    let scene = Scene::new("");
    let check = |alpn: &[&[u8]], expected: Option<&[u8]>| {
        assert_eq!(agreed(&scene.gateway, alpn).unwrap().as_deref(), expected, "{alpn:?}");
    };
    check(&[b"http/1.1", b"h2"], Some(b"h2"));
    check(&[b"http/1.1"], Some(b"http/1.1"));
    check(&[], None);
    let nothing = agreed(&scene.gateway, &[b"spdy/3"]).unwrap_err();
    assert!(nothing.contains("NoApplicationProtocol"), "{nothing}");
    let root = scene.root.to_string_lossy().into_owned();
    let url = format!("https://localhost:{}/a", scene.gateway.https);
    for (word, version) in [("--http1.1", "1.1"), ("--http2", "2"), ("--http1.0", "1")] {
        assert_eq!(curl(&["--cacert", &root, word, "--output", "/dev/null", "--write-out", "%{http_version}", &url]), version);
    }
}

/// HTTP/2 is agreed on by ALPN alone: in the clear a client would have to know it beforehand, or ask by an upgrade that carries
/// requests past every rule.
#[test]
fn http2_is_not_spoken_in_the_clear() {
    let scene = Scene::new("");
    let mut line = Line::open_plain(scene.gateway.http);
    line.say(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &[])].concat());
    let said = line.rest(SOON).expect("it ends");
    assert!(said.starts_with(b"HTTP/1.1 400 ") && said.ends_with(b"\n"), "{}", said.escape_ascii());
}

#[test]
fn a_client_has_so_many_streams_at_a_time() {
    let scene = Scene::new("limit streams 2");
    let mut h2 = H2::open("localhost", scene.gateway.https, &scene.root, &[]);
    for stream in [1, 3, 5] {
        h2.0.say(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &request("GET", "/wait", &[])));
    }
    let mut told = None;
    let refused = loop {
        match h2.next().expect("the connection stays") {
            Came { kind: SETTINGS, payload, .. } if !payload.is_empty() => told = Some(payload),
            Came { kind: RST_STREAM, stream, payload, .. } => break (stream, payload[3]),
            _ => (),
        }
    };
    // REFUSED_STREAM: it may ask again.
    assert_eq!(refused, (5, 7));
    assert!(told.expect("settings come first").chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 2]));
    h2.0.say(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]));
    assert_eq!(h2.ask(7, "/a"), End::Answered(200));
    scene.run(async {
        let (_endpoint, quic) = h3::connect("localhost", scene.gateway.https, &scene.root).await;
        let (mut first, _second) = (quic.open_bi().await.unwrap(), quic.open_bi().await.unwrap());
        assert!(quic.open_bi().now_or_never().is_none(), "a third stream was granted");
        first.0.write_all(&[0]).await.unwrap();
        first.0.reset(VarInt::from_u32(0x10c)).unwrap();
        first.1.stop(VarInt::from_u32(0x10c)).unwrap();
        quic.open_bi().await.unwrap();
    });
}

/// A hello of TLS 1.0 or 1.1: the versions differ in it by a byte.
fn old_hello(minor: u8) -> Vec<u8> {
    let name = [&[0, 0, 0, 14, 0, 12, 0, 0, 9][..], b"localhost"].concat();
    let groups = [0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0];
    let extensions = [&name[..], &groups].concat();
    let length = u8::try_from(extensions.len()).unwrap();
    // Version, random, no session, ECDHE with AES and SHA-1, no compression.
    let body = [&[3, minor][..], &[7; 32], &[0, 0, 2, 0xc0, 0x13, 1, 0, 0, length], &extensions].concat();
    let body_length = u8::try_from(body.len()).unwrap();
    [&[22, 3, 1, 0, body_length + 4, 1, 0, 0, body_length][..], &body].concat()
}

#[test]
fn nothing_older_than_tls_1_2_is_spoken() {
    let scene = Scene::new("");
    for minor in [1, 2] {
        let mut line = Line::open_plain(scene.gateway.https);
        line.say(&old_hello(minor));
        let said = line.rest(SOON).expect("it is refused");
        // The alert `protocol_version`, or `handshake_failure` for what such a hello lacks (RFC 8446 section 6.2).
        assert!(said.len() == 7 && said[0] == 21 && said[5] == 2 && matches!(said[6], 40 | 70), "{said:?}");
    }
}
