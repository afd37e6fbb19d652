//! Pebble, the real ACME test server, with its own DNS server beside it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::authority::Authority;
use super::process::{self, Process};
use super::{ports, wait, yard};

/// How the authority behaves.
pub struct Options {
    /// Valid nonces it refuses all the same, in percent.
    pub nonce_reject: u8,
    /// Longest time it takes before it validates; none is at once.
    pub validation_sleep: Option<u32>,
    /// Takes every proof for good without a look at it.
    pub always_valid: bool,
    /// Key id and key (base64url) without which it takes no account.
    pub eab: Option<(&'static str, &'static str)>,
    /// How long its certificates live, by profile; the first is the default.
    pub profiles: Vec<(&'static str, Duration)>,
    /// Refuses what a later version of it will refuse.
    pub strict: bool,
    /// Orders that take over an authorization which is still valid, in percent.
    pub reuse: u8,
    /// By which name it goes in CAA records, which it obeys then.
    pub caa_identity: Option<&'static str>,
    /// Roots besides the first, each with an alternate chain that leads to it.
    pub alternate_roots: u8,
    /// The name server it asks; with none, all names are 127.0.0.1 to it.
    pub dns: Option<SocketAddr>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nonce_reject: 0,
            validation_sleep: None,
            always_valid: false,
            eab: None,
            profiles: vec![("default", Duration::from_secs(90 * 86_400))],
            strict: true,
            reuse: 0,
            caa_identity: None,
            alternate_roots: 0,
            dns: None,
        }
    }
}

/// A running Pebble.
pub struct Pebble {
    folder: TempDir,
    authority: Authority,
    port: u16,
    management: u16,
    processes: Vec<Process>,
}

const START: Duration = wait::LIMIT;

impl Pebble {
    /// Starts one that validates at these two ports.
    pub fn start(http_port: u16, https_port: u16, options: &Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let (port, management, dns) = (ports::free(), ports::free(), ports::free());
        let (chain, key) = authority.sign_files("pebble");
        let mut config = json!({
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": chain, "privateKey": key,
            "httpPort": http_port, "tlsPort": https_port,
            "externalAccountBindingRequired": options.eab.is_some(),
            "retryAfter": { "authz": 1, "order": 1 },
            "keyAlgorithm": "ecdsa",
            "profiles": profiles(options),
        });
        config["caaIdentities"] = options.caa_identity.into_iter().collect();
        if let Some((id, key)) = options.eab {
            config["externalAccountMACKeys"] = json!({ id: key });
        }
        let file = folder.path().join("pebble.json");
        fs::write(&file, json!({ "pebble": config }).to_string()).unwrap();
        let resolver = Process::start("pebble-challtestsrv", &mut resolver_command(dns, ports::free()));
        let asked = options.dns.unwrap_or_else(|| loopback(dns));
        let pebble = Process::start("pebble", &mut pebble_command(&file, asked, options));
        wait::until_listening("pebble", loopback(port), START);
        wait::until_listening("pebble's management", loopback(management), START);
        Self { folder, authority, port, management, processes: vec![pebble, resolver] }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    /// Its directory's URL.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.port)
    }

    /// The authority that signed its own TLS certificate, not the certificates it gives.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The lines that make a gateway use it, to stand in an `acme` block.
    pub fn acme_lines(&self) -> String {
        format!("directory {}\nca-file {}\n", self.directory(), self.authority.root_file().display())
    }

    /// PEM file of the root of the certificates it gives.
    pub fn issued_root(&self) -> PathBuf {
        let file = self.folder.path().join("issued-root.pem");
        fs::write(&file, self.manage("roots/0", None)).unwrap();
        file
    }

    /// The common name of its root with this number; 0 is the default chain's.
    pub fn root_name(&self, number: u8) -> String {
        let pem = self.manage(&format!("roots/{number}"), None);
        let root = CertificateDer::from_pem_slice(&pem).unwrap();
        let (_, root) = x509_parser::parse_x509_certificate(&root).unwrap();
        root.subject().iter_common_name().next().unwrap().as_str().unwrap().to_owned()
    }

    /// Makes renewal information say, for this certificate (PEM), that it is to be renewed from `start` to `end` (RFC 3339).
    pub fn suggest_renewal(&self, certificate: &str, start: &str, end: &str) {
        let answer = json!({ "suggestedWindow": { "start": start, "end": end } }).to_string();
        self.manage("set-renewal-info/", Some(&json!({ "certificate": certificate, "ariResponse": answer })));
    }

    /// What it says of the certificate with this serial number in hexadecimal.
    pub fn status_of(&self, serial: &str) -> Value {
        serde_json::from_slice(&self.manage(&format!("cert-status-by-serial/{serial}"), None)).unwrap()
    }

    /// Waits until its output contains `text`.
    pub fn until_logged(&self, text: &str) {
        wait::until_true(&format!("the authority says `{text}`"), wait::LIMIT, || self.output().contains(text));
    }

    /// All it said so far.
    pub fn output(&self) -> String {
        self.processes[0].output()
    }

    /// Ends it for good, as an authority that cannot be reached.
    pub fn kill(&mut self) {
        self.processes.iter_mut().for_each(Process::kill);
    }

    fn manage(&self, path: &str, body: Option<&Value>) -> Vec<u8> {
        let mut curl = process::command("curl");
        curl.args(["--silent", "--show-error", "--fail-with-body", "--max-time", "100", "--cacert"])
            .arg(self.authority.root_file());
        if let Some(body) = body {
            curl.args(["--data-binary", &body.to_string()]);
        }
        curl.arg(format!("https://localhost:{}/{path}", self.management));
        let output = process::run("curl", &mut curl, wait::LIMIT);
        assert!(output.status.success(), "pebble's management does not take {path}: {output:?}");
        output.stdout
    }
}

fn profiles(options: &Options) -> Value {
    let profile =
        |(name, life): &(&str, Duration)| ((*name).to_owned(), json!({ "description": name, "validityPeriod": life.as_secs() }));
    Value::Object(options.profiles.iter().map(profile).collect())
}

fn pebble_command(config: &Path, dns: SocketAddr, options: &Options) -> Command {
    let mut command = process::command(yard::tool("pebble/usr/bin/pebble"));
    command.arg("-config").arg(config).arg("-dnsserver").arg(dns.to_string());
    if options.strict {
        command.arg("-strict");
    }
    command.env("PEBBLE_WFE_NONCEREJECT", options.nonce_reject.to_string()).env("PEBBLE_AUTHZREUSE", options.reuse.to_string());
    command.env("PEBBLE_ALTERNATE_ROOTS", options.alternate_roots.to_string());
    if options.always_valid {
        command.env("PEBBLE_VA_ALWAYS_VALID", "1");
    }
    match options.validation_sleep {
        Some(seconds) => command.env("PEBBLE_VA_SLEEPTIME", seconds.to_string()),
        None => command.env("PEBBLE_VA_NOSLEEP", "1"),
    };
    command
}

fn resolver_command(dns: u16, management: u16) -> Command {
    let mut command = process::command(yard::tool("pebble/usr/bin/pebble-challtestsrv"));
    command.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""]);
    command.arg("-dnsserver").arg(loopback(dns).to_string()).arg("-management").arg(loopback(management).to_string());
    command
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
