//! A port of this machine, as in `proxy 5173`: at 127.0.0.1, else at ::1, where development servers listen that resolve
//! `localhost` to it (Node 17 and later). Only a refusal leads to the other address, so that a program that listens at both is
//! always reached at the same one as long as it runs.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::loopback;
use crate::config::settings::Target;

/// For each such port of a group, whether ::1 took the last connection. It is tried first then, so that a program at ::1 costs
/// no refused connection for each one that is made.
#[derive(Debug)]
pub(super) struct LoopbackPorts(Box<[(u16, AtomicBool)]>);

impl LoopbackPorts {
    pub(super) fn of(targets: &[Target]) -> Self {
        let ports = targets.iter().filter_map(|target| target.address.loopback_port());
        Self(ports.map(|port| (port, AtomicBool::new(false))).collect())
    }

    /// The addresses of `port` in the order in which they are tried now.
    pub(super) fn order(&self, port: u16) -> [SocketAddr; 2] {
        let mut order = loopback::addresses(port);
        if self.at_v6(port).is_some_and(|at_v6| at_v6.load(Ordering::Relaxed)) {
            order.reverse();
        }
        order
    }

    /// `addr`, which is one of `port`, took a connection.
    pub(super) fn connected(&self, port: u16, addr: SocketAddr) {
        if let Some(at_v6) = self.at_v6(port) {
            at_v6.store(addr.is_ipv6(), Ordering::Relaxed);
        }
    }

    fn at_v6(&self, port: u16) -> Option<&AtomicBool> {
        self.0.iter().find(|(known, _)| *known == port).map(|(_, at_v6)| at_v6)
    }
}

/// Whether the machine has no such address, or nothing listens there.
pub(super) const fn is_absent(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused
            | ErrorKind::AddrNotAvailable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
            | ErrorKind::Unsupported
    )
}
