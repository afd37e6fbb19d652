//! Names that are obtained when somebody asks for them, before a real authority and an endpoint of the tests' own.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use doorward::base::task;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::fault::{FaultProxy, Kind};
use crate::support::gateway::Gateway;
use crate::support::pebble::{Options, Pebble};
use crate::support::server::{self, Server};
use crate::support::{client, echo, process};

const SOON: Duration = crate::support::wait::LIMIT;

/// Says of names that begin with `shop` that they are wanted, and of no other.
#[derive(Default)]
struct Endpoint {
    /// Names it was asked about.
    asked: Mutex<Vec<String>>,
    now: AtomicUsize,
    /// Most questions at a time.
    most: AtomicUsize,
}

impl Endpoint {
    fn start(self: &Arc<Self>) -> Server {
        let endpoint = Arc::clone(self);
        Server::start("ask endpoint", ([127, 0, 0, 1], 0).into(), move |listener| async move {
            while let Ok((socket, _)) = listener.accept().await {
                let endpoint = Arc::clone(&endpoint);
                task::spawn("ask", async move {
                    let service = service_fn(move |request| Arc::clone(&endpoint).answer(request));
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
                });
            }
        })
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        self.most.fetch_max(self.now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        // Long enough for questions to come together, were they not held apart.
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.now.fetch_sub(1, Ordering::Relaxed);
        let name = request.uri().query().and_then(|query| query.strip_prefix("domain=")).unwrap_or_default().to_owned();
        let status = if name.starts_with("shop") { 200 } else { 404 };
        self.asked.lock().unwrap().push(name);
        Ok(Response::builder().status(status).body(Full::default()).unwrap())
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

struct Scene {
    gateway: Gateway,
    pebble: Pebble,
    proxy: FaultProxy,
    endpoint: Arc<Endpoint>,
    _servers: [Server; 2],
}

impl Scene {
    fn new() -> Self {
        let mut gateway = Gateway::prepare();
        let pebble = Pebble::start(gateway.http, gateway.https, &Options::default());
        let proxy = FaultProxy::start(&pebble);
        let (endpoint, backend) = (Arc::<Endpoint>::default(), echo::start());
        let ask = endpoint.start();
        let acme = format!("{}on-demand ask http://{}/wanted\n", proxy.acme_lines(), ask.address());
        gateway.configure(&acme, &format!("* {{\n    proxy {}\n}}\n", backend.address().port()));
        gateway.start();
        Self { gateway, pebble, proxy, endpoint, _servers: [ask, backend] }
    }

    fn orders(&self) -> usize {
        self.proxy.answered(Kind::NewOrder, 201)
    }
}

#[test]
fn a_wanted_name_is_obtained_while_its_first_handshake_waits_and_remembered_afterwards() {
    let mut scene = Scene::new();
    let root = scene.pebble.issued_root();
    let seen = scene.gateway.until_served("shop1.example.test", &root, SOON);
    assert_eq!(seen.text(), "hello from echo: GET /\n");
    assert_eq!((scene.endpoint.asked(), scene.orders()), (vec!["shop1.example.test".to_owned()], 1));
    scene.gateway.stop();
    scene.gateway.start();
    let again = scene.gateway.get("shop1.example.test", "/", &root).unwrap();
    assert_eq!(again.serial(), seen.serial());
    assert_eq!((scene.endpoint.asked().len(), scene.orders()), (1, 1), "neither the endpoint nor the authority is asked again");
}

#[test]
fn nothing_is_ordered_for_a_name_that_is_not_wanted_and_the_endpoint_is_asked_once() {
    let mut scene = Scene::new();
    let root = scene.pebble.issued_root();
    for _ in 0..3 {
        scene.gateway.get("evil.example.test", "/", &root).map(|_| ()).expect_err("it is not wanted");
    }
    assert_eq!((scene.endpoint.asked(), scene.orders()), (vec!["evil.example.test".to_owned()], 0));
    let process = scene.gateway.process();
    process.until_said("not-on-demand", SOON);
    process.until_said("answered 404, so nothing is ordered", SOON);
}

#[test]
fn a_flood_of_made_up_names_orders_nothing_and_asks_a_few_at_a_time() {
    let scene = Scene::new();
    let (port, root) = (scene.gateway.https, std::fs::read_to_string(scene.pebble.issued_root()).unwrap());
    server::runtime().block_on(async {
        let knock = async |n: usize| {
            let name = format!("n{n}.flood.example");
            let refused = tokio::time::timeout(SOON, client::get_once(&name, port, "/", &root)).await;
            refused.expect("it is answered in time").map(|_| ()).expect_err("it is not wanted");
        };
        for from in (0..600).step_by(100) {
            futures_util::future::join_all((from..from + 100).map(knock)).await;
        }
    });
    assert_eq!(scene.orders(), 0);
    let most = scene.endpoint.most.load(Ordering::Relaxed);
    assert!((1..=32).contains(&most), "{most} questions at a time");
    // Who is wanted comes in all the same.
    scene.gateway.until_served("shop2.example.test", &scene.pebble.issued_root(), SOON);
    assert_eq!(scene.orders(), 1);
}

/// As a CDN that takes requests in the clear and asks its origin over TLS only, without verifying its certificate.
fn asking_over_tls(name: &'static str, port: u16) -> Server {
    Server::start("asks over TLS", ([127, 0, 0, 1], 0).into(), async move |listener| {
        while let Ok((mut socket, _)) = listener.accept().await {
            let passing = task::spawn("a request", async move {
                let mut asked = [0; 2_048];
                let length = socket.read(&mut asked).await.unwrap_or(0);
                let text = String::from_utf8_lossy(&asked[..length]).into_owned();
                let url = format!("https://{name}:{port}{}", text.split(' ').nth(1).unwrap_or("/"));
                let body = task::blocking("curl", move || {
                    let mut command = process::command("curl");
                    command.args(["--silent", "--insecure", "--max-time", "100", "--connect-to", "::127.0.0.1:", &url]);
                    String::from_utf8_lossy(&process::run("curl", &mut command, SOON).stdout).into_owned()
                });
                let body = body.await.unwrap_or_default();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = socket.write_all((head + &body).as_bytes()).await;
            });
            drop(passing);
        }
    })
}

#[test]
fn a_name_is_obtained_behind_a_cdn_that_asks_its_origin_over_tls_only_where_it_is_a_trusted_proxy() {
    const NAME: &str = "shop3.example.test";
    let mut gateway = Gateway::prepare();
    let front = asking_over_tls(NAME, gateway.https);
    let pebble = Pebble::start(front.address().port(), gateway.https, &Options::default());
    let proxy = FaultProxy::start(&pebble);
    let (endpoint, backend) = (Arc::<Endpoint>::default(), echo::start());
    let ask = endpoint.start();
    let acme = format!("{}challenges http-01\non-demand ask http://{}/wanted\n", proxy.acme_lines(), ask.address());
    let site = format!("trusted-proxies 127.0.0.1\n* {{\n    proxy {}\n}}\n", backend.address().port());
    gateway.configure(&acme, &site);
    gateway.start();
    gateway.until_served(NAME, &pebble.issued_root(), SOON);
    assert_eq!((endpoint.asked().len(), proxy.answered(Kind::NewOrder, 201)), (1, 1), "one order proved it");
}
