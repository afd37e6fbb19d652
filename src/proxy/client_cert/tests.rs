use super::*;
use crate::base::name::HostName;

fn client_certs(optional: bool) -> (tempfile::TempDir, ClientCertPolicy, CertificateDer<'static>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "Ünit 50%");
    let authority = params.self_signed(&key).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, authority.pem()).unwrap();
    let trust = TlsTrust::new(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let client_certs = ClientCertPolicy::new(&ClientCertificates { ca_file, optional, headers: true }, &trust).unwrap();
    (folder, client_certs, authority.der().clone())
}

fn facts(name: Option<&str>, client_cert: Option<Arc<ClientCert>>) -> TlsFacts {
    TlsFacts { server_name: name.map(|name| HostName::parse(name).unwrap()), client_cert, is_stand_in: false }
}

fn host(name: &str) -> Host {
    Host::Name(HostName::parse(name).unwrap())
}

#[test]
fn a_request_must_come_over_a_handshake_for_its_own_host() {
    let (_folder, client_certs, leaf) = client_certs(false);
    let known = client_certs.client_cert(Some(&[leaf]));
    assert!(known.is_some());
    let check = |facts: Option<TlsFacts>, host, expected| assert_eq!(client_certs.check(facts.as_ref(), &host), expected);
    check(Some(facts(Some("a.example"), known.clone())), host("a.example"), Ok(()));
    check(Some(facts(Some("b.example"), known.clone())), host("a.example"), Err(Refusal::OtherServerName));
    check(Some(facts(None, known.clone())), host("a.example"), Err(Refusal::OtherServerName));
    check(Some(facts(None, known)), Host::Ip([192, 0, 2, 1].into()), Ok(()));
    check(Some(facts(Some("a.example"), None)), host("a.example"), Err(Refusal::NoClientCertificate));
    check(None, host("a.example"), Err(Refusal::OtherServerName));
}

#[test]
fn a_certificate_that_other_authorities_vouch_for_counts_for_nothing() {
    let (_one, ours, _) = client_certs(false);
    let (_other, theirs, leaf) = client_certs(false);
    let foreign = facts(Some("a.example"), theirs.client_cert(Some(&[leaf])));
    assert_eq!(ours.check(Some(&foreign), &host("a.example")), Err(Refusal::NoClientCertificate));
    let (_third, optional, _) = client_certs(true);
    assert_eq!(optional.check(Some(&foreign), &host("a.example")), Ok(()));
    let mut headers = HeaderMap::new();
    optional.tell(Some(&foreign), &mut headers);
    assert!(headers.is_empty(), "{headers:?}");
}

#[test]
fn the_backend_is_told_what_was_shown_and_nothing_that_was_written() {
    let (_folder, client_certs, leaf) = client_certs(false);
    let mut headers = HeaderMap::new();
    headers.insert(SUBJECT, HeaderValue::from_static("CN=root"));
    client_certs.tell(Some(&facts(Some("a.example"), None)), &mut headers);
    assert!(headers.is_empty());
    client_certs.tell(Some(&facts(Some("a.example"), client_certs.client_cert(Some(std::slice::from_ref(&leaf))))), &mut headers);
    assert_eq!(headers[&SUBJECT], "CN=%C3%9Cnit 50%25");
    assert_eq!(headers[&SHA256].len(), 64);
    assert_eq!(headers[&CLIENT_CERT], format!(":{}:", STANDARD.encode(&leaf)));
}
