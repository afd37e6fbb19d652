//! The systemd units: complete, understood by systemd without a complaint, and as closed as they claim to be.

use std::fs;
use std::time::Duration;

use crate::support::{process, yard};

const LIMIT: Duration = Duration::from_secs(30);

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
