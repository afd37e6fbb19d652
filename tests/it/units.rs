//! The systemd units: complete, understood by systemd without a complaint, and as closed as they claim to be.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::h3::ClientCert;
use crate::support::peers::curl_status;
use crate::support::process::{self, Process};
use crate::support::{ports, server, wait, yard};

const LIMIT: Duration = wait::LIMIT;

/// Tenths of systemd's exposure, from 0 (closed) to 100. What is left is that it serves the network at all.
const MOST_EXPOSURE: &str = "20";

#[test]
fn the_service_tells_systemd_how_it_is_and_gives_up_every_other_privilege() {
    let unit = unit("doorward.service");
    for line in [
        "Type=notify",
        "WatchdogSec=30",
        "ExecStart=/usr/local/bin/doorward run --config %E/doorward/doorward.conf",
        "ExecReload=/usr/local/bin/doorward reload --config %E/doorward/doorward.conf",
        "AmbientCapabilities=CAP_NET_BIND_SERVICE",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
        "NoNewPrivileges=yes",
        "DynamicUser=yes",
        "StateDirectory=doorward",
        "StateDirectoryMode=0700",
        "RuntimeDirectory=doorward",
        "ConfigurationDirectory=doorward",
        "UMask=0077",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "MemoryDenyWriteExecute=yes",
        "RestrictNamespaces=yes",
        "SystemCallFilter=@system-service",
        "LimitCORE=0",
    ] {
        assert!(unit.lines().any(|found| found == line), "doorward.service has no line {line}");
    }
}

/// What the program looks at, it must be allowed to see: memory for `limit memory auto`, addresses for the look before an order.
#[test]
fn the_service_sees_what_the_gateway_looks_at() {
    let unit = unit("doorward.service");
    assert!(!unit.lines().any(|line| line == "ProcSubset=pid"), "it hides /proc/meminfo");
    let families = unit.lines().find_map(|line| line.strip_prefix("RestrictAddressFamilies=")).expect("they are restricted");
    for family in ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"] {
        assert!(families.split(' ').any(|found| found == family), "{family} is missing");
    }
}

/// Both families handed separately, one for both, and a port that is given up and taken again.
#[test]
fn every_socket_that_systemd_hands_over_is_accepted_on_and_kept() {
    const HAND_OVER: &str = "import os, socket, sys\n\
        held = []\n\
        for place in sys.argv[2:]:\n    \
            ip, port = place.rsplit(':', 1)\n    \
            family = socket.AF_INET6 if '[' in ip else socket.AF_INET\n    \
            one = socket.socket(family, socket.SOCK_STREAM)\n    \
            if family == socket.AF_INET6: one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, sys.argv[1] == 'separate')\n    \
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n    \
            one.bind((ip.strip('[]'), int(port)))\n    \
            one.listen()\n    \
            held.append(one)\n    \
            os.dup2(one.fileno(), 99 + len(held))\n\
        for at in range(len(held)): os.dup2(100 + at, 3 + at)\n\
        os.environ.update(LISTEN_FDS=str(len(held)), LISTEN_PID=str(os.getpid()))\n\
        program = os.environ['DOORWARD']\n\
        os.execv(program, [program, 'run', '--config', os.environ['CONFIG']])";
    let check = |how: &str, bind: &str| {
        let gateway = Gateway::prepare();
        let write = |https: u16| {
            let (http, state) = (gateway.http, gateway.state().display());
            let admin = gateway.state().with_file_name("admin.sock");
            let top = format!(
                "{bind}\nprotocols h1 h2\nhttp-port {http}\nhttps-port {https}\nstate {state}\nadmin unix/{}\n",
                admin.display()
            );
            fs::write(gateway.config_file(), top + "localhost {\n respond 200 here\n}\n").unwrap();
        };
        write(gateway.https);
        let places = match how {
            "separate" => vec![("0.0.0.0", gateway.http), ("0.0.0.0", gateway.https), ("[::]", gateway.https)],
            _ => vec![("[::]", gateway.http), ("[::]", gateway.https)],
        };
        let mut command = process::command(yard::tool("python/bin/python"));
        command.args(["-c", HAND_OVER, how]).args(places.iter().map(|(ip, port)| format!("{ip}:{port}")));
        command.env("DOORWARD", env!("CARGO_BIN_EXE_doorward")).env("CONFIG", gateway.config_file());
        let _held = Process::start("doorward", &mut command);
        let root = gateway.local_root();
        let both = || {
            for ip in ["127.0.0.1", "[::1]"] {
                wait::until(&format!("{how}, {bind:?}: {ip} is served"), LIMIT, || {
                    let mut curl = process::command("curl");
                    curl.args(["--silent", "--max-time", "5", "--connect-to", &format!("::{ip}:"), "--cacert"]).arg(&root);
                    let output = process::run("curl", curl.arg(format!("https://localhost:{}/", gateway.https)), LIMIT);
                    if output.stdout == b"here" { Ok(()) } else { Err(output) }
                });
            }
        };
        both();
        // Changed by mistake, and changed back.
        write(ports::free());
        assert!(gateway.run("reload").status.success());
        write(gateway.https);
        let back = gateway.run("reload");
        assert!(back.status.success(), "{how}, {bind:?}: {back:?}");
        both();
    };
    check("separate", "");
    check("separate", "bind 0.0.0.0 ::");
    check("dual", "");
    check("dual", "bind 0.0.0.0 ::");
}

#[test]
fn stopping_is_given_longer_than_draining_takes() {
    let unit = unit("doorward.service");
    let seconds = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).expect("a limit is set");
    assert!(seconds.parse::<u64>().unwrap() > 30, "the default drain is 30 s");
}

