//! What is spoken, and what strangers are shown.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion, RootCertStore, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::gateway::Gateway;
use crate::support::peers::curl;
use crate::support::server;

const SOON: Duration = crate::support::wait::LIMIT;
const SITE: &str = "localhost {\n    respond 200 hello\n}\n";

fn gateway(rest: &str) -> (Gateway, std::path::PathBuf) {
    let mut gateway = Gateway::prepare();
    gateway.configure("", rest);
    gateway.start();
    let root = gateway.local_root();
    gateway.until_served("localhost", &root, SOON);
    (gateway, root)
}

/// What a handshake agreed on.
#[derive(Debug)]
struct Agreed {
    version: ProtocolVersion,
    suite: String,
    group: NamedGroup,
    leaf: CertificateDer<'static>,
}

/// Shakes hands as a client that speaks only `versions` and `suites` (all when empty).
fn shake(
    port: u16,
    name: &str,
    root: &Path,
    versions: &[&'static SupportedProtocolVersion],
    suites: &[&str],
) -> io::Result<Agreed> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root).map_err(io::Error::other)?).map_err(io::Error::other)?;
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| suites.is_empty() || suites.iter().any(|name| suite.suite().as_str() == Some(name)));
    let config = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(versions);
    let config = config.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
    server::runtime().block_on(async {
        let socket = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, socket);
        let stream = tokio::time::timeout(SOON, handshake).await.map_err(|_| io::ErrorKind::TimedOut)??;
        let session = stream.get_ref().1;
        Ok(Agreed {
            version: session.protocol_version().expect("it is done"),
            suite: session.negotiated_cipher_suite().expect("it is done").suite().as_str().unwrap_or_default().to_owned(),
            group: session.negotiated_key_exchange_group().expect("it is done").name(),
            leaf: session.peer_certificates().expect("it was shown one")[0].clone().into_owned(),
        })
    })
}

const BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

#[test]
fn both_versions_are_spoken_and_the_key_exchange_withstands_quantum_computers() {
    let (gateway, root) = gateway(SITE);
    let newest = shake(gateway.https, "localhost", &root, &BOTH, &[]).unwrap();
    assert_eq!((newest.version, newest.group), (ProtocolVersion::TLSv1_3, NamedGroup::X25519MLKEM768));
    let older = shake(gateway.https, "localhost", &root, &[&version::TLS12], &[]).unwrap();
    assert_eq!(older.version, ProtocolVersion::TLSv1_2);
}

#[test]
fn what_is_switched_off_is_not_spoken_and_the_log_says_why() {
    let words = "tls-versions 1.3\nciphers TLS_AES_256_GCM_SHA384\n";
    let (mut gateway, root) = gateway(&format!("{words}{SITE}"));
    let port = gateway.https;
    let agreed = shake(port, "localhost", &root, &BOTH, &[]).unwrap();
    assert_eq!(agreed.suite, "TLS13_AES_256_GCM_SHA384");
    shake(port, "localhost", &root, &[&version::TLS12], &[]).expect_err("TLS 1.2 is off");
    shake(port, "localhost", &root, &BOTH, &["TLS13_AES_128_GCM_SHA256"]).expect_err("that cipher is off");
    gateway.process().until_said("nothing-in-common", SOON);
    // QUIC begins with a cipher of its own whatever is agreed on.
    server::runtime().block_on(async {
        let mut visitor = crate::support::h3::ClientCert::connect("localhost", port, &root).await;
        let request = http::Request::get(format!("https://localhost:{port}/")).body(()).unwrap();
        assert_eq!(visitor.ask(request).await.status(), 200);
    });
}

#[test]
fn a_stranger_is_alerted_and_named_in_the_log() {
    let (mut gateway, root) = gateway(SITE);
    let error = shake(gateway.https, "stranger.example", &root, &BOTH, &[]).unwrap_err();
    assert!(error.to_string().contains("UnrecognisedName"), "{error}");
    let process = gateway.process();
    process.until_said("stranger.example", SOON);
    process.until_said("unknown-name", SOON);
}

#[test]
fn strangers_are_shown_the_default_certificate_of_a_host_and_answered_421() {
    let (gateway, root) =
        gateway(&format!("default-certificate localhost\n{SITE}other.localhost {{\n    respond 200 other\n}}\n"));
    let (port, root) = (gateway.https, root.to_string_lossy().into_owned());
    for version in ["--http1.1", "--http2"] {
        let url = format!("https://stranger.example:{port}/");
        let arguments = ["--insecure", "--output", "/dev/null", "--write-out", "%{http_code}", version, &url];
        assert_eq!(curl(&arguments), "421");
        let by_address = format!("https://127.0.0.1:{port}/");
        assert_eq!(curl(&["--insecure", "--output", "/dev/null", "--write-out", "%{http_code}", version, &by_address]), "421");
    }
    assert_eq!(curl(&["--cacert", &root, &format!("https://other.localhost:{port}/")]), "other");
}

#[test]
fn the_default_certificate_may_be_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["default.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let (chain_file, key_file) = (folder.path().join("default.pem"), folder.path().join("default.key"));
    fs::write(&chain_file, certificate.pem()).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    let (gateway, _) = gateway(&format!("default-certificate {} {}\n{SITE}", chain_file.display(), key_file.display()));
    let agreed = shake(gateway.https, "default.example", &chain_file, &BOTH, &[]).unwrap();
    assert_eq!(agreed.leaf, *certificate.der());
    let shown = gateway.run("certs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("the default certificate"), "{shown}");
}

/// Asks once over a connection of `config`; whether its handshake took up an earlier session. The answer is read, and with
/// it the tickets that come before it.
fn resumes(port: u16, config: &Arc<ClientConfig>) -> bool {
    server::runtime().block_on(async {
        let socket = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::clone(config)).connect(name, socket).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.expect("it is answered in time");
        assert!(read.is_ok() && answer.starts_with(b"HTTP/1.1 200"), "{read:?}");
        stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    })
}

#[test]
fn sessions_are_taken_up_again_over_a_reload() {
    let (gateway, root) = gateway(SITE);
    for version in BOTH {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&root).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        assert!(!resumes(gateway.https, &config), "{version:?}: there is nothing to take up");
        assert!(gateway.run("reload").status.success());
        assert!(resumes(gateway.https, &config), "{version:?}");
    }
}

#[test]
fn no_word_is_taken_before_a_handshake_is_done() {
    let (gateway, root) = gateway(SITE);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&root).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&version::TLS13]).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.enable_early_data = true;
    let config = Arc::new(config);
    assert!(!resumes(gateway.https, &config));
    // It holds a ticket now, and the ticket allows for none (RFC 8446 section 4.2.10): what is said early can be said twice.
    let mut session = rustls::ClientConnection::new(Arc::clone(&config), ServerName::try_from("localhost").unwrap()).unwrap();
    assert!(session.early_data().is_none());
    drop(session);
    assert!(resumes(gateway.https, &config));
}

#[test]
fn the_operator_sees_why_handshakes_come_to_nothing() {
    let (gateway, root) = gateway(SITE);
    shake(gateway.https, "stranger.example", &root, &BOTH, &[]).expect_err("nobody has this name");
    let shown = gateway.run("status");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("1 unknown-name"), "{shown}");
}
