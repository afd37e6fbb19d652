//! A gateway under attack that is visited all the while: by new connections, on a kept one, and through a WebSocket.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::h2_frames::H2;
use crate::support::line::Line;
use crate::support::load::Load;
use crate::support::server::Server;
use crate::support::{echo, obedient, wait};

/// Longer than any wait here, on a machine with other work.
pub(super) const SOON: Duration = wait::LIMIT;
/// What an attack may cost at its height.
const MAX_MEMORY: u64 = 128 << 20;

/// See the module.
pub(super) struct Siege {
    pub(super) gateway: Gateway,
    pub(super) root: PathBuf,
    visitors: Load,
    /// The gateway's memory before the attack.
    at_rest: u64,
    _backends: [Server; 2],
}

impl Siege {
    /// A gateway with short patience: `/` is an echo, `/big/*` a backend that does as the path says.
    pub(super) fn lay() -> Self {
        let (echo, obedient) = (echo::start(), obedient::start(std::sync::Arc::default()));
        let mut gateway = Gateway::prepare();
        let patience = "log access off\ntimeouts {\n    handshake 5s\n    header 5s\n    body 5s\n    send 5s\n    idle 5s\n}\n";
        let big = format!("    /big/* {{\n        strip-prefix /big\n        proxy {}\n    }}\n", obedient.address().port());
        let site = format!("localhost {{\n{big}    proxy {}\n}}", echo.address().port());
        gateway.configure("", &format!("{patience}{site}"));
        gateway.start();
        let root = gateway.local_root();
        gateway.until_served("localhost", &root, SOON);
        let visitors = Load::start("localhost", gateway.https, &root);
        let at_rest = memory(&mut gateway, "VmRSS:");
        Self { gateway, root, visitors, at_rest, _backends: [echo, obedient] }
    }

    pub(super) fn line(&self) -> Line {
        Line::open("localhost", self.gateway.https, &self.root)
    }

    pub(super) fn h2(&self, settings: &[(u16, u32)]) -> H2 {
        H2::open("localhost", self.gateway.https, &self.root, settings)
    }

    /// The visitors are served while it goes on.
    pub(super) fn others_are_served(&self) {
        self.visitors.until_more();
        assert_eq!(self.visitors.failures(), Vec::<String>::new());
    }

    /// Waits until nobody but the visitors is connected: the one who stays; who comes and goes is between two visits then.
    pub(super) fn until_connections_are_few(&self) {
        let open = || {
            let page = self.gateway.run("status");
            let page = String::from_utf8_lossy(&page.stdout).into_owned();
            let line = page.lines().find(|line| line.trim().starts_with("connections")).map(str::to_owned);
            line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).ok_or(page)
        };
        wait::until("the slow are cut off", SOON, || {
            open().and_then(|open| if open <= 1 { Ok(()) } else { Err(open.to_string()) })
        });
    }

    /// The visitors were served, each within their patience; memory stayed in its bounds, and nothing broke.
    pub(super) fn lift(mut self) {
        self.others_are_served();
        let peak = memory(&mut self.gateway, "VmHWM:");
        let grown = peak.saturating_sub(self.at_rest);
        assert!(grown < MAX_MEMORY, "{} MiB at rest, {} MiB at the height", self.at_rest >> 20, peak >> 20);
        let tally = self.visitors.finish();
        assert_eq!(tally.failures, Vec::<String>::new());
        assert!(self.gateway.process().exit_status().is_none());
        assert!(!self.gateway.output().contains("panicked"), "{}", self.gateway.output());
    }
}

/// A line of the process's status, in bytes.
fn memory(gateway: &mut Gateway, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.process().id())).unwrap();
    let found = status.lines().find_map(|found| found.strip_prefix(line)).expect("Linux tells it");
    found.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}
