//! Sites that let in holders of a certificate only: over every version of HTTP, and over connections made for another site.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

use crate::support::gateway::Gateway;
use crate::support::h3::ClientCert;
use crate::support::peers::curl;
use crate::support::process;
use crate::support::server::{self, Server};
use crate::support::{obedient, wait};

const SOON: Duration = wait::LIMIT;

/// An authority for clients.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// Writes a certificate and its key for a client; their files.
    fn client(&self, folder: &Path, name: &str) -> Client {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (cert_file, key_file) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        fs::write(&cert_file, certificate.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        Client { certificate: cert_file, key: key_file }
    }
}

struct Client {
    certificate: PathBuf,
    key: PathBuf,
}

impl Client {
    /// What curl is told of it.
    fn arguments(&self) -> [&str; 4] {
        ["--cert", self.certificate.to_str().unwrap(), "--key", self.key.to_str().unwrap()]
    }
}

/// A gateway of three sites: `localhost` for everybody, `private.localhost`, and `optional.localhost`.
struct Scene {
    folder: TempDir,
    gateway: Gateway,
    root: PathBuf,
    known: Client,
    unknown: Client,
    _backend: Server,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ours = Authority::new("ours");
        let known = ours.client(folder.path(), "alice");
        let unknown = Authority::new("theirs").client(folder.path(), "mallory");
        fs::write(folder.path().join("ca.pem"), ours.issuer.pem()).unwrap();
        let backend = obedient::start(Arc::default());
        let gateway = Gateway::prepare();
        let mut scene = Self { folder, gateway, root: PathBuf::new(), known, unknown, _backend: backend };
        scene.gateway.configure("", &scene.sites("headers"));
        scene.gateway.start();
        scene.root = scene.gateway.local_root();
        scene.gateway.until_served("localhost", &scene.root, SOON);
        scene
    }

    fn sites(&self, private: &str) -> String {
        let (ca, port) = (self.folder.path().join("ca.pem"), self._backend.address().port());
        let site = |host: &str, word: String| format!("{host} {{\n    {word}\n    proxy {port}\n}}\n");
        let asks = |rest: &str| format!("client-certificates {} {rest}", ca.display());
        [
            site("localhost", String::new()),
            site("private.localhost", if private == "open" { String::new() } else { asks(private) }),
            site("optional.localhost", asks("optional headers")),
        ]
        .concat()
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/a", self.gateway.https)
    }

    /// What curl writes, the status at its end; nothing when there was no answer.
    fn curl(&self, arguments: &[&str]) -> String {
        let mut command = process::command("curl");
        command.args(["--silent", "--max-time", "20", "--connect-to", "::127.0.0.1:", "--write-out", "%{http_code}"]);
        command.arg("--cacert").arg(&self.root).args(arguments);
        let output = process::run("curl", &mut command, SOON);
        if output.status.success() { String::from_utf8_lossy(&output.stdout).into_owned() } else { String::new() }
    }

    /// The end of a QUIC client's TLS: with `client`'s certificate, if there is one.
    fn quic(&self, client: Option<&Client>) -> quinn::ClientConfig {
        let Some(client) = client else { return crate::support::h3::trusting(&self.root) };
        let chain = CertificateDer::pem_file_iter(&client.certificate).unwrap().collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(&client.key).unwrap();
        crate::support::h3::trusting_as(&self.root, Some((chain, key)))
    }
}

const VERSIONS: [&str; 2] = ["--http1.1", "--http2"];

#[test]
fn only_who_holds_a_certificate_of_the_sites_authority_comes_in() {
    let mut scene = Scene::new();
    let url = scene.url("private.localhost");
    for version in VERSIONS {
        let known = scene.curl(&[scene.known.arguments().as_slice(), &[version, &url]].concat());
        assert!(known.ends_with("200"), "{version}: {known}");
        assert!(known.contains("x-client-cert-subject: CN=alice\n"), "{version}: {known}");
        assert!(known.contains("client-cert: :") && known.contains("x-client-cert-sha256: "), "{version}: {known}");
        assert_eq!(scene.curl(&[version, &url]), "", "{version}: nobody is not let in");
        let unknown = scene.curl(&[scene.unknown.arguments().as_slice(), &[version, &url]].concat());
        assert_eq!(unknown, "", "{version}: somebody else's is not let in");
    }
    let process = scene.gateway.process();
    process.until_said("the site demands a client certificate, and none was shown", SOON);
    process.until_said("the client's certificate is not one that `client-certificates` accepts", SOON);
}

