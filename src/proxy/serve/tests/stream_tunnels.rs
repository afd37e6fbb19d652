//! Tunnels over streams of HTTP/2: an end is END_STREAM, a break is a reset, in both directions (RFC 8441 section 5).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request};
use tokio::io::AsyncReadExt;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::harness::*;

/// A message that a walk over the frames lets pass.
const HELLO: &str = "\u{1}\u{5}hello";

/// Grants a WebSocket's handshake.
async fn grant(peer: &mut Peer) {
    let head = peer.head().await;
    let key = head.lines().find_map(|line| line.to_ascii_lowercase().starts_with("sec-websocket-key: ").then(|| &line[19..]));
    let accept = derive_accept_key(key.unwrap().as_bytes());
    peer.send(&format!(
        "HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n{HELLO}"
    ))
    .await;
}

/// Opens a tunnel and takes the greeting.
async fn open(gateway: &Gateway) -> (SendStream<Bytes>, RecvStream) {
    let mut client = h2_client(gateway).await.ready().await.unwrap();
    until(|| client.is_extended_connect_protocol_enabled()).await;
    let mut request = Request::builder().method(Method::CONNECT).uri("https://a.test/ws").body(()).unwrap();
    request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    let (answer, sent) = client.send_request(request, false).unwrap();
    let response = answer.await.unwrap();
    assert_eq!(response.status(), 200);
    let mut received = response.into_body();
    assert_eq!(received.data().await.unwrap().unwrap(), HELLO);
    (sent, received)
}

/// What comes until the end, and the code of a reset.
async fn rest(received: &mut RecvStream) -> (Vec<u8>, Option<Reason>) {
    let mut all = Vec::new();
    loop {
        match received.data().await {
            Some(Ok(data)) => all.extend_from_slice(&data),
            Some(Err(error)) => return (all, error.reason()),
            None => return (all, None),
        }
    }
}

/// With and without a walk over the frames.
const KINDS: [&str; 2] = ["", "limit message 1MiB"];

#[test]
fn a_backend_that_resets_its_connection_resets_the_clients_stream() {
    run(async {
        for (is_reset, expected) in [(true, Some(Reason::CANCEL)), (false, None)] {
            let backend = Backend::start(move |mut peer, _| async move {
                grant(&mut peer).await;
                peer.through("go").await;
                peer.send("last").await;
                if is_reset {
                    // What was sent before is not what this is about.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    socket2::SockRef::from(&peer.stream).set_linger(Some(Duration::ZERO)).unwrap();
                }
            })
            .await;
            let gateway = Gateway::start(&format!("a.test {{\n proxy {}\n}}", backend.addr), Speaks::H2).await;
            let (mut sent, mut received) = open(&gateway).await;
            sent.send_data(Bytes::from_static(b"go"), false).unwrap();
            assert_eq!(rest(&mut received).await, (b"last".to_vec(), expected));
            let _over = sent.send_data(Bytes::new(), true);
            let reason = gateway.records().await[0]["reason"].as_str().map(ToOwned::to_owned);
            assert_eq!(reason.as_deref(), is_reset.then_some("backend-broke"));
        }
    });
}

#[test]
fn a_client_that_resets_its_stream_resets_the_backends_connection() {
    run(async {
        for words in KINDS {
            for end in [Some(Reason::NO_ERROR), Some(Reason::CANCEL), None] {
                let seen = Rc::new(RefCell::new(None));
                let note = Rc::clone(&seen);
                let backend = Backend::start(move |mut peer, _| {
                    let note = Rc::clone(&note);
                    async move {
                        grant(&mut peer).await;
                        let mut bytes = [0; 100];
                        let end = loop {
                            match peer.stream.read(&mut bytes).await {
                                Ok(0) => break None,
                                Ok(_) => (),
                                Err(error) => break Some(error.kind()),
                            }
                        };
                        note.replace(Some(end));
                    }
                })
                .await;
                let gateway = Gateway::start(&format!("a.test {{\n {words}\n proxy {}\n}}", backend.addr), Speaks::H2).await;
                let (mut sent, received) = open(&gateway).await;
                match end {
                    Some(reason) => sent.send_reset(reason),
                    None => sent.send_data(Bytes::new(), true).unwrap(),
                }
                until(|| seen.borrow().is_some()).await;
                assert_eq!(*seen.borrow(), Some(end.map(|_| std::io::ErrorKind::ConnectionReset)), "{words} {end:?}");
                drop((sent, received));
                let reason = gateway.records().await[0]["reason"].as_str().map(ToOwned::to_owned);
                assert_eq!(reason.as_deref(), end.map(|_| "client-broke"), "{words} {end:?}");
            }
        }
    });
}

#[test]
fn a_reset_passes_between_two_streams_of_http_2() {
    run(async {
        let seen = Rc::new(RefCell::new(None));
        let note = Rc::clone(&seen);
        let backend = h2c_backend(move |request, mut respond| {
            let note = Rc::clone(&note);
            async move {
                let mut received = request.into_body();
                let mut sent = respond.send_response(http::Response::new(()), false).ok()?;
                sent.send_data(Bytes::from_static(HELLO.as_bytes()), false).ok()?;
                match &received.data().await?.ok()?[..] {
                    b"reset" => sent.send_reset(Reason::NO_ERROR),
                    _ => drop(note.replace(Some(rest(&mut received).await.1))),
                }
                Some(())
            }
        })
        .await;
        let gateway = Gateway::start(&format!("a.test {{\n proxy h2c://{}\n}}", backend.addr), Speaks::H2).await;
        let (mut sent, mut received) = open(&gateway).await;
        sent.send_data(Bytes::from_static(b"reset"), false).unwrap();
        assert_eq!(rest(&mut received).await.1, Some(Reason::CANCEL));
        let (mut sent, _received) = open(&gateway).await;
        sent.send_data(Bytes::from_static(b"stay"), false).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        sent.send_reset(Reason::NO_ERROR);
        until(|| seen.borrow().is_some()).await;
        assert_eq!(*seen.borrow(), Some(Some(Reason::CANCEL)));
    });
}
