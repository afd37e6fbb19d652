//! The life of an HTTP/3 connection: reloads, farewells, a client that moves, ports that cannot be had.

use std::net::UdpSocket;

use bytes::Buf;
use quinn::ConnectionError;

use crate::support::chromium::Chromium;
use crate::support::gateway::Gateway;
use crate::support::h3::{ClientCert, trusting};
use crate::support::obedient::byte;
use crate::support::peers::curl;
use crate::support::scene::{SOON, Scene};
use crate::support::{server, wait};

const MIB: usize = 1 << 20;

fn reload(scene: &Scene, rest: &str) {
    scene.gateway.configure("", &Scene::site(&scene.backend, rest));
    let reloaded = scene.gateway.run("reload");
    assert!(reloaded.status.success(), "{reloaded:?}");
}

#[test]
fn a_download_lives_through_a_reload_and_the_connection_serves_on() {
    let scene = Scene::new("");
    scene.run(async {
        let mut visitor = scene.visitor().await;
        let mut stream = visitor.send(scene.get(&format!("/bytes/{}", 30 * MIB))).await;
        stream.finish().await.unwrap();
        stream.recv_response().await.unwrap();
        let mut got = 0;
        let mut reloaded = false;
        while let Some(mut piece) = stream.recv_data().await.unwrap() {
            let bytes = piece.copy_to_bytes(piece.remaining());
            assert!(bytes.iter().enumerate().all(|(n, seen)| *seen == byte(got + n)));
            got += bytes.len();
            if got > 5 * MIB && !reloaded {
                reloaded = true;
                reload(&scene, "limit {\n    streams 64\n}");
            }
        }
        assert!(reloaded && got == 30 * MIB);
        assert_eq!(visitor.ask(scene.get("/a")).await.status(), 200);
        assert!(visitor.quic.close_reason().is_none());
    });
}

#[test]
fn a_stop_says_farewell_and_lets_what_is_open_end() {
    let mut scene = Scene::new("");
    // Kept open on a runtime of its own, because the gateway is told to stop in between.
    let runtime = server::runtime();
    let (visitor, mut stream) = runtime.block_on(async {
        let mut visitor = scene.visitor().await;
        assert_eq!(visitor.ask(scene.get("/a")).await.status(), 200);
        let mut stream = visitor.send(scene.get(&format!("/bytes/{}", 30 * MIB))).await;
        stream.finish().await.unwrap();
        stream.recv_response().await.unwrap();
        (visitor, stream)
    });
    scene.gateway.process().signal("TERM");
    let closed = runtime.block_on(async {
        let mut got = 0;
        while let Some(piece) = stream.recv_data().await.unwrap() {
            got += piece.remaining();
        }
        assert_eq!(got, 30 * MIB);
        drop(stream);
        visitor.until_closed().await
    });
    assert!(closed.contains("closed"), "{closed}");
    let status = scene.gateway.process().until_ended(SOON);
    assert!(status.success(), "{status}");
    assert!(scene.gateway.output().contains("nothing was cut"), "{}", scene.gateway.output());
}

