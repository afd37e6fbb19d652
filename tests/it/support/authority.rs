//! A certificate authority of the tests' own: it signs what the yard's servers show, never what the gateway shows.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};

/// An authority with its root in a file.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    /// Makes one whose files lie in `folder`.
    pub fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "doorward test yard");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.join("yard-root.pem"), issuer.pem()).unwrap();
        Self { issuer, folder: folder.to_owned() }
    }

    /// The root's PEM file.
    pub fn root_file(&self) -> PathBuf {
        self.folder.join("yard-root.pem")
    }

    /// The root's PEM text.
    pub fn root_pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for localhost, 127.0.0.1 and `names`, with its key: two PEM texts, the chain without the root.
    pub fn sign(&self, names: &[&str]) -> (String, String) {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.subject_alt_names.push(SanType::DnsName("localhost".try_into().unwrap()));
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// As [`Authority::sign`], with the root at the chain's end, written to `NAME.pem` and `NAME.key`; their paths.
    pub fn sign_files(&self, name: &str) -> (PathBuf, PathBuf) {
        let (chain, key) = self.sign(&[]);
        let paths = (self.folder.join(format!("{name}.pem")), self.folder.join(format!("{name}.key")));
        fs::write(&paths.0, chain + &self.root_pem()).unwrap();
        fs::write(&paths.1, key).unwrap();
        paths
    }
}
