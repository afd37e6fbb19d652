use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType, string::Ia5String};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::base::error_chain::ErrorChain;
use crate::base::name::HostName;
use crate::base::task;
use crate::proxy::upstream::connect::ConnectError;

/// An authority in a folder, with a certificate for `app.internal`.
struct Authority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn certify(&self, name: &str) -> (Vec<rustls::pki_types::CertificateDer<'static>>, KeyPair, String) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::DnsName(Ia5String::try_from(name).unwrap())];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (vec![certificate.der().clone()], key, certificate.pem())
    }

    /// A backend for `app.internal` that says whether it saw a client certificate.
    async fn serve(&self, asks_for_certificate: bool) -> SocketAddr {
        let (chain, key, _pem) = self.certify("app.internal");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
        let builder = if asks_for_certificate {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap()).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let serve = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                let _its_own = task::spawn_local("TLS backend connection", async move {
                    let mut stream = acceptor.accept(stream).await?;
                    let session = stream.get_ref().1;
                    let seen = (session.alpn_protocol() == Some(b"http/1.1"), session.peer_certificates().is_some());
                    stream.write_all(format!("{seen:?}").as_bytes()).await?;
                    stream.shutdown().await?;
                    io::Result::Ok(())
                });
            }
        };
        let _its_own = task::spawn_local("TLS backend", serve);
        addr
    }
}

async fn dial(addr: SocketAddr, change: impl FnOnce(&mut Upstream)) -> Result<String, ConnectError> {
    let mut settings = upstream(vec![target(TargetAddress::Socket(addr), TargetScheme::Https, 1)]);
    change(&mut settings);
    let cluster = build(&settings);
    let mut stream = cluster.dialer().dial(cluster.roster().members()[0].target()).await?;
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    Ok(said)
}

fn trusting(settings: &mut Upstream, ca: &Path, name: &str) {
    settings.tls.ca_file = Some(ca.to_owned());
    settings.tls.server_name = Some(HostName::parse(name).unwrap());
}

#[test]
fn the_certificate_must_be_of_the_named_authority_and_for_the_named_host() {
    run(async {
        let authority = Authority::new("the authority");
        let addr = authority.serve(false).await;
        let said = dial(addr, |settings| trusting(settings, &authority.file("ca.pem"), "app.internal")).await;
        assert_eq!(said.unwrap(), "(true, false)");

        let wrong = dial(addr, |settings| trusting(settings, &authority.file("ca.pem"), "other.internal")).await.unwrap_err();
        assert_eq!(wrong.code(), "connect-certificate");
        let words = ErrorChain(&wrong).to_string();
        assert!(words.contains("not accepted for other.internal") && words.contains("app.internal"), "{words}");

        let stranger = Authority::new("a stranger");
        let wrong = dial(addr, |settings| trusting(settings, &stranger.file("ca.pem"), "app.internal")).await.unwrap_err();
        assert!(ErrorChain(&wrong).to_string().contains("UnknownIssuer"), "{}", ErrorChain(&wrong));

        let unproved = dial(addr, |_| ()).await.unwrap_err();
        assert_eq!(unproved.code(), "connect-certificate", "the machine's own roots do not know it");

        assert_eq!(dial(addr, |settings| settings.tls.insecure = true).await.unwrap(), "(true, false)");
    });
}

#[test]
fn a_name_that_was_looked_up_is_still_the_one_that_is_proved() {
    run(async {
        let authority = Authority::new("the authority");
        let addr = authority.serve(false).await;
        let name = HostName::parse("app.internal").unwrap();
        let at = TargetAddress::Name(name.clone(), addr.port());
        let mut settings = upstream(vec![target(at, TargetScheme::Https, 1)]);
        settings.tls.ca_file = Some(authority.file("ca.pem"));
        settings.resolve = Some(crate::config::settings::Resolve::Dns(Vec::new()));
        let cluster = build(&settings);
        assert!(cluster.found(&name, &[addr.ip().into()]).is_some());
        let member = Arc::clone(&cluster.roster().members()[0]);
        let mut stream = health_check::connect(&cluster, &member).await.expect("the address is reached, and proves the name");
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "(true, false)");
    });
}

#[test]
fn a_client_certificate_is_shown_where_one_is_set() {
    run(async {
        let authority = Authority::new("the authority");
        let addr = authority.serve(true).await;
        let (_der, key, pem) = authority.certify("gateway.internal");
        std::fs::write(authority.file("gateway.pem"), pem).unwrap();
        std::fs::write(authority.file("gateway.key"), key.serialize_pem()).unwrap();
        let said = dial(addr, |settings| {
            trusting(settings, &authority.file("ca.pem"), "app.internal");
            settings.tls.client = Some((authority.file("gateway.pem"), authority.file("gateway.key")));
        });
        assert_eq!(said.await.unwrap(), "(true, true)");
    });
}

#[test]
fn a_backend_without_tls_is_told_from_one_with_a_bad_certificate() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let speak = async { listener.accept().await.unwrap().0.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap() };
        let (error, ()) = tokio::join!(dial(addr, |settings| settings.tls.insecure = true), speak);
        let error = error.unwrap_err();
        assert_eq!((error.code(), error.to_string()), ("connect-tls", format!("no TLS with {addr}")));
    });
}

#[test]
fn files_that_cannot_be_used_are_named_and_changed_ones_count_as_changed_settings() {
    let authority = Authority::new("the authority");
    let path = authority.file("ca.pem");
    let mut settings = settings(&[1]);
    settings.targets[0].scheme = TargetScheme::Https;
    settings.tls.ca_file = Some(path.clone());
    let before = build(&settings);
    assert!(Arc::ptr_eq(&before, &UpstreamGroup::build(&settings, Some(&before), &trust()).unwrap()));
    std::fs::write(&path, Authority::new("another").issuer.pem()).unwrap();
    let after = UpstreamGroup::build(&settings, Some(&before), &trust()).unwrap();
    assert!(!Arc::ptr_eq(&before, &after));

    std::fs::write(&path, "nothing of the kind").unwrap();
    let error = UpstreamGroup::build(&settings, Some(&before), &trust()).unwrap_err();
    let expected = format!(
        "TLS towards the backends of `test` cannot be set up: {} holds no usable certificate in PEM form",
        path.display()
    );
    assert_eq!(ErrorChain(&error).to_string(), expected);
    std::fs::remove_file(&path).unwrap();
    let error = UpstreamGroup::build(&settings, Some(&before), &trust()).unwrap_err();
    assert!(ErrorChain(&error).to_string().contains("cannot be read: No such file"), "{}", ErrorChain(&error));
}
