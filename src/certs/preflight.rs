//! What can be said of a configuration's certificates before anything is ordered. Findings are made of facts by pure
//! functions, one file a check; [`collect`], [`probe`] and [`authority`] gather them. Nothing here prevents an order: it advises.
//!
//! In this file: certificate files that are named must be there and right.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::error_chain::ErrorChain;
use crate::base::hostinfo;
use crate::base::name::Identifier;
use crate::base::time::Timestamp;
use crate::certs::file_messages;
use crate::certs::issuer::files::{self, FilesError};
pub use crate::config::settings::PublicPorts;
use crate::config::settings::{At, DefaultCertificate, Settings, SiteTls};

pub mod authority;
pub mod caa;
pub mod cdn;
pub mod clock;
pub mod collect;
pub mod finding;
pub mod order_check;
pub mod probe;
pub mod reachability;
pub mod recheck;
pub mod self_test;

/// The addresses of this machine, its own loopback among them.
pub fn own_addresses() -> Vec<IpAddr> {
    let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    hostinfo::addresses().into_iter().chain(loopback).collect()
}

/// Certificate files that cannot be served.
#[derive(Debug)]
pub struct BadFiles {
    /// Who asks for them: a site with its place and first name, or the word for the default.
    pub whose: String,
    /// Where they are named.
    pub at: At,
    /// Why.
    pub why: FilesError,
}

impl fmt::Display for BadFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            FilesError::Mismatch { chain, key, subject } => file_messages::mismatch(subject, chain, key, &self.at.0).fmt(f),
            why => write!(f, "{} cannot be served: {}", self.whose, ErrorChain(why)),
        }
    }
}

/// All whose certificate files would be refused at `now`. An expired certificate is not among them: it is served
/// when there is nothing better.
pub fn bad_files(settings: &Settings, now: Timestamp) -> Vec<BadFiles> {
    let mut bad = Vec::new();
    for site in &settings.sites {
        let SiteTls::Files { chain, key, at } = &site.tls else { continue };
        let wanted: Vec<Identifier> =
            site.hosts.iter().filter(|host| !host.plain).filter_map(|host| host.pattern.identifier()).collect();
        if let Err(why) = files::read(chain, key, &wanted, now, true) {
            let name = wanted.first().map(ToString::to_string).unwrap_or_default();
            bad.push(BadFiles { whose: format!("{}: the certificate files of {name}", site.at), at: at.clone(), why });
        }
    }
    if let Some(DefaultCertificate::Files { chain, key, at }) = &settings.tls.default_certificate
        && let Err(why) = files::read(chain, key, &[], now, true)
    {
        bad.push(BadFiles { whose: "the files of `default-certificate`".to_owned(), at: at.clone(), why });
    }
    bad
}
