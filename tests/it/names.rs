//! Backends whose name has several addresses, and other ones later, by a real name server.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::support::gateway::Gateway;
use crate::support::knot::Knot;
use crate::support::peers::curl_status;
use crate::support::tunnels::Tunnels;
use crate::support::{echo, ports, wait};

const SOON: Duration = wait::LIMIT;
const ZONE: &str = "svc.test";

fn at(last: u8, port: u16) -> SocketAddr {
    ([127, 0, 0, last], port).into()
}

/// What `status` says of the targets.
fn targets(gateway: &Gateway) -> Vec<Value> {
    let status = gateway.run("status --json");
    let report: Value = serde_json::from_slice(&status.stdout).unwrap_or_else(|error| panic!("{error}: {status:?}"));
    report["upstreams"][0]["targets"].as_array().cloned().unwrap_or_default()
}

/// Waits until the targets are at these addresses, by their last number, and their checks pass; exchanges open on each.
fn until_at(gateway: &Gateway, port: u16, expected: &[u8]) -> Vec<u64> {
    let labels: Vec<String> = expected.iter().map(|last| format!("app.{ZONE}:{port} at 127.0.0.{last}")).collect();
    wait::until(&format!("the targets are {labels:?}"), SOON, || {
        let seen = targets(gateway);
        let fits = seen.len() == labels.len()
            && seen.iter().zip(&labels).all(|(target, label)| target["target"] == label.as_str() && target["state"] == "up");
        if fits { Ok(seen.iter().map(|target| target["open"].as_u64().unwrap()).collect()) } else { Err(seen) }
    })
}

#[test]
fn backends_come_and_go_with_their_name_and_tunnels_live_on() {
    let mut knot = Knot::start(ZONE);
    knot.serve("app 1 A 127.0.0.2\napp 1 A 127.0.0.3\n");
    let port = ports::free();
    let _backends = [2, 3, 4].map(|last| echo::start_at(at(last, port)));
    let mut gateway = Gateway::prepare();
    let words = format!("    resolve dns {}\n    health /up every 100ms {{\n        timeout 10s\n    }}\n", knot.address());
    gateway.configure("", &format!("upstream app {{\n    to app.{ZONE}:{port}\n{words}}}\nlocalhost {{\n    proxy app\n}}\n"));
    gateway.start();
    let root = gateway.local_root();
    assert_eq!(until_at(&gateway, port, &[2, 3]), [0, 0]);
    gateway.until_served("localhost", &root, SOON);
    let mut tunnels = Tunnels::open("localhost", gateway.https, &root, 4);
    assert_eq!(until_at(&gateway, port, &[2, 3]), [2, 2]);

    knot.serve("app 1 A 127.0.0.3\napp 1 A 127.0.0.4\n");
    assert_eq!(until_at(&gateway, port, &[3, 4]), [2, 0], "one stays as it is, one is new, and its checks have begun");
    let mut more = Tunnels::open("localhost", gateway.https, &root, 4);
    assert_eq!(until_at(&gateway, port, &[3, 4]), [4, 2]);
    tunnels.echo_all();
    more.echo_all();
    let line = gateway.process().until_said(&format!("\"came\":\"app.{ZONE}:{port} at 127.0.0.4\""), SOON);
    assert!(line.contains(&format!("\"left\":\"app.{ZONE}:{port} at 127.0.0.2\"")), "{line}");

    drop(knot);
    let line = gateway.process().until_said("lookup_failed", SOON);
    assert!(line.contains("the addresses known last stay in use") && line.contains(&format!("app.{ZONE}")), "{line}");
    until_at(&gateway, port, &[3, 4]);
    let status = String::from_utf8_lossy(&gateway.run("status").stdout).into_owned();
    assert!(
        status.contains(&format!("the addresses known last are used, as names cannot be looked up: app.{ZONE}: ")),
        "{status}"
    );
    more.echo_all();
    Tunnels::open("localhost", gateway.https, &root, 2).echo_all();
}

#[test]
fn a_name_whose_backend_fails_is_looked_up_again_before_its_ttl_is_over() {
    let mut knot = Knot::start(ZONE);
    knot.serve("app 3600 A 127.0.0.2\n");
    let port = ports::free();
    let before = echo::start_at(at(2, port));
    let mut gateway = Gateway::prepare();
    let words = format!("    to app.{ZONE}:{port}\n    resolve dns {}\n", knot.address());
    gateway.configure("", &format!("upstream app {{\n{words}}}\nhttp://localhost {{\n    proxy app\n}}\n"));
    gateway.launch();
    wait::until_listening("the gateway", ([127, 0, 0, 1], gateway.http).into(), SOON);
    until_at(&gateway, port, &[2]);
    let url = format!("http://localhost:{}/", gateway.http);
    assert_eq!(curl_status(&url), "200");

    // As a deploy does it; an answer is believed for a minute where nothing speaks against it.
    drop(before);
    let _after = echo::start_at(at(3, port));
    knot.serve("app 3600 A 127.0.0.3\n");
    wait::until("the new address is found", SOON, || Some(curl_status(&url)).filter(|status| status == "200").ok_or("not yet"));
    until_at(&gateway, port, &[3]);
}

#[test]
fn a_service_is_found_with_its_ports_weights_and_backups() {
    let mut knot = Knot::start(ZONE);
    let (port, other) = (ports::free(), ports::free());
    knot.serve(&format!(
        "_http._tcp.app 60 SRV 10 3 {port} two\n_http._tcp.app 60 SRV 10 1 {other} three\n_http._tcp.app 60 SRV 20 1 {port} four\n\
         two 60 A 127.0.0.2\nthree 60 A 127.0.0.3\nfour 60 A 127.0.0.4\n"
    ));
    let _backends = [at(2, port), at(3, other), at(4, port)].map(echo::start_at);
    let mut gateway = Gateway::prepare();
    let words = format!("    to http://app.{ZONE}\n    resolve srv {}\n", knot.address());
    gateway.configure("", &format!("upstream app {{\n{words}}}\nlocalhost {{\n    proxy app\n}}\n"));
    gateway.start();
    let root = gateway.local_root();
    let label = |place: SocketAddr| format!("app.{ZONE}:80 at {place}");
    gateway.process().until_said("addresses_changed", SOON);
    gateway.until_served("localhost", &root, SOON);
    let mut tunnels = Tunnels::open("localhost", gateway.https, &root, 10);
    tunnels.echo_all();
    let seen: Vec<(Value, Value, Value)> = targets(&gateway)
        .into_iter()
        .map(|target| (target["target"].clone(), target["open"].clone(), target["backup"].clone()))
        .collect();
    let expected = [(at(2, port), 8, false), (at(3, other), 2, false), (at(4, port), 0, true)];
    assert_eq!(seen, expected.map(|(place, open, backup)| (label(place).into(), open.into(), backup.into())));
}
