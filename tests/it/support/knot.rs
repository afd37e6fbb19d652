//! Knot DNS, a real name server that takes dynamic updates.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tempfile::TempDir;

use super::process::{self, Process};
use super::{ports, wait, yard};

/// The key that may update the zone, and one that may not; the server knows both.
pub const KEYS: [(&str, &str); 2] =
    [("doorward", "ZG9vcndhcmQgdGVzdCBrZXkgbnVtYmVyIG9uZSAgICA="), ("stranger", "c3RyYW5nZXIga2V5IG51bWJlciB0d28gICAgICAgICA=")];

const START: Duration = wait::LIMIT;

/// A running server for one zone, with itself as the zone's only name server.
pub struct Knot {
    address: SocketAddr,
    process: Process,
    folder: TempDir,
    /// Of the zone, as it was written last.
    serial: u32,
    zone: String,
}

impl Knot {
    /// Starts one; every name of the zone is 127.0.0.1.
    pub fn start(zone: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let port = ports::free();
        let keys: String = KEYS
            .iter()
            .map(|(name, secret)| format!("  - id: {name}\n    algorithm: hmac-sha256\n    secret: {secret}\n"))
            .collect();
        let text = format!(
            "server:\n    rundir: {path}\n    listen: 127.0.0.1@{port}\nlog:\n  - target: stderr\n    any: info\n\
             database:\n    storage: {path}\nkey:\n{keys}acl:\n  - id: updates\n    key: {}\n    action: update\n\
             zone:\n  - domain: {zone}\n    storage: {path}\n    file: zone\n    acl: updates\n",
            KEYS[0].0
        );
        fs::write(folder.path().join("knot.conf"), text).unwrap();
        let records = format!(
            "$ORIGIN {zone}.\n$TTL 5\n@ SOA ns admin 1 3600 600 86400 5\n@ NS ns\n@ A 127.0.0.1\nns A 127.0.0.1\n* A 127.0.0.1\n"
        );
        fs::write(folder.path().join("zone"), records).unwrap();
        let mut command = process::command(yard::tool("knot/usr/sbin/knotd"));
        command.env("LD_LIBRARY_PATH", yard::tool("knot/lib")).arg("--config").arg(folder.path().join("knot.conf"));
        let mut process = Process::start("knotd", &mut command);
        // It listens before it takes signals: HUP would end it.
        process.until_said("server started", START);
        process.until_said("-> 1", START);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        wait::until_listening("knotd", address, START);
        Self { address, process, folder, serial: 1, zone: zone.to_owned() }
    }

    /// Serves these records in the place of those before, in the words of a zone file, and waits until it does.
    pub fn serve(&mut self, records: &str) {
        self.serial += 1;
        let Self { zone, serial, .. } = self;
        let text =
            format!("$ORIGIN {zone}.\n$TTL 5\n@ SOA ns admin {serial} 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n{records}");
        fs::write(self.folder.path().join("zone"), text).unwrap();
        self.process.signal("HUP");
        self.process.until_said(&format!("-> {serial}"), START);
    }

    /// Where it is asked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The lines that make a gateway prove names by it, to stand in an `acme` block.
    pub fn acme_lines(&self) -> String {
        let ((name, secret), at) = (KEYS[0], self.address);
        format!("resolvers {at}\ndns rfc2136 {{\n    server {at}\n    key {name}\n    secret {secret}\n}}\n")
    }
}