#[test]
fn a_client_that_moves_is_known_by_its_new_address() {
    let scene = Scene::new("");
    scene.run(async {
        let mut visitor = scene.visitor().await;
        assert_eq!(visitor.ask(scene.get("/a")).await.status(), 200);
        // Enough moves that some would come to another thread, were it for the addresses alone.
        for _ in 0..8 {
            visitor.endpoint.rebind(UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
            assert_eq!(visitor.ask(scene.get("/a")).await.status(), 200);
        }
        assert!(visitor.quic.close_reason().is_none());
    });
}

#[test]
fn a_name_that_nobody_serves_is_refused_and_told() {
    let scene = Scene::new("");
    scene.run(async {
        let mut endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
        endpoint.set_default_client_config(trusting(&scene.root));
        let address = ([127, 0, 0, 1], scene.gateway.https).into();
        let refused = endpoint.connect(address, "strange.example").unwrap().await;
        assert!(refused.is_err());
    });
    wait::until("the refusal is told", SOON, || {
        let log = scene.gateway.output();
        let told = log.lines().any(|line| line.contains("handshake_refused") && line.contains("strange.example"));
        told.then_some(()).ok_or(log)
    });
}

#[test]
fn one_word_switches_it_off_and_on_again() {
    let scene = Scene::new("protocols h1 h2");
    let root = scene.root.to_string_lossy().into_owned();
    let head = || curl(&["--cacert", &root, "--head", &format!("https://localhost:{}/", scene.gateway.https)]);
    assert!(!head().contains("alt-svc"), "{}", head());
    assert!(UdpSocket::bind(("127.0.0.1", scene.gateway.https)).is_ok(), "the port is in use");
    reload(&scene, "");
    assert!(head().contains("alt-svc: h3="), "{}", head());
    scene.run(async {
        let mut visitor = scene.visitor().await;
        assert_eq!(visitor.ask(scene.get("/a")).await.status(), 200);
        reload(&scene, "protocols h1 h2");
        visitor.until_closed().await;
    });
    assert!(!head().contains("alt-svc"), "{}", head());
    wait::until_true("the port is free again", SOON, || UdpSocket::bind(("127.0.0.1", scene.gateway.https)).is_ok());
    reload(&scene, "");
    scene.run(async { assert_eq!(scene.visitor().await.ask(scene.get("/a")).await.status(), 200) });
}

#[test]
fn a_udp_port_that_is_taken_is_told_and_all_else_is_served() {
    let mut gateway = Gateway::prepare();
    let taken = UdpSocket::bind(("127.0.0.1", gateway.https)).unwrap();
    gateway.configure("", "localhost {\n    respond 200 here\n}");
    gateway.start();
    let root = gateway.local_root();
    let seen = gateway.until_served("localhost", &root, SOON);
    assert!(!seen.response.headers().contains_key("alt-svc"));
    gateway.until_logged("quic_off");
    let log = gateway.output();
    let told = |text: &str| log.contains(text);
    assert!(told("quic_off") && told(&format!("UDP 127.0.0.1:{}", gateway.https)) && told("in use by process"), "{log}");
    // The next reload tries again.
    drop(taken);
    assert!(gateway.run("reload").status.success());
    server::runtime().block_on(async {
        let mut visitor = ClientCert::connect("localhost", gateway.https, &root).await;
        let request = http::Request::get(format!("https://localhost:{}/", gateway.https)).body(()).unwrap();
        assert_eq!(visitor.ask(request).await.body(), "here");
    });
}

#[test]
fn a_client_of_a_gateway_that_was_killed_is_told_at_once() {
    let mut scene = Scene::new("");
    let runtime = server::runtime();
    let mut visitor = runtime.block_on(async {
        let mut visitor = scene.visitor().await;
        assert_eq!(visitor.ask(scene.get("/a")).await.status(), 200);
        visitor
    });
    scene.gateway.kill();
    scene.gateway.start();
    runtime.block_on(async {
        // Whatever it sends next is answered by a gateway that knows nothing of it.
        let mut stream = visitor.send(scene.get("/a")).await;
        stream.finish().await.unwrap();
        let told = tokio::time::timeout(SOON, visitor.quic.closed()).await;
        assert_eq!(told.expect("sooner than a client gives up by itself"), ConnectionError::Reset);
        assert_eq!(scene.visitor().await.ask(scene.get("/a")).await.status(), 200);
    });
}

#[test]
fn chromium_comes_over_quic() {
    let mut gateway = Gateway::prepare();
    gateway.configure("", "localhost {\n    respond 200 here\n}");
    gateway.start();
    let root = gateway.local_root();
    let host = format!("localhost:{}", gateway.https);
    let force = format!("--origin-to-force-quic-on={host}");
    let mut chromium = Chromium::open_over_quic(&format!("https://{host}/"), &root, &[&force]);
    let protocol = "performance.getEntriesByType('navigation')[0].nextHopProtocol";
    chromium.until_true(&format!("document.body?.innerText === 'here' && {protocol} === 'h3'"), SOON);
    wait::until("it is logged", SOON, || {
        let log = gateway.output();
        log.lines().any(|line| line.contains("HTTP/3.0") && line.contains("Chrome")).then_some(()).ok_or(log)
    });
}
