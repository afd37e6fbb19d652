//! The client towards authorities, against a server that counts its connections and ends them when it likes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use doorward::base::task;
use doorward::base::time::SystemClock;
use doorward::certs::issuer::http::{AcmeHttp, HttpFailure, HttpLimits};
use doorward::net::http_client::{HttpError, Stage};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::authority::Authority;
use crate::support::client;
use crate::support::server::Server;

const DIRECTORY: &str = r#"{"newNonce":"https://ca/n","newAccount":"https://ca/a","newOrder":"https://ca/o"}"#;

/// How the server ends a connection.
#[derive(Clone, Copy)]
enum Manner {
    /// It keeps it.
    Keeps,
    /// It cuts it after one answer, without a word.
    CutsAfterOne,
    /// It says nothing at all, not even TLS.
    Mute,
}

struct Counter {
    server: Server,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
    authority: Authority,
    _folder: tempfile::TempDir,
}

impl Counter {
    fn start(manner: Manner) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let (chain, key) = authority.sign(&[]);
        let acceptor = TlsAcceptor::from(Arc::new(client::server_config(&chain, &key, &[b"http/1.1"])));
        let (connections, requests) = (Arc::<AtomicUsize>::default(), Arc::default());
        let (counted, heard) = (Arc::clone(&connections), Arc::clone(&requests));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server =
            Server::start("counter", address, async move |listener| listen(listener, acceptor, manner, counted, heard).await);
        Self { server, connections, requests, authority, _folder: folder }
    }

    fn client(&self) -> AcmeHttp {
        self.client_with(HttpLimits::default().connect)
    }

    fn client_with(&self, connect: Duration) -> AcmeHttp {
        let limits = HttpLimits { connect, ..HttpLimits::default() };
        let directory = format!("https://localhost:{}/dir", self.server.address().port());
        AcmeHttp::new(&directory, Some(self.authority.root_file()), limits, Arc::new(SystemClock))
    }

    fn count(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn listen(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    manner: Manner,
    counted: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<String>>>,
) {
    while let Ok((mut socket, _)) = listener.accept().await {
        counted.fetch_add(1, Ordering::Relaxed);
        let (acceptor, heard) = (acceptor.clone(), Arc::clone(&heard));
        task::spawn("counter connection", async move {
            if let Manner::Mute = manner {
                let mut sink = Vec::new();
                let _ = socket.read_to_end(&mut sink).await;
                return;
            }
            let Ok(mut stream) = acceptor.accept(socket).await else { return };
            while let Some(request) = head(&mut stream).await {
                heard.lock().unwrap().push(request);
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{DIRECTORY}", DIRECTORY.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                if let Manner::CutsAfterOne = manner {
                    return;
                }
            }
        });
    }
}

/// One request without a body, as text.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        text.push(char::from(stream.read_u8().await.ok()?));
    }
    Some(text)
}

#[tokio::test]
async fn one_connection_carries_many_requests_and_the_directory_is_remembered() {
    let counter = Counter::start(Manner::Keeps);
    let http = counter.client();
    for _ in 0..5 {
        http.directory().await.unwrap();
        http.directory().await.unwrap();
        http.forget_directory();
    }
    assert_eq!(counter.count(), 1);
    let heard = counter.requests.lock().unwrap().clone();
    let product = concat!("user-agent: doorward/", env!("CARGO_PKG_VERSION"), "\r\n");
    assert!(heard.len() == 5 && heard.iter().all(|request| request.contains(product)), "{heard:?}");
}

#[tokio::test]
async fn a_connection_that_ends_after_each_answer_is_no_error() {
    let counter = Counter::start(Manner::CutsAfterOne);
    let http = counter.client();
    for _ in 0..20 {
        http.directory().await.unwrap();
        http.forget_directory();
    }
    assert_eq!(counter.count(), 20);
}

#[tokio::test]
async fn a_mute_server_and_a_plain_url_end_in_words() {
    let counter = Counter::start(Manner::Mute);
    let error = counter.client_with(Duration::from_secs(1)).directory().await.unwrap_err();
    assert!(matches!(error, HttpFailure::Transport(HttpError::Slow { stage: Stage::Connect, .. })), "{error}");
    assert!(error.was_not_sent());
    let plain = AcmeHttp::new("http://localhost/dir", None, HttpLimits::default(), Arc::new(SystemClock));
    assert!(matches!(plain.directory().await.unwrap_err(), HttpFailure::Transport(HttpError::Url { .. })));
}
