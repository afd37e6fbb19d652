//! A gateway on localhost with its local root before an obedient backend, for clients of HTTP/3.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};

use super::gateway::Gateway;
use super::h3::ClientCert;
use super::obedient::{self, Seen};
use super::server::{self, Server};

/// No client takes this long.
pub const SOON: Duration = super::wait::LIMIT;

/// A gateway on localhost before a backend that does as the path says.
pub struct Scene {
    pub gateway: Gateway,
    pub root: PathBuf,
    pub seen: Arc<Seen>,
    pub backend: Server,
}

impl Scene {
    /// One with `rest` before its site.
    pub fn new(rest: &str) -> Self {
        let seen = Arc::<Seen>::default();
        let backend = obedient::start(Arc::clone(&seen));
        let mut gateway = Gateway::prepare();
        gateway.configure("", &Self::site(&backend, rest));
        gateway.start();
        let root = gateway.local_root();
        gateway.until_served("localhost", &root, SOON);
        Self { gateway, root, seen, backend }
    }

    /// Its configuration.
    pub fn site(backend: &Server, rest: &str) -> String {
        format!("{rest}\nlocalhost {{\n    proxy {}\n}}", backend.address().port())
    }

    /// A client.
    pub async fn visitor(&self) -> ClientCert {
        ClientCert::connect("localhost", self.gateway.https, &self.root).await
    }

    /// A request for the backend.
    pub fn get(&self, path: &str) -> Request<()> {
        self.request(Method::GET, path)
    }

    /// As [`get`](Self::get), with another method.
    pub fn request(&self, method: Method, path: &str) -> Request<()> {
        let uri = format!("https://localhost:{}{path}", self.gateway.https);
        Request::builder().method(method).uri(uri).body(()).unwrap()
    }

    /// Runs a client in bounded time.
    pub fn run<T>(&self, client: impl Future<Output = T>) -> T {
        server::runtime().block_on(async { tokio::time::timeout(SOON, client).await.expect("done in time") })
    }
}
