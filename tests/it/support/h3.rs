//! A client of HTTP/3 that is not ours: the crate `h3` over quinn. And a bare QUIC client, to say what no client says.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use h3::client::{RequestStream, SendRequest};
use h3::error::StreamError;
use h3_quinn::OpenStreams;
use http::{HeaderMap, Request, Response};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use doorward::base::task;

use super::server;

/// A stream to ask on and be answered.
pub type Stream = RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

/// A connection that speaks HTTP/3.
pub struct ClientCert {
    sender: SendRequest<OpenStreams, Bytes>,
    /// What is below it.
    pub quic: Connection,
    /// Its socket.
    pub endpoint: Endpoint,
    driver: JoinHandle<Option<String>>,
}

impl ClientCert {
    /// Connects to `name` at 127.0.0.1.
    pub async fn connect(name: &str, port: u16, roots: &Path) -> Self {
        let (endpoint, quic) = connect(name, port, roots).await;
        let (mut connection, sender) = h3::client::new(h3_quinn::Connection::new(quic.clone())).await.unwrap();
        let driver = task::spawn("h3 client", async move { poll_fn(|cx| connection.poll_close(cx)).await.to_string() });
        Self { sender, quic, endpoint, driver }
    }

    /// Connects to `name` at 127.0.0.1 with TLS of one's own.
    pub async fn connect_as(name: &str, port: u16, config: ClientConfig) -> Result<Self, String> {
        let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        endpoint.set_default_client_config(config);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let quic = endpoint.connect(address, name).unwrap().await.map_err(|error| error.to_string())?;
        let opened = h3::client::new(h3_quinn::Connection::new(quic.clone())).await;
        let (mut connection, sender) = opened.map_err(|error| error.to_string())?;
        let driver = task::spawn("h3 client", async move { poll_fn(|cx| connection.poll_close(cx)).await.to_string() });
        Ok(Self { sender, quic, endpoint, driver })
    }

    /// Sends a request's header.
    pub async fn send(&mut self, request: Request<()>) -> Stream {
        self.sender.send_request(request).await.unwrap()
    }

    /// Asks without a body; the whole answer.
    pub async fn ask(&mut self, request: Request<()>) -> Response<Bytes> {
        self.try_ask(request).await.unwrap()
    }

    /// As [`ask`](Self::ask), of a gateway that may not answer.
    pub async fn try_ask(&mut self, request: Request<()>) -> Result<Response<Bytes>, String> {
        let words = |error: StreamError| error.to_string();
        let mut stream = self.sender.send_request(request).await.map_err(words)?;
        stream.finish().await.map_err(words)?;
        Ok(try_whole(&mut stream).await.map_err(words)?.0)
    }

    /// Waits until the server has closed the connection; how.
    pub async fn until_closed(self) -> String {
        let reason = self.quic.closed().await.to_string();
        drop(self.sender);
        let _ = self.driver.await;
        reason
    }
}

/// The whole answer, with its trailers.
pub async fn whole(stream: &mut Stream) -> (Response<Bytes>, Option<HeaderMap>) {
    try_whole(stream).await.unwrap()
}

async fn try_whole(stream: &mut Stream) -> Result<(Response<Bytes>, Option<HeaderMap>), StreamError> {
    let (parts, ()) = stream.recv_response().await?.into_parts();
    let mut body = BytesMut::new();
    while let Some(mut piece) = stream.recv_data().await? {
        body.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
    }
    let trailers = stream.recv_trailers().await?;
    Ok((Response::from_parts(parts, body.freeze()), trailers))
}

/// A QUIC connection that offers `h3`.
pub async fn connect(name: &str, port: u16, roots: &Path) -> (Endpoint, Connection) {
    let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    endpoint.set_default_client_config(trusting(roots));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let connection = endpoint.connect(address, name).unwrap().await.unwrap();
    (endpoint, connection)
}

/// What a client needs that trusts the roots in a PEM file.
pub fn trusting(roots: &Path) -> ClientConfig {
    trusting_as(roots, None)
}

/// As [`trusting`], for a client that has a certificate of its own.
pub fn trusting_as(roots: &Path, client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>) -> ClientConfig {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(roots).unwrap() {
        store.add(root.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let builder = builder.unwrap().with_root_certificates(store);
    let mut tls = match client {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![b"h3".to_vec()];
    ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()))
}

/// The first two packets of each of so many clients, said to somebody who does not answer.
pub fn hellos(roots: &Path, count: usize) -> Vec<Vec<Vec<u8>>> {
    server::runtime().block_on(async {
        let sink = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        endpoint.set_default_client_config(trusting(roots));
        let mut heard: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        let mut bytes = [0; 2_000];
        let mut connecting = Vec::new();
        while connecting.len() < count {
            connecting.push(endpoint.connect(sink.local_addr().unwrap(), "localhost").unwrap());
            // Each chose an id of its own for the server; who is not answered repeats itself.
            while heard.values().filter(|packets| packets.len() > 1).count() < connecting.len() {
                let length = sink.recv(&mut bytes).await.unwrap();
                let id = bytes[6..6 + usize::from(bytes[5])].to_vec();
                heard.entry(id).or_default().push(bytes[..length].to_vec());
            }
        }
        heard.into_values().map(|mut packets| packets.drain(..2).collect()).collect()
    })
}
