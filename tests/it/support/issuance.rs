//! A gateway, its backend, an authority, and the proxy that fails in named ways between the two.

use std::path::PathBuf;
use std::time::Duration;

use super::echo;
use super::fault::{FaultProxy, Kind};
use super::gateway::Gateway;
use super::pebble::{Options, Pebble};
use super::server::Server;

/// A first certificate is in service by then, also on a machine that does much else.
pub const ISSUE: Duration = super::wait::LIMIT;

/// All that takes part in an issuance.
pub struct Issuance {
    pub gateway: Gateway,
    pub pebble: Pebble,
    pub proxy: FaultProxy,
    pub backend: Server,
}

impl Issuance {
    /// With an authority of these ways. The gateway is neither configured nor started.
    pub fn new(options: &Options) -> Self {
        let gateway = Gateway::prepare();
        let pebble = Pebble::start(gateway.http, gateway.https, options);
        let proxy = FaultProxy::start(&pebble);
        Self { gateway, pebble, proxy, backend: echo::start() }
    }

    /// As [`Issuance::new`], with these names in the configuration and the gateway started.
    pub fn of(names: &[&str], options: &Options) -> Self {
        let mut all = Self::new(options);
        all.configure("", names);
        all.gateway.start();
        all
    }

    /// Has the gateway obtain a certificate for each of these names, with these lines in its `acme` block.
    pub fn configure(&self, lines: &str, names: &[&str]) {
        let site = format!("{} {{\n    proxy {}\n}}", names.join(" "), self.backend.address().port());
        self.gateway.configure(&format!("{}{lines}", self.proxy.acme_lines()), &site);
    }

    /// The root of the authority's certificates.
    pub fn root(&self) -> PathBuf {
        self.pebble.issued_root()
    }

    /// Waits until each name is served; the serial numbers.
    pub fn until_served(&self, names: &[&str]) -> Vec<String> {
        let root = self.root();
        names.iter().map(|name| self.gateway.until_served(name, &root, ISSUE).serial()).collect()
    }

    /// Orders that the authority has made.
    pub fn orders(&self) -> usize {
        self.proxy.answered(Kind::NewOrder, 201)
    }

    /// Certificates that it was told to sign.
    pub fn bought(&self) -> usize {
        self.proxy.answered(Kind::Finalize, 200)
    }

    /// Accounts that it has made.
    pub fn accounts(&self) -> usize {
        self.proxy.answered(Kind::NewAccount, 201)
    }
}