#[test]
fn where_it_is_optional_the_backend_hears_of_it_and_of_nothing_else() {
    let scene = Scene::new();
    let url = scene.url("optional.localhost");
    for version in VERSIONS {
        let forged = ["--header", "X-Client-Cert-Subject: CN=root", "--header", "Client-Cert: :AA==:"];
        let nobody = scene.curl(&[forged.as_slice(), &[version, &url]].concat());
        assert!(nobody.ends_with("200") && !nobody.contains("client-cert"), "{version}: {nobody}");
        let known = scene.curl(&[scene.known.arguments().as_slice(), &forged, &[version, &url]].concat());
        assert!(known.contains("x-client-cert-subject: CN=alice\n") && !known.contains("AA=="), "{version}: {known}");
        // A site that does not ask passes nothing on either.
        let open = scene.curl(&[forged.as_slice(), &[version, &scene.url("localhost")]].concat());
        assert!(open.ends_with("200") && !open.contains("client-cert"), "{version}: {open}");
    }
}

#[test]
fn a_connection_for_another_site_is_misdirected_there() {
    let scene = Scene::new();
    for version in VERSIONS {
        let host = format!("Host: private.localhost:{}", scene.gateway.https);
        let url = scene.url("localhost");
        let over_another = scene.curl(&[scene.known.arguments().as_slice(), &[version, "--header", &host, &url]].concat());
        assert!(over_another.ends_with("421"), "{version}: {over_another}");
    }
    let said = curl(&["--cacert", scene.root.to_str().unwrap(), &scene.url("localhost")]);
    assert!(said.starts_with("GET"), "{said}");
}

#[test]
fn over_http_3_the_same_is_so() {
    let mut scene = Scene::new();
    server::runtime().block_on(async {
        let port = scene.gateway.https;
        let request = |host: &str| http::Request::get(format!("https://{host}:{port}/a")).body(()).unwrap();
        let known = scene.quic(Some(&scene.known));
        let mut visitor = ClientCert::connect_as("private.localhost", port, known.clone()).await.unwrap();
        let answer = visitor.ask(request("private.localhost")).await;
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(answer.status() == 200 && text.contains("x-client-cert-subject: CN=alice\n"), "{text}");
        let mut open = ClientCert::connect_as("localhost", port, known).await.unwrap();
        assert_eq!(open.ask(request("localhost")).await.status(), 200);
        assert_eq!(open.ask(request("private.localhost")).await.status(), 421, "the handshake asked for another site");
        let mut optional = ClientCert::connect_as("optional.localhost", port, scene.quic(None)).await.unwrap();
        assert_eq!(optional.ask(request("optional.localhost")).await.status(), 200);
        for stranger in [scene.quic(None), scene.quic(Some(&scene.unknown))] {
            // A client of TLS 1.3 is done before the server has looked at its certificate.
            if let Ok(visitor) = ClientCert::connect_as("private.localhost", port, stranger).await {
                let reason = tokio::time::timeout(SOON, visitor.until_closed()).await.expect("it is closed");
                assert!(reason.contains("aborted by peer") || reason.contains("closed by peer"), "{reason}");
            }
        }
    });
    let process = scene.gateway.process();
    process.until_said("no-client-certificate", SOON);
    process.until_said("bad-client-certificate", SOON);
}

#[test]
fn a_connection_older_than_the_demand_does_not_get_around_it() {
    let scene = Scene::new();
    scene.gateway.configure("", &scene.sites("open"));
    assert!(scene.gateway.run("reload").status.success());
    let roots = fs::read_to_string(&scene.root).unwrap();
    server::runtime().block_on(async {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], scene.gateway.https));
        let socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let stream = crate::support::client::handshake(socket, "private.localhost", &roots, &[b"http/1.1"]).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
        let driver = doorward::base::task::spawn("client", connection);
        let mut ask = async || {
            let request = http::Request::get("/a").header("host", "private.localhost");
            let request = request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
            let response = sender.send_request(request).await.unwrap();
            let status = response.status();
            http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
            status
        };
        assert_eq!(ask().await, 200);
        scene.gateway.configure("", &scene.sites("headers"));
        assert!(scene.gateway.run("reload").status.success());
        assert_eq!(ask().await, 421);
        driver.abort();
    });
    let url = scene.url("private.localhost");
    wait::until("the holder comes in", SOON, || {
        let said = scene.curl(&[scene.known.arguments().as_slice(), &[&url]].concat());
        said.ends_with("200").then_some(()).ok_or(said)
    });
}
