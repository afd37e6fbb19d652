//! Limits of connections over QUIC, and QUIC over IPv6.

use std::fs;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use quinn::{Connection, ConnectionError, Endpoint};

use crate::support::h3::trusting;
use crate::support::h3_frames::head;
use crate::support::scene::Scene;

/// Between two tries to connect.
const POLL: Duration = Duration::from_millis(50);

/// A QUIC connection to `localhost` at `address`, or why there is none.
async fn connect(address: SocketAddr, root: &Path) -> Result<(Endpoint, Connection), ConnectionError> {
    let from = if address.is_ipv4() { ([127, 0, 0, 1], 0).into() } else { (Ipv6Addr::LOCALHOST, 0).into() };
    let mut endpoint = Endpoint::client(from).unwrap();
    endpoint.set_default_client_config(trusting(root));
    let connection = endpoint.connect(address, "localhost").unwrap().await?;
    Ok((endpoint, connection))
}

#[test]
fn a_connection_that_rests_is_closed() {
    let scene = Scene::new("timeouts idle 2s");
    scene.run(async {
        let mut visitor = scene.visitor().await;
        assert_eq!(visitor.ask(scene.get("/a")).await.status(), 200);
        // H3_NO_ERROR, and not the end of QUIC's own patience.
        let why = visitor.until_closed().await;
        assert!(why.contains("closed") && !why.contains("timed out"), "{why}");
    });
}

#[test]
fn connections_over_quic_count_like_others() {
    let scene = Scene::new("limit connections 4");
    scene.run(async {
        let address = ([127, 0, 0, 1], scene.gateway.https).into();
        let mut open = Vec::new();
        let refused = loop {
            match connect(address, &scene.root).await {
                Ok(connection) => open.push(connection),
                Err(error) => break error,
            }
            assert!(open.len() <= 4, "a fifth connection was taken");
        };
        assert!(matches!(refused, ConnectionError::ConnectionClosed(_)), "{refused}");
        // Whoever leaves makes room.
        let (endpoint, connection) = open.pop().expect("some were taken");
        connection.close(0_u32.into(), b"");
        endpoint.wait_idle().await;
        // The gateway has counted the connection out once it has seen its end. `scene.run` ends this in bounded time.
        while connect(address, &scene.root).await.is_err() {
            tokio::time::sleep(POLL).await;
        }
    });
    scene.gateway.until_logged("too_many_connections");
}

#[test]
fn quic_is_spoken_over_ipv6() {
    let scene = Scene::new("");
    let text = fs::read_to_string(scene.gateway.config_file()).unwrap();
    fs::write(scene.gateway.config_file(), text.replace("bind 127.0.0.1", "bind 127.0.0.1 ::1")).unwrap();
    let reloaded = scene.gateway.run("reload");
    assert!(reloaded.status.success(), "{reloaded:?}");
    scene.run(async {
        let address = (Ipv6Addr::LOCALHOST, scene.gateway.https).into();
        let (_endpoint, quic) = connect(address, &scene.root).await.unwrap();
        let (mut connection, mut sender) = h3::client::new(h3_quinn::Connection::new(quic)).await.unwrap();
        let asking = async {
            let mut stream = sender.send_request(scene.get("/a")).await.unwrap();
            stream.finish().await.unwrap();
            crate::support::h3::whole(&mut stream).await.0
        };
        let driving = std::future::poll_fn(|cx| connection.poll_close(cx));
        let response = tokio::select! {
            response = asking => response,
            error = driving => panic!("{error}"),
        };
        let said = String::from_utf8_lossy(response.body()).into_owned();
        assert!(response.status() == 200 && said.contains("x-real-ip: ::1"), "{said}");
    });
}

#[test]
fn requests_that_are_cancelled_as_soon_as_they_are_sent_end_the_connection() {
    let scene = Scene::new("");
    scene.run(async {
        let (_endpoint, quic) = crate::support::h3::connect("localhost", scene.gateway.https, &scene.root).await;
        let head = head("GET", &[]);
        let closed = loop {
            let Ok((mut send, mut receive)) = quic.open_bi().await else { break quic.closed().await };
            // What fails now is over.
            drop(send.write_all(&head).await);
            let _ = (send.reset(0x10c_u32.into()), receive.stop(0x10c_u32.into()));
        };
        // H3_EXCESSIVE_LOAD.
        let excessive = matches!(&closed, ConnectionError::ApplicationClosed(close) if close.error_code == 0x107_u32.into());
        assert!(excessive, "{closed}");
    });
    scene.gateway.until_logged("cancels its requests");
    assert_eq!(scene.gateway.get("localhost", "/a", &scene.root).unwrap().response.status(), 200, "others are served");
}
