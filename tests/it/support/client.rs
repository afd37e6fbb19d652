//! A client that looks closely: at the certificate, the protocol, the status and the body.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use doorward::base::task;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::server;

/// What a visitor sees.
pub struct Seen {
    /// The answer.
    pub response: Response<Bytes>,
    /// The certificates shown, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
}

impl Seen {
    /// The leaf's serial number in hexadecimal.
    pub fn serial(&self) -> String {
        let (_, leaf) = x509_parser::parse_x509_certificate(&self.chain[0]).unwrap();
        leaf.raw_serial_as_string()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.response.body()).into_owned()
    }
}

/// One GET over a connection of its own, verified against the roots in a PEM file.
pub fn get(name: &str, port: u16, path: &str, roots: &Path) -> io::Result<Seen> {
    let roots = std::fs::read_to_string(roots)?;
    server::runtime().block_on(async {
        let limit = Duration::from_secs(60);
        tokio::time::timeout(limit, get_once(name, port, path, &roots))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    })
}

/// As [`get`], with the roots as text and no deadline of its own.
pub async fn get_once(name: &str, port: u16, path: &str, roots: &str) -> io::Result<Seen> {
    let socket = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    get_over(socket, name, path, roots).await
}

/// As [`get_once`], over a connection to the gateway on which nothing was said yet, or only what comes before TLS.
pub async fn get_over(socket: TcpStream, name: &str, path: &str, roots: &str) -> io::Result<Seen> {
    let port = socket.peer_addr()?.port();
    let stream = handshake(socket, name, roots, &[b"http/1.1"]).await?;
    let chain = stream.get_ref().1.peer_certificates().expect("a server shows its certificate").to_vec();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let host = if port == 443 { name.to_owned() } else { format!("{name}:{port}") };
    let request = Request::get(path)
        .header("host", host)
        .header("user-agent", "doorward-yard")
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let exchange = async move {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        Ok::<_, hyper::Error>(Response::from_parts(parts, body.collect().await?.to_bytes()))
    };
    let (response, _) = tokio::join!(exchange, connection);
    Ok(Seen { response: response.map_err(io::Error::other)?, chain })
}

/// A WebSocket to `path` over HTTP/2 (RFC 8441), on a connection of its own.
pub async fn websocket_over_http_2(name: &str, port: u16, path: &str, roots: &Path) -> WebSocketStream<TokioIo<Upgraded>> {
    let roots = std::fs::read_to_string(roots).unwrap();
    let socket = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.unwrap();
    let stream = handshake(socket, name, &roots, &[b"h2"]).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    task::spawn("HTTP/2 client", connection);
    let url = format!("https://{name}:{port}{path}");
    // That an extended CONNECT may be sent is in the server's settings, which come before its first answer.
    let first = sender.send_request(Request::head(&url).body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    drop(first);
    let mut request = Request::connect(&url).header("sec-websocket-version", "13").body(Empty::new()).unwrap();
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let stream = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    WebSocketStream::from_raw_socket(stream, Role::Client, None).await
}

/// A TLS handshake that verifies `name` against the roots in a PEM text and offers the protocols of `alpn`.
pub async fn handshake(socket: TcpStream, name: &str, roots: &str, alpn: &[&[u8]]) -> io::Result<TlsStream<TcpStream>> {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store.add(root.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let builder =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let mut config = builder.with_root_certificates(store).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, socket).await
}

/// A server's side, for the yard's own servers.
pub fn server_config(chain: &str, key: &str, alpn: &[&[u8]]) -> ServerConfig {
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
