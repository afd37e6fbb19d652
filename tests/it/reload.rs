//! A new configuration under open tunnels and requests.

use std::time::Duration;

use crate::support::echo;
use crate::support::gateway::Gateway;
use crate::support::load::Load;
use crate::support::peers::curl;
use crate::support::tunnels::{Tunnels, allow_open_files};

const TUNNELS: usize = 1_000;
const SOON: Duration = crate::support::wait::LIMIT;

/// For the two sockets of a tunnel, its TLS session and its task.
const MOST_KIB: u64 = 20;

fn site(host: &str, port: u16) -> String {
    format!("{host} {{\n    proxy {port}\n}}\n")
}

#[test]
fn a_thousand_tunnels_live_through_every_kind_of_reload() {
    allow_open_files();
    let backend = echo::start();
    let mut gateway = Gateway::prepare();
    gateway.configure("", &site("localhost", backend.address().port()));
    gateway.start();
    let root = gateway.local_root();
    gateway.until_served("localhost", &root, SOON);
    let load = Load::start("localhost", gateway.https, &root);
    let before = gateway.process().resident();
    let mut tunnels = Tunnels::open("localhost", gateway.https, &root, TUNNELS);
    tunnels.echo_all();
    let each = (gateway.process().resident() - before) / TUNNELS as u64 / 1024;
    // Five thousand are in the tens of MiB even in a build without optimisation.
    assert!(each <= MOST_KIB, "{each} KiB for each open tunnel");

    // By command: the site has another backend beside its own, and there is one site more.
    let (port, other) = (backend.address().port(), echo::start());
    let both = format!("localhost {{\n    proxy 127.0.0.1:{port} {}\n}}\n", other.address());
    gateway.configure("", &[both, site("new.localhost", other.address().port())].concat());
    let reloaded = gateway.run("reload");
    assert!(reloaded.status.success(), "{reloaded:?}");
    gateway.until_served("new.localhost", &root, SOON);
    tunnels.echo_all();

    // By signal.
    gateway.configure("", &[site("localhost", port), site("hup.localhost", other.address().port())].concat());
    gateway.process().signal("HUP");
    gateway.until_served("hup.localhost", &root, SOON);
    tunnels.echo_all();

    // By the file's change alone.
    gateway.configure("", &[site("localhost", port), site("file.localhost", other.address().port())].concat());
    gateway.until_served("file.localhost", &root, SOON);
    tunnels.echo_all();

    let tally = load.finish();
    assert_eq!(tally.failures, Vec::<String>::new(), "{tally:?}");

    // Its backend is taken away: each tunnel is told so, not all at once.
    gateway.configure("", &site("localhost", other.address().port()));
    assert!(gateway.run("reload").status.success());
    tunnels.until_sent_away();
}

#[test]
fn a_refused_configuration_is_told_and_changes_nothing() {
    let backend = echo::start();
    let mut gateway = Gateway::prepare();
    gateway.configure("", &site("localhost", backend.address().port()));
    gateway.start();
    let root = gateway.local_root();
    gateway.until_served("localhost", &root, SOON);
    gateway.configure("", "localhost {\n    proxxy 3000\n}\n");
    let refused = gateway.run("reload");
    let said = format!("{}{}", String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    assert!(!refused.status.success() && said.contains("proxxy") && said.contains("proxy"), "{said}");
    assert_eq!(gateway.until_served("localhost", &root, SOON).response.status(), 200);
}

#[test]
fn a_reload_that_wants_a_taken_port_is_refused_whole() {
    let backend = echo::start();
    let mut gateway = Gateway::prepare();
    gateway.configure("", &site("localhost", backend.address().port()));
    gateway.start();
    let root = gateway.local_root();
    gateway.until_served("localhost", &root, SOON);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    gateway.configure(
        "",
        &[site("localhost", backend.address().port()), site(&format!("localhost:{port}"), backend.address().port())].concat(),
    );
    let refused = gateway.run("reload");
    let said = format!("{}{}", String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    assert!(!refused.status.success() && said.contains(&port.to_string()), "{said}");
    let url = format!("https://localhost:{}/still", gateway.https);
    assert_eq!(curl(&["--cacert", &root.to_string_lossy(), &url]), "hello from echo: GET /still\n");
}