#[test]
fn the_socket_unit_holds_both_ports_for_the_service() {
    let unit = unit("doorward.socket");
    for line in ["ListenStream=80", "ListenStream=443", "BindIPv6Only=both", "Service=doorward.service"] {
        assert!(unit.lines().any(|found| found == line), "doorward.socket has no line {line}");
    }
}

#[test]
fn systemd_understands_every_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut analyze = process::command("systemd-analyze");
    analyze.arg("verify").arg("--man=no").args(installed(&folder));
    let output = process::run("systemd-analyze verify", &mut analyze, LIMIT);
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn systemd_finds_the_service_closed() {
    let folder = tempfile::tempdir().unwrap();
    let mut analyze = process::command("systemd-analyze");
    analyze.args(["security", "--offline=true", "--no-pager", "--threshold", MOST_EXPOSURE]).arg(&installed(&folder)[0]);
    let output = process::run("systemd-analyze security", &mut analyze, LIMIT);
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}

#[test]
fn systemd_is_told_of_ready_reload_life_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(LIMIT)).unwrap();
    let until_told = |expected: &str| {
        let mut message = [0; 4096];
        let mut told = Vec::new();
        while !told.iter().any(|line| line == expected) {
            let count =
                systemd.recv(&mut message).unwrap_or_else(|error| panic!("{expected} was not told ({error}), but {told:?}"));
            told.extend(String::from_utf8_lossy(&message[..count]).lines().map(str::to_owned));
        }
    };
    let mut gateway = Gateway::prepare();
    gateway.configure("", "localhost {\n    respond 200 here\n}");
    gateway.set_environment("NOTIFY_SOCKET", path.to_string_lossy());
    gateway.set_environment("WATCHDOG_USEC", "400000");
    gateway.launch();
    until_told("READY=1");
    until_told("WATCHDOG=1");
    gateway.process().signal("HUP");
    until_told("RELOADING=1");
    until_told("READY=1");
    assert!(gateway.run("reload").status.success());
    until_told("RELOADING=1");
    until_told("READY=1");
    gateway.process().signal("TERM");
    until_told("STOPPING=1");
}

#[test]
fn ports_that_systemd_holds_are_taken_over() {
    let gateway = Gateway::prepare();
    gateway.configure("", "localhost {\n    respond 200 here\n}");
    let listen = |port: u16| format!("--listen=127.0.0.1:{port}");
    let mut command = process::command("systemd-socket-activate");
    command.args([listen(gateway.http), listen(gateway.https)]).arg(env!("CARGO_BIN_EXE_doorward"));
    command.arg("run").arg("--config").arg(gateway.config_file());
    let mut held = Process::start("systemd-socket-activate", &mut command);
    // The first who knocks has the gateway started, and is answered by it.
    wait::until_listening("systemd", ([127, 0, 0, 1], gateway.http).into(), LIMIT);
    assert_eq!(curl_status(&format!("http://localhost:{}/", gateway.http)), "308");
    assert_eq!(gateway.until_served("localhost", &gateway.local_root(), LIMIT).text(), "here");
    assert!(held.exit_status().is_none());
}

/// systemd hands all of a service's sockets over at once, which its tool for trying that does for one kind only.
#[test]
fn a_udp_port_that_systemd_holds_is_taken_over() {
    const HAND_OVER: &str = "import os, socket, sys\n\
        kinds = [socket.SOCK_STREAM, socket.SOCK_STREAM, socket.SOCK_DGRAM]\n\
        held = [socket.socket(socket.AF_INET, kind) for kind in kinds]\n\
        for at, (kind, port) in enumerate(zip(kinds, sys.argv[1:4])):\n    \
            held[at].bind(('127.0.0.1', int(port)))\n    \
            if kind == socket.SOCK_STREAM: held[at].listen()\n    \
            os.dup2(held[at].fileno(), 100 + at)\n\
        for at in range(3): os.dup2(100 + at, 3 + at)\n\
        os.environ.update(LISTEN_FDS='3', LISTEN_PID=str(os.getpid()))\n\
        os.execv(sys.argv[4], sys.argv[4:])";
    let gateway = Gateway::prepare();
    gateway.configure("", "localhost {\n    respond 200 here\n}");
    let (http, https) = (gateway.http.to_string(), gateway.https.to_string());
    let mut command = process::command(yard::tool("python/bin/python"));
    command.args(["-c", HAND_OVER, &http, &https, &https, env!("CARGO_BIN_EXE_doorward"), "run", "--config"]);
    let mut held = Process::start("doorward", command.arg(gateway.config_file()));
    let root = gateway.local_root();
    let seen = gateway.until_served("localhost", &root, LIMIT);
    // It could not have opened the port a second time.
    assert!(seen.response.headers().contains_key("alt-svc"), "{}", held.output());
    server::runtime().block_on(async {
        let mut visitor = ClientCert::connect("localhost", gateway.https, &root).await;
        let request = http::Request::get(format!("https://localhost:{}/", gateway.https)).body(()).unwrap();
        assert_eq!(visitor.ask(request).await.body(), "here");
    });
    assert!(held.exit_status().is_none());
}

fn unit(name: &str) -> String {
    fs::read_to_string(yard::repository().join("systemd").join(name)).unwrap()
}

/// Copies of both units that name the program which was built, as systemd asks whether it is there.
fn installed(folder: &tempfile::TempDir) -> [std::path::PathBuf; 2] {
    ["doorward.service", "doorward.socket"].map(|name| {
        let copy = folder.path().join(name);
        fs::write(&copy, unit(name).replace("/usr/local/bin/doorward", env!("CARGO_BIN_EXE_doorward"))).unwrap();
        copy
    })
}
