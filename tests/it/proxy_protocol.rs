//! Balancers that pass bytes on say whose they are, and are told so by us, over real connections.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use doorward::base::proxy_header::{Ends, binary_for, line_for};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::gateway::Gateway;
use crate::support::server::{self, Server};
use crate::support::tunnels::Tunnels;
use crate::support::{client, echo, obedient, ports};

const SOON: Duration = crate::support::wait::LIMIT;
/// Where the balancer of these tests stands; whoever comes from elsewhere is a stranger.
const BALANCER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// A gateway on localhost behind the balancer, before a backend that says what it was asked.
struct Scene {
    gateway: Gateway,
    root: PathBuf,
    _backend: Server,
}

impl Scene {
    fn new(rest: &str) -> Self {
        let backend = obedient::start(Arc::default());
        let mut gateway = Gateway::prepare();
        let port = backend.address().port();
        gateway.configure("", &format!("proxy-protocol from {BALANCER}\n{rest}\nlocalhost {{\n    proxy {port}\n}}"));
        gateway.start();
        let root = gateway.local_root();
        gateway.until_served("localhost", &root, SOON);
        Self { gateway, root, _backend: backend }
    }

    /// What the backend saw of a request that came from `from` with `header` before it.
    async fn seen(&self, from: Ipv4Addr, header: &[u8]) -> io::Result<String> {
        let mut socket = connect(from, self.gateway.https).await?;
        socket.write_all(header).await?;
        let roots = std::fs::read_to_string(&self.root)?;
        client::get_over(socket, "localhost", "/a", &roots).await.map(|seen| seen.text())
    }
}

async fn connect(from: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect((Ipv4Addr::LOCALHOST, port).into()).await
}

fn run<T>(client: impl Future<Output = T>) -> T {
    server::runtime().block_on(async { tokio::time::timeout(SOON, client).await.expect("done in time") })
}

fn ends(client: &str) -> Ends {
    Ends { client: client.parse().unwrap(), server: "198.51.100.2:443".parse().unwrap() }
}

#[test]
fn the_client_is_who_the_balancer_says() {
    let scene = Scene::new("");
    run(async {
        for header in [line_for(Some(&ends("192.0.2.1:4711"))), binary_for(Some(&ends("192.0.2.1:4711")))] {
            let seen = scene.seen(BALANCER, &header).await.unwrap();
            assert!(seen.contains("x-forwarded-for: 192.0.2.1\n"), "{seen}");
        }
        let seen = scene.seen(BALANCER, &line_for(Some(&ends("[2001:db8::1]:4711")))).await.unwrap();
        assert!(seen.contains("x-forwarded-for: 2001:db8::1\n"), "{seen}");
        for header in [line_for(None), binary_for(None)] {
            let seen = scene.seen(BALANCER, &header).await.unwrap();
            assert!(seen.contains(&format!("x-forwarded-for: {BALANCER}\n")), "a health check is the balancer's own: {seen}");
        }
    });
}

#[test]
fn the_forwarded_port_is_the_balancers() {
    let scene = Scene::new("");
    run(async {
        for header in [line_for(Some(&ends("192.0.2.1:4711"))), binary_for(Some(&ends("192.0.2.1:4711")))] {
            let seen = scene.seen(BALANCER, &header).await.unwrap();
            assert!(seen.contains("x-forwarded-port: 443\n"), "{seen}");
        }
        let own = format!("x-forwarded-port: {}\n", scene.gateway.https);
        for (from, header) in [(BALANCER, line_for(None)), (STRANGER, Vec::new())] {
            let seen = scene.seen(from, &header).await.unwrap();
            assert!(seen.contains(&own), "{seen}");
        }
    });
}

#[test]
fn a_balancer_that_does_not_say_whose_connection_it_is_is_refused_in_words() {
    let mut scene = Scene::new("timeouts handshake 1s");
    run(async {
        scene.seen(BALANCER, b"").await.map(|_| ()).expect_err("it has no header");
        scene.seen(BALANCER, b"PROXY TCP4 no address\r\n").await.map(|_| ()).expect_err("its header is not one");
        let mut silent = connect(BALANCER, scene.gateway.https).await.unwrap();
        silent.write_all(b"PROXY TCP4 ").await.unwrap();
        assert_eq!(silent.read(&mut [0; 1]).await.unwrap_or(0), 0, "whoever stops in the middle is closed");
    });
    let process = scene.gateway.process();
    for words in [
        "it began without a PROXY protocol header",
        "its PROXY protocol line is not of version 1's form",
        "its PROXY protocol header did not come in time",
        "take it out of `proxy-protocol from`",
    ] {
        process.until_said(words, SOON);
    }
}

#[test]
fn a_strangers_header_is_never_believed() {
    let scene = Scene::new("");
    run(async {
        let header = line_for(Some(&ends("192.0.2.1:4711")));
        scene.seen(STRANGER, &header).await.map(|_| ()).expect_err("to a stranger it is no TLS");
        let mut plain = connect(STRANGER, scene.gateway.http).await.unwrap();
        plain.write_all(&[header, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()].concat()).await.unwrap();
        let mut answer = [0; 12];
        plain.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 400");
        let seen = scene.seen(STRANGER, b"").await.unwrap();
        assert!(seen.contains(&format!("x-forwarded-for: {STRANGER}\n")), "{seen}");
    });
}

/// Two gateways in a row: the first tells the second who the client is.
struct Row {
    first: Gateway,
    second: Gateway,
    root: PathBuf,
}

impl Row {
    fn new(version: &str, backend: SocketAddr) -> Self {
        let inner = ports::free();
        let mut second = Gateway::prepare();
        second.configure(
            "",
            &format!("proxy-protocol from 127.0.0.1\nhttp://localhost:{inner} {{\n    proxy {}\n}}", backend.port()),
        );
        second.launch();
        let mut first = Gateway::prepare();
        let upstream = format!("upstream second {{\n    to 127.0.0.1:{inner}\n    proxy-protocol {version}\n}}\n");
        first.configure("", &format!("{upstream}localhost {{\n    proxy second\n}}"));
        first.start();
        let root = first.local_root();
        first.until_served("localhost", &root, SOON);
        Self { first, second, root }
    }
}

#[test]
fn a_backend_is_told_who_the_client_is_and_no_two_clients_share_a_connection() {
    let backend = obedient::start(Arc::default());
    for version in ["v1", "v2"] {
        let row = Row::new(version, backend.address());
        run(async {
            let roots = std::fs::read_to_string(&row.root).unwrap();
            for client in [BALANCER, STRANGER, BALANCER] {
                let socket = connect(client, row.first.https).await.unwrap();
                let seen = client::get_over(socket, "localhost", "/a", &roots).await.unwrap();
                assert_eq!(seen.response.status(), 200, "{}", row.second.output());
                let text = seen.text();
                assert!(text.contains(&format!("x-forwarded-for: {client}\n")), "{version}: {text}");
            }
        });
    }
}

#[test]
fn a_tunnel_too_begins_with_who_the_client_is() {
    let backend = echo::start();
    let row = Row::new("v2", backend.address());
    let mut tunnels = Tunnels::open("localhost", row.first.https, &row.root, 3);
    tunnels.echo_all();
}
