//! What a connection is received with: limits, TLS and protocols. Written by a reload only; a connection keeps the one
//! it was accepted with.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderValue;

use super::header_room::room_for_section;
use super::http::Http;
use super::quic::config::QuicFront;
use super::tls::client_auth::ClientAuthSites;
use super::tls::{Peer, TlsFront, TlsRoots};
use crate::base::addr::IpNet;
use crate::certs::challenge::ChallengeBoard;
use crate::certs::issued_by::MeantNames;
use crate::certs::manager::CertManagerHandle;
use crate::config::settings::{PortMap, Settings, Timeouts};
use crate::proxy::client_cert::ClientCertPolicy;

/// See the module.
pub struct ListenerConfig {
    /// Limits on a client's slowness.
    pub timeouts: Timeouts,
    /// Most client connections at a time.
    pub connections: u64,
    /// The TLS side.
    pub tls: TlsFront,
    /// The protocols over TCP.
    pub http: Http,
    /// QUIC, where it is on.
    pub quic: Option<QuicFront>,
    /// Longest header section, in bytes.
    pub header_size: usize,
    /// Longest one that is read at all, in bytes.
    pub header_room: usize,
    /// The ports of URLs that lead here.
    pub ports: PortMap,
    /// Ports where QUIC is spoken, each with the Alt-Svc of responses over TCP.
    alternatives: Box<[(u16, HeaderValue)]>,
    /// Who must say by the PROXY protocol whose connection it is.
    balancers: Box<[IpNet]>,
    /// `trusted-proxies`.
    proxies: Box<[IpNet]>,
    /// Names whose certificates may be from an issuer that clients do not trust.
    pub(super) meant: MeantNames,
    /// Challenges in progress.
    pub board: Arc<ChallengeBoard>,
}

impl ListenerConfig {
    /// Puts a front together for a process that has the UDP ports `quic` and asks clients of some sites (`client_certs`, by site)
    /// for a certificate; fails only if the crypto library lacks what
    /// every handshake needs.
    pub fn new(
        settings: &Settings,
        quic: &BTreeSet<u16>,
        roots: &TlsRoots,
        certs: &CertManagerHandle,
        client_certs: &[Option<Arc<ClientCertPolicy>>],
    ) -> Result<Self, rustls::Error> {
        let guarded = ClientAuthSites::new(&settings.sites, client_certs);
        let ports = settings.port_map();
        Ok(Self {
            timeouts: settings.timeouts,
            connections: u64::from(settings.limits.connections),
            tls: TlsFront::new(settings, roots, certs, guarded.clone())?,
            http: Http::new(&settings.limits),
            quic: settings.protocols.h3.then(|| QuicFront::new(settings, roots, certs, guarded)).transpose()?,
            header_size: settings.limits.header_size.bytes(),
            header_room: room_for_section(&settings.limits),
            alternatives: quic.iter().map(|port| (*port, alternative(ports.public(*port)))).collect(),
            ports,
            balancers: settings.proxy_protocol_from.clone().into(),
            proxies: settings.trusted_proxies.clone().into(),
            meant: MeantNames::of(settings),
            board: Arc::clone(&certs.board),
        })
    }

    /// Whether `peer` is a balancer that speaks of its clients by the PROXY protocol.
    pub fn is_balancer(&self, peer: IpAddr) -> bool {
        self.balancers.iter().any(|net| net.contains(&peer))
    }

    /// Whose connection it is, by the address of its other end.
    pub fn peer(&self, peer: IpAddr) -> Peer {
        if self.proxies.iter().any(|net| net.contains(&peer)) { Peer::TrustedProxy } else { Peer::Client }
    }

    /// What a client that came to `port` over TCP is told of HTTP/3 there.
    pub fn alternative(&self, port: u16) -> Option<HeaderValue> {
        self.alternatives.iter().find(|(at, _)| *at == port).map(|(_, line)| line.clone())
    }
}

/// The same host over QUIC at `port`, for a day (RFC 7838 section 3): the longest time in which a client may knock in vain
/// after HTTP/3 was switched off, and it does not wait for an answer.
fn alternative(port: u16) -> HeaderValue {
    HeaderValue::try_from(format!("h3=\":{port}\"; ma=86400")).expect("digits are a header value")
}
