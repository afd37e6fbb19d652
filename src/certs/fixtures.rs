//! Small worlds for this layer's tests.

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::name::HostPattern;
use crate::base::size::ByteSize;
use crate::config::env_values::EnvValues;
use crate::config::settings::{
    Acme, At, ChallengeKind, GatewayLimits, KeyKind, Level, Log, LogFormat, MemoryLimit, Place, Protocols, PublicPorts, Settings,
    Site, SiteHost, SiteRefusals, SiteTls, Timeouts, Tls, TlsVersions,
};

/// An authority at this directory with everything else at its plainest.
pub(crate) fn acme(directory: &str) -> Arc<Acme> {
    Arc::new(Acme {
        directory: directory.to_owned(),
        staging: false,
        at: At::default(),
        ca_file: None,
        profile: None,
        eab: None,
        challenges: vec![ChallengeKind::Http01, ChallengeKind::TlsAlpn01],
        dns: None,
        propagation: Default::default(),
        preferred_root: None,
        resolvers: Vec::new(),
        key: KeyKind::P256,
        rehearsal: None,
        fallback: Vec::new(),
        on_demand_ask: None,
        hook: None,
        alert: None,
    })
}

/// A site for these heads.
pub(crate) fn site(hosts: &[&str], tls: &SiteTls) -> Site {
    let host = |text: &&str| SiteHost { pattern: HostPattern::parse(text).unwrap(), plain: false, port: 443 };
    Site {
        hosts: hosts.iter().map(host).collect(),
        tls: tls.clone(),
        shared_certificate: false,
        client_certificates: None,
        refusals: SiteRefusals::default(),
        blocks: Vec::new(),
        at: Place::default(),
    }
}

/// Settings with these sites.
pub(crate) fn settings(sites: Vec<Site>) -> Settings {
    let second = Duration::from_secs(1);
    Settings {
        email: None,
        state: PathBuf::from("state"),
        admin: None,
        bind: vec![IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
        http_port: 80,
        https_port: 443,
        public_ports: PublicPorts::STANDARD,
        protocols: Protocols { h1: true, h2: true, h3: false },
        tls: Tls { versions: TlsVersions { tls12: true, tls13: true }, ciphers: Vec::new(), default_certificate: None },
        trusted_proxies: Vec::new(),
        proxy_protocol_from: Vec::new(),
        drain: second,
        timeouts: Timeouts { handshake: second, header: second, body: second, send: second, idle: second },
        limits: GatewayLimits {
            connections: 1,
            header_size: ByteSize(1),
            header_count: 1,
            url_size: ByteSize(1),
            streams: 1,
            memory: MemoryLimit::Off,
        },
        ban: None,
        acme: acme("https://ca.example/dir"),
        log: Log { format: LogFormat::Auto, access: true, level: Level::Info, hide: Vec::new() },
        upstreams: Vec::new(),
        sites,
        sources: Vec::new(),
        env_values: EnvValues::default(),
    }
}

/// A key that could be served.
pub(crate) fn certified() -> Arc<rustls::sign::CertifiedKey> {
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    Arc::new(rustls::sign::CertifiedKey::new(vec![cert.der().clone()], signing))
}

/// A need of these names at an authority with this directory.
pub(crate) fn acme_need(directory: &str, names: &[&str]) -> super::desired::DesiredCert {
    let mut site = site(names, &SiteTls::Acme(acme(directory)));
    site.shared_certificate = true;
    super::desired::needs(&settings(vec![site])).remove(0)
}
