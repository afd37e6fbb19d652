//! `doorward demo`: the gateway on https://localhost in front of a page of its own, with nothing else needed. It goes the
//! way of a file with `localhost { proxy PORT }`.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use super::args::{DemoArgs, TopArgs};
use super::exit::Exit;
use super::{output, run, synth_config};
use crate::base::error_chain::ErrorChain;

mod backend;
mod chat;

/// What `https://localhost` and `http://localhost` mean.
const USUAL: Ports = Ports { https: 443, http: 80 };
/// Ports a plain user may take.
const FREE: Ports = Ports { https: 8443, http: 8080 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports {
    https: u16,
    http: u16,
}

/// Runs the demo until it is told to stop.
pub fn run(args: &DemoArgs) -> Exit {
    let backend = match backend::start() {
        Ok(addr) => addr,
        Err(error) => {
            output::complaint(&format!("doorward: the demo's backend cannot listen on 127.0.0.1: {}", ErrorChain(&error)));
            return Exit::Failed;
        }
    };
    let (ports, why) = choose(&args.top, try_port);
    if let Some(why) = why {
        output::complaint(&why);
    }
    let top = TopArgs { https_port: Some(ports.https), http_port: Some(ports.http), ..args.top.clone() };
    let port = backend.port().to_string();
    // Whoever ends a demo with its page still open does not want to wait for the page.
    run::serve_written(|top| synth_config::site(synth_config::top(top) + "drain 1s\n", "localhost", &port), &top, false)
}

/// The usual ports where both can be had; those that were named in any case.
fn choose(top: &TopArgs, mut try_port: impl FnMut(u16) -> io::Result<()>) -> (Ports, Option<String>) {
    if top.https_port.is_some() || top.http_port.is_some() {
        return (Ports { https: top.https_port.unwrap_or(USUAL.https), http: top.http_port.unwrap_or(USUAL.http) }, None);
    }
    for port in [USUAL.https, USUAL.http] {
        if let Err(error) = try_port(port) {
            let why = match error.kind() {
                io::ErrorKind::PermissionDenied => "may not be opened by this user".into(),
                io::ErrorKind::AddrInUse => "is in use by another program".into(),
                _ => format!("cannot be had ({error})"),
            };
            let Ports { https, http } = FREE;
            return (FREE, Some(format!("Port {port} {why}, so the demo takes {https} and {http} instead of 443 and 80.\n")));
        }
    }
    (USUAL, None)
}

/// Looks whether a port can be had; what it opens is closed again at once.
fn try_port(port: u16) -> io::Result<()> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(top: &TopArgs, taken: Option<(u16, io::ErrorKind)>, expected: (u16, u16), says: &str) {
        let (ports, why) = choose(top, |port| match taken {
            Some((taken, kind)) if taken == port => Err(kind.into()),
            _ => Ok(()),
        });
        assert_eq!((ports.https, ports.http), expected);
        assert!(why.clone().unwrap_or_default().contains(says), "{why:?}");
    }

    #[test]
    fn the_usual_ports_are_taken_when_both_can_be_had() {
        let none = TopArgs::default();
        check(&none, None, (443, 80), "");
        check(&none, Some((443, io::ErrorKind::PermissionDenied)), (8443, 8080), "Port 443 may not be opened by this user");
        check(&none, Some((80, io::ErrorKind::AddrInUse)), (8443, 8080), "Port 80 is in use");
        check(&TopArgs { https_port: Some(9443), ..none }, Some((443, io::ErrorKind::AddrInUse)), (9443, 80), "");
    }
}
