//! Backends that speak HTTP/2: real gRPC both sides, and another gateway as the backend, over TLS with ALPN.

use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::peers::{self, Backend, curl};
use crate::support::yard;
use crate::support::{ports, process, wait};

const SOON: Duration = wait::LIMIT;
const TALK: Duration = wait::LIMIT;

#[test]
fn grpc_passes_whole_and_callers_can_read_refusals() {
    let backend = Backend::grpc();
    let words = [
        format!("proxy h2c://127.0.0.1:{}", backend.port()),
        "/yard.Closed/* {\n    deny 127.0.0.0/8 ::1\n    respond 200 open\n}".to_owned(),
        format!("/yard.Limited/* {{\n    limit requests 1/h burst 0\n    proxy h2c://127.0.0.1:{}\n}}", backend.port()),
        format!("/yard.Gone/* {{\n    proxy h2c://127.0.0.1:{}\n}}", ports::free()),
    ];
    let (gateway, root) = Gateway::on_localhost(&format!("localhost {{\n{}\n}}", words.join("\n")));
    let mut command = process::command(yard::tool("python/bin/python"));
    command.arg(yard::script("grpc_client.py")).arg(gateway.https.to_string()).arg(root);
    let output = process::run("grpc client", &mut command, TALK);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && output.stdout.starts_with(b"ok"), "{said}\n{}", gateway.output());
}

/// A gateway before a gateway before `backend`, the way between them being `protocols`.
fn chain(backend: &Backend, protocols: &str) -> (Gateway, Gateway) {
    let (inner, inner_root) = Gateway::on_localhost(&format!("localhost {{\n    proxy {}\n}}", backend.port()));
    let upstream = format!(
        "upstream inner {{\n    to https://localhost:{}\n    protocols {protocols}\n    tls ca-file {}\n}}\n",
        inner.https,
        inner_root.display()
    );
    let (outer, _) = Gateway::on_localhost(&format!("{upstream}localhost {{\n    proxy inner\n}}\n"));
    (outer, inner)
}

#[test]
fn websockets_and_requests_pass_over_an_http_2_backend() {
    let backend = Backend::uvicorn();
    for protocols in ["h2", "h1 h2"] {
        let (outer, _inner) = chain(&backend, protocols);
        let root = outer.local_root();
        let url = format!("https://localhost:{}/show", outer.https);
        let seen = curl(&["--http1.1", "--cacert", &root.to_string_lossy(), "--data", "twelve bytes", &url]);
        // The inner one was asked by HTTP/2.
        assert!(seen.contains(r#""via":"2.0 doorward""#) && seen.contains(r#""body":12"#), "{protocols}: {seen}");
        let url = format!("wss://localhost:{}/ws", outer.https);
        for agreed in
            [peers::talk_by_python(&url, outer.https, &root, "/close"), peers::talk_by_node(&url, outer.https, &root, "/close")]
        {
            assert!(agreed.contains("subprotocol=chat.v2") && agreed.contains("permessage-deflate"), "{agreed}");
        }
    }
}

#[test]
fn checks_pass_over_tls_in_the_version_that_is_agreed() {
    let (inner, _) =
        Gateway::on_localhost("localhost {\n    /up {\n        respond 204\n    }\n    /* {\n        respond 404\n    }\n}");
    for (protocols, version) in [("h1", "HTTP/1.1"), ("h2", "HTTP/2.0"), ("h1 h2", "HTTP/2.0")] {
        let seen = inner.output().len();
        let health = "health /up every 100ms {\n        timeout 10s\n        status 204\n    }";
        let upstream = format!(
            "upstream inner {{\n    to https://localhost:{}\n    protocols {protocols}\n    {health}\n    tls ca-file {}\n}}\n",
            inner.https,
            inner.local_root().display()
        );
        let (outer, _) = Gateway::on_localhost(&format!("{upstream}localhost {{\n    proxy inner\n}}\n"));
        // A target counts as up before its first check as well, so the check itself is looked for.
        let line = wait::until(&format!("a check comes over {protocols}"), SOON, || {
            let said = inner.output().split_off(seen);
            said.lines().find(|line| line.contains("doorward-health-check")).map(ToOwned::to_owned).ok_or(said)
        });
        wait::until(&format!("the check passes over {protocols}"), SOON, || {
            let status = String::from_utf8_lossy(&outer.run("status --json").stdout).into_owned();
            if status.replace(": ", ":").contains(r#""state":"up""#) { Ok(()) } else { Err(status) }
        });
        assert!(line.contains(&format!("\"version\":\"{version}\"")) && line.contains("\"status\":204"), "{protocols}: {line}");
    }
}
