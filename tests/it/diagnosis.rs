//! Set-ups that are wrong in the way that people's are: the log has one line that names the thing, what was seen, what was
//! expected, and the one thing to do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use doorward::base::task;
use doorward::state::slug::Slug;

use crate::support::client;
use crate::support::dns::DnsServer;
use crate::support::example::upgrade;
use crate::support::gateway::Gateway;
use crate::support::issuance::Issuance;
use crate::support::line::Line;
use crate::support::pebble::{Options, Pebble};
use crate::support::ports;
use crate::support::server::Server;
use crate::support::wait;

const SOON: Duration = wait::LIMIT;

/// A gateway on localhost.
struct Scene {
    gateway: Gateway,
    root: PathBuf,
}

impl Scene {
    /// Before a backend at `port`, with more words in the site.
    fn before(port: u16, words: &str) -> Self {
        let (gateway, root) = Gateway::on_localhost(&format!("localhost {{\n    {words}\n    proxy {port}\n}}"));
        Self { gateway, root }
    }

    fn host(&self) -> String {
        format!("localhost:{}", self.gateway.https)
    }

    /// Sends a request and gives the head of its answer.
    fn ask(&self, request: &str) -> String {
        let mut line = Line::open("localhost", self.gateway.https, &self.root);
        line.say(request.as_bytes());
        line.head()
    }

    fn get(&self, path: &str, fields: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", self.host()))
    }

    /// Every line of this event.
    fn events(&self, event: &str) -> Vec<Value> {
        let output = self.gateway.output();
        let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["event"] == event).collect()
    }

    /// The first line of this event, as soon as it is there.
    #[track_caller]
    fn event(&self, event: &str) -> Value {
        wait::until(&format!("{event} is logged"), SOON, || {
            self.events(event).into_iter().next().ok_or_else(|| self.gateway.output())
        })
    }

    /// `doorward.conf:LINE` of the first line that has `words`.
    fn place(&self, words: &str) -> String {
        let text = std::fs::read_to_string(self.gateway.config_file()).unwrap();
        let line = text.lines().position(|line| line.contains(words)).unwrap() + 1;
        format!("{}:{line}", self.gateway.config_file().display())
    }

    /// What `doorward probe` prints of this path, without the local root at hand.
    fn probe(&self, scheme: &str, path: &str) -> String {
        let url = format!("{scheme}://{}{path}", self.host());
        String::from_utf8_lossy(&self.gateway.run(&format!("probe {url}")).stdout).into_owned()
    }

    /// What `doorward doctor` prints.
    fn doctor(&self) -> String {
        String::from_utf8_lossy(&self.gateway.run("doctor").stdout).into_owned()
    }
}

/// A server that answers each connection's first bytes with `answer`, and closes.
fn answering(answer: impl Into<Vec<u8>>) -> Server {
    let answer = answer.into();
    Server::start("a backend", ([127, 0, 0, 1], 0).into(), move |listener| async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = answer.clone();
            let serving = task::spawn("a connection", async move {
                let _ = socket.read(&mut [0; 65_536]).await;
                let _ = socket.write_all(&answer).await;
                let _ = socket.shutdown().await;
                // What is still on its way would make a reset of the end.
                while socket.read(&mut [0; 65_536]).await.is_ok_and(|read| read > 0) {}
            });
            drop(serving);
        }
    })
}

/// As [`answering`], where a plain question for `/` is answered well.
fn answering_but_for_the_first_page(answer: &str) -> Server {
    let answer = answer.to_owned();
    Server::start("a backend", ([127, 0, 0, 1], 0).into(), move |listener| async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 65_536];
            let read = socket.read(&mut request).await.unwrap_or(0);
            let is_plain = read < 600 && request.starts_with(b"GET / ");
            let answer = if is_plain { "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" } else { &answer };
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    })
}

/// A server that speaks TLS, and answers plain HTTP by ending the connection.
fn tls_server() -> Server {
    let made = rcgen::generate_simple_self_signed(["app.test".to_owned()]).unwrap();
    let config = client::server_config(&made.cert.pem(), &made.signing_key.serialize_pem(), &[]);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::start("a backend over TLS", ([127, 0, 0, 1], 0).into(), move |listener| async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            let serving = task::spawn("a connection", async move {
                if let Ok(mut stream) = acceptor.accept(socket).await {
                    let _ = stream.read(&mut [0; 4_096]).await;
                }
            });
            drop(serving);
        }
    })
}

/// DX6.
#[test]
fn a_target_that_speaks_tls_is_found_by_a_handshake_and_named_with_its_line() {
    let backend = tls_server();
    let scene = Scene::before(backend.address().port(), "");
    assert!(scene.get("/", "").starts_with("HTTP/1.1 502"));
    let (at, said) = (backend.address(), scene.event("backend_speaks_tls"));
    let expected = format!("{at} speaks TLS, not plain HTTP; write proxy https://{at} ({})", scene.place("proxy "));
    assert_eq!(said["message"], expected, "{said}");
    // The next failure has this for its remedy, and there is no second line.
    assert!(scene.get("/x", "").starts_with("HTTP/1.1 502"));
    wait::until_true("the next failure says so", SOON, || {
        scene.events("backend_failed").iter().any(|line| line["path"] == "/x" && line["remedy"] == *expected)
    });
    assert_eq!(scene.events("backend_speaks_tls").len(), 1);
}

/// DX6: the same words from `doctor` and `probe`, before any request.
#[test]
fn doctor_and_probe_try_a_handshake_before_they_say_that_a_target_speaks_tls() {
    let backend = tls_server();
    let scene = Scene::before(backend.address().port(), "");
    let (at, doctor) = (backend.address(), scene.doctor());
    let remedy = format!("write proxy https://{at} ({})", scene.place("proxy "));
    assert!(doctor.contains(&format!("FAIL  backend    {at} speaks TLS, not plain HTTP\n       -> {remedy}\n")), "{doctor}");
    let probed = scene.probe("https", "/");
    assert!(probed.contains(&format!("{at} speaks TLS, not plain HTTP")) && probed.contains(&format!("-> {remedy}")), "{probed}");

    let broken = answering("");
    let scene = Scene::before(broken.address().port(), "");
    let (doctor, probed) = (scene.doctor(), scene.probe("https", "/"));
    assert!(doctor.contains("ends the connection without an answer"), "{doctor}");
    assert!(!doctor.contains("https://127.0.0.1") && !probed.contains("write "), "{doctor}{probed}");
}

/// DX6: nginx, Apache and Go answer 400 in plain HTTP.
#[test]
fn a_backend_that_only_refuses_or_breaks_is_not_taken_for_one_that_speaks_tls() {
    for answer in ["", "HTTP/1.0 400 Bad Request\r\n\r\nno", "SSH-2.0-OpenSSH_9.6\r\n"] {
        let backend = answering(answer);
        let scene = Scene::before(backend.address().port(), "");
        scene.get("/", "");
        scene.get("/", "");
        assert!(scene.events("backend_speaks_tls").is_empty(), "for {answer:?}: {}", scene.gateway.output());
        assert!(!scene.gateway.output().contains("https://127.0.0.1"), "for {answer:?}: {}", scene.gateway.output());
    }
}

/// DX7.
#[test]
fn upgrade_fields_that_a_proxy_in_front_drops_are_named_once_for_a_peer_and_host() {
    let backend = answering("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n");
    let scene = Scene::before(backend.address().port(), "");
    let fields = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for path in ["/ws?token=s3cret", "/other"] {
        assert!(scene.get(path, fields).starts_with("HTTP/1.1 426"));
    }
    let said = scene.event("upgrade_fields_lost");
    let expected = format!(
        "wss://{}/ws: asked for a WebSocket without 'Upgrade' and 'Connection' (Sec-WebSocket-Key is there), by 127.0.0.1: a \
         proxy in front drops them; pass them on there (nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
         proxy_set_header Connection \"upgrade\")",
        scene.host()
    );
    assert_eq!(said["message"], expected, "{said}");
    assert_eq!(scene.events("upgrade_fields_lost").len(), 1);
    assert!(scene.doctor().contains("a proxy in front drops them"), "{}", scene.doctor());
}

/// DX8.
#[test]
fn a_backend_that_redirects_to_the_url_that_was_asked_for_is_named_once_for_a_host() {
    let own = Gateway::prepare();
    let port = own.https;
    let location =
        format!("HTTP/1.1 301 Moved Permanently\r\nLocation: https://localhost:{port}/a?b=c\r\nContent-Length: 0\r\n\r\n");
    let backend = answering(location);
    let mut gateway = own;
    gateway.configure("", &format!("localhost {{\n    proxy {}\n}}", backend.address().port()));
    gateway.start();
    let root = gateway.local_root();
    let scene = Scene { gateway, root };
    wait::until("localhost is served", SOON, || scene.gateway.get("localhost", "/", &scene.root));
    // Another URL, and a form that is answered, are ordinary.
    scene.get("/other", "");
    scene.ask(&format!("POST /a?b=c HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", scene.host()));
    assert!(scene.events("redirect_to_itself").is_empty(), "{}", scene.gateway.output());
    for _ in 0..2 {
        assert!(scene.get("/a?b=c", "").starts_with("HTTP/1.1 301"));
    }
    let said = scene.event("redirect_to_itself");
    let expected = format!(
        "https://localhost:{port}/a: the backend {} redirects to the same URL (301): it does not believe our X-Forwarded-Proto; \
         let it trust this gateway (Uvicorn --proxy-headers --forwarded-allow-ips, Django SECURE_PROXY_SSL_HEADER, Express \
         'trust proxy')",
        backend.address()
    );
    assert_eq!(said["message"], expected, "{said}");
    assert_eq!(scene.events("redirect_to_itself").len(), 1);
}

/// DX8: `probe` asks the backend itself and sees that it is the one.
#[test]
fn probe_sees_that_it_is_the_backend_that_redirects_to_the_same_url() {
    let own = Gateway::prepare();
    let port = own.https;
    let head = format!("HTTP/1.1 301 Moved Permanently\r\nLocation: https://localhost:{port}/a\r\nContent-Length: 0\r\n");
    let backend = answering(format!("{head}Connection: close\r\n\r\n"));
    let mut gateway = own;
    gateway.configure("", &format!("localhost {{\n    proxy {}\n}}", backend.address().port()));
    gateway.start();
    let root = gateway.local_root();
    let scene = Scene { gateway, root };
    wait::until("localhost is served", SOON, || scene.gateway.get("localhost", "/", &scene.root));
    let probed = scene.probe("https", "/a");
    let said = format!(
        "redirect-loop: https://localhost:{port}/a: the backend {} redirects to the same URL (301): it does not believe our \
         X-Forwarded-Proto",
        backend.address()
    );
    assert!(probed.contains(&said) && !probed.contains("CDN"), "{probed}");
}

/// DX9.
#[test]
fn a_backend_that_refuses_for_size_is_named_with_the_size_and_our_own_limit() {
    let check = |status: &str, words: &str, request: &dyn Fn(&Scene) -> String, expected: &str| {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let backend = answering_but_for_the_first_page(&answer);
        let scene = Scene::before(backend.address().port(), words);
        for _ in 0..2 {
            assert!(request(&scene).starts_with(&format!("HTTP/1.1 {}", &status[..3])));
        }
        let said = scene.event("backend_size_limit");
        let message = said["message"].as_str().unwrap();
        let begin = format!("localhost: the backend {} answered {}, not the gateway (", backend.address(), &status[..3]);
        assert!(message.starts_with(&begin) && message.contains(expected), "{message}");
        assert_eq!(scene.events("backend_size_limit").len(), 1);
    };
    check(
        "431 Request Header Fields Too Large",
        "",
        &|scene| scene.get("/", &format!("X: {}\r\n", "y".repeat(20_000))),
        "bytes; our limit: 65,536); raise the application's own limit (Node: --max-http-header-size, Uvicorn: \
         --h11-max-incomplete-event-size)",
    );
    check(
        "413 Content Too Large",
        "limit body 2KiB",
        &|scene| {
            let body = "x".repeat(1_500);
            scene.ask(&format!("POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 1500\r\n\r\n{body}", scene.host()))
        },
        "(body: 1,500 bytes; our limit: 2,048)",
    );
    check("414 URI Too Long", "", &|scene| scene.get(&format!("/{}", "x".repeat(999)), ""), "(URL: 1,000 bytes; our limit: ");
}

/// DX10.
#[test]
fn a_page_that_may_not_open_a_websocket_is_named_with_the_rule_and_explain_says_the_same() {
    let backend = answering("");
    let scene = Scene::before(backend.address().port(), "origin https://example.com");
    let mut line = Line::open("localhost", scene.gateway.https, &scene.root);
    line.say(upgrade(&scene.host(), "/ws?token=s3cret", &["Origin: https://other.example"]).as_bytes());
    assert!(line.head().starts_with("HTTP/1.1 403"));
    let rule = format!(
        "Origin https://other.example is not in 'origin' ({}: https://example.com); add it there if the page is yours",
        scene.place("origin ")
    );
    let said = scene.event("origin_refused");
    assert_eq!(said["message"], format!("wss://{}/ws refused with 403: {rule}", scene.host()), "{said}");
    assert_eq!((&said["reason"], &said["host"], &said["path"]), (&"bad-origin".into(), &"localhost".into(), &"/ws".into()));
    let mut command = crate::support::process::command(env!("CARGO_BIN_EXE_doorward"));
    let url = format!("wss://{}/ws", scene.host());
    command.args(["explain", &url, "--header", "Origin: https://other.example", "--config"]).arg(scene.gateway.config_file());
    let output = crate::support::process::run("doorward explain", &mut command, SOON);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&format!("403 bad-origin: {rule}")), "{text}");
}

/// DX5, with the certificate of a staging authority as files.
#[test]
fn a_certificate_that_clients_do_not_trust_is_named_with_its_issuer_once_for_all_clients() {
    let (chain, key) = staging_certificate("localhost");
    let mut gateway = Gateway::prepare();
    let folder = gateway.config_file().parent().unwrap().to_owned();
    std::fs::write(folder.join("site.pem"), chain).unwrap();
    std::fs::write(folder.join("site.key"), key).unwrap();
    gateway.configure("", "localhost {\n    tls site.pem site.key\n    respond 200 here\n}");
    gateway.start();
    let scene = Scene { gateway, root: PathBuf::new() };
    let url = format!("https://{}/", scene.host());
    wait::until("a client refuses the certificate", SOON, || {
        for _ in 0..2 {
            let mut command = crate::support::process::command("curl");
            crate::support::process::run("curl", command.args(["--silent", "--max-time", "20", &url]), SOON);
        }
        scene.events("certificate_not_trusted").into_iter().next().ok_or_else(|| scene.gateway.output())
    });
    let expected = format!(
        "localhost: a client (127.0.0.1) does not trust our certificate (unknown CA): it is from '(STAGING) Pretend Pear X1', a \
         staging authority that no browser trusts; put files of a production authority there ({})",
        scene.place("tls ")
    );
    let said = scene.events("certificate_not_trusted");
    assert_eq!((said.len(), &said[0]["message"]), (1, &Value::from(expected.as_str())), "{said:?}");
    let certs = String::from_utf8_lossy(&scene.gateway.run("certs").stdout).into_owned();
    assert!(certs.contains(&format!("  note: {expected}\n")), "{certs}");
    let doctor = scene.doctor();
    assert!(doctor.contains("does not trust our certificate (unknown CA)") && !doctor.contains("All is well"), "{doctor}");

    // DX16: probe names the issuer and goes on behind it.
    let probed = scene.probe("https", "/");
    assert!(probed.contains("ok   http ") && probed.contains("from '(STAGING) Pretend Pear X1'"), "{probed}");
    assert!(probed.contains("the configuration takes it from files ("), "{probed}");
}

/// DX5, with a certificate that an order brought and that is served under `staging`.
#[test]
fn a_certificate_that_was_ordered_at_a_staging_authority_is_named_with_the_line_that_says_so() {
    const SITE: &str = "door.example.test";
    const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";
    let mut all = Issuance::of(&[SITE], &Options::default());
    all.until_served(&[SITE]);
    all.gateway.stop();
    // As if that order had been one at the staging authority, which these tests cannot ask.
    let certificates = all.gateway.state().join("certificates");
    let from = std::fs::read_dir(&certificates).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(from, certificates.join(Slug::of_url(STAGING).as_str())).unwrap();
    all.gateway.configure("staging\n", &format!("{SITE} {{\n    respond 200 here\n}}"));
    all.gateway.start();
    let url = format!("https://{SITE}:{}/", all.gateway.https);
    let scene = Scene { gateway: all.gateway, root: PathBuf::new() };
    wait::until("a client refuses the certificate", SOON, || {
        let mut command = crate::support::process::command("curl");
        command.args(["--silent", "--max-time", "20", "--connect-to", "::127.0.0.1:", &url]);
        crate::support::process::run("curl", &mut command, SOON);
        scene.events("certificate_not_trusted").into_iter().next().ok_or_else(|| scene.gateway.output())
    });
    let said = scene.event("certificate_not_trusted")["message"].as_str().unwrap().to_owned();
    assert!(said.starts_with(&format!("{SITE}: a client (127.0.0.1) does not trust our certificate (unknown CA): it is from '")));
    let remedy = format!("remove 'staging' ({}) once the set-up works", scene.place("staging"));
    assert!(said.ends_with(&remedy), "{said}");
    let certs = String::from_utf8_lossy(&scene.gateway.run("certs").stdout).into_owned();
    assert!(certs.contains(&format!("  note: {said}\n")), "{certs}");
    let probed = scene.gateway.run(&format!("probe {url} --connect 127.0.0.1:{}", scene.gateway.https));
    let probed = String::from_utf8_lossy(&probed.stdout).into_owned();
    assert!(probed.contains("the configuration means it, and no browser trusts it: remove 'staging'"), "{probed}");
}

/// DX14: what the look before the order found is what the failure of the order is put down to.
#[test]
fn an_order_that_fails_for_what_the_look_before_it_found_says_the_same() {
    const SITE: &str = "door.example.com";
    let mut gateway = Gateway::prepare();
    // The authority comes by ports at which nothing listens, and finds what the look finds at port 80.
    let pebble = Pebble::start(ports::free(), ports::free(), &Options::default());
    let dns = DnsServer::start();
    dns.zone("com").zone("example.com").address_of(SITE, "127.0.0.1");
    let acme = format!("{}resolvers {}\nchallenges http-01\n", pebble.acme_lines(), dns.address());
    gateway.configure(&acme, &format!("{SITE} {{\n    respond 200 here\n}}"));
    gateway.start();
    let scene = Scene { gateway, root: PathBuf::new() };
    let failed = scene.event("certificate_failed").to_string();
    let found = scene.events("preflight").into_iter().find(|line| line["check"] == "port-80").unwrap();
    let (seen, repair) = (found["seen"].as_str().unwrap(), found["repair"].as_str().unwrap());
    assert!(seen.contains("the A record leads to 127.0.0.1, which is this machine, and port 80"), "{found}");
    assert!(failed.contains(&format!("likely cause: {seen}")) && failed.contains(repair), "{failed}");
    assert!(!failed.contains("something else answers"), "{failed}");
    wait::until_true("certs says so, too", SOON, || {
        let certs = String::from_utf8_lossy(&scene.gateway.run("certs").stdout).into_owned();
        certs.contains(seen) && certs.contains(repair)
    });
}

/// A chain and a key of an authority with the name of a staging one.
fn staging_certificate(name: &str) -> (String, String) {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "(STAGING) Pretend Pear X1");
    let issuer = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    (format!("{}{}", leaf.pem(), issuer.pem()), key.serialize_pem())
}

/// DX16.
#[test]
fn probe_and_explain_send_the_origin_of_the_host_itself_and_say_so() {
    let backend = answering("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let scene = Scene::before(backend.address().port(), "origin https://app.example");
    let own = format!("https://{}", scene.host());
    let probed = scene.probe("wss", "/ws");
    assert!(probed.contains(&format!("{own}, as a page of this host sends it")), "{probed}");
    assert!(probed.contains(&format!("Origin {own} is not in 'origin'")), "{probed}");
    assert!(probed.contains("the configuration means it, as it has the local authority issue for this name"), "{probed}");
    let explained =
        String::from_utf8_lossy(&scene.gateway.run(&format!("explain wss://{}/ws", scene.host())).stdout).into_owned();
    assert!(explained.contains(&format!("origin   {own}, as pages of this host send it")), "{explained}");
    assert!(explained.contains(&format!("Origin {own} is not in 'origin'")), "{explained}");
    let explained =
        String::from_utf8_lossy(&scene.gateway.run(&format!("explain https://{}/ws", scene.host())).stdout).into_owned();
    assert!(explained.contains(&format!("result   {} is asked\n", backend.address())), "{explained}");
}

/// A gateway for localhost with these files, not started.
fn with_files(chain: &str, key: &str) -> Scene {
    let gateway = Gateway::prepare();
    let folder = gateway.config_file().parent().unwrap().to_owned();
    std::fs::write(folder.join("site.pem"), chain).unwrap();
    std::fs::write(folder.join("site.key"), key).unwrap();
    gateway.configure("", "localhost {\n    tls site.pem site.key\n    respond 200 here\n}");
    Scene { gateway, root: PathBuf::new() }
}

/// DX3.
#[test]
fn a_certificate_file_that_ran_out_or_soon_does_is_told_by_check_and_doctor() {
    let made = |from: i64, to: i64| {
        let now = time::OffsetDateTime::now_utc();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) =
            (now + time::Duration::hours(from * 24), now + time::Duration::hours(to * 24 + 1));
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem(), (now + time::Duration::hours(to * 24 + 1)).date())
    };
    let (chain, key, day) = made(-90, -2);
    let mut scene = with_files(&chain, &key);
    let file = scene.gateway.config_file().with_file_name("site.pem").display().to_string();
    let remedy = format!(
        "put a renewed file there (it is taken within 2 s), or remove `tls` ({}) to have one issued",
        scene.place("tls ")
    );
    let expired = format!("localhost: {file} expired on {day}, browsers refuse it");
    let checked = scene.gateway.run("check");
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success() && said.contains(&format!("warning: {expired}; {remedy}")), "{said}");
    let doctor = scene.doctor();
    assert!(doctor.contains(&format!("FAIL  files      {expired}\n       -> {remedy}\n")), "{doctor}");
    scene.gateway.start();
    let doctor = scene.doctor();
    assert!(doctor.contains("browsers refuse it") && !doctor.contains("All is well"), "{doctor}");

    let (chain, key, day) = made(-80, 4);
    let scene = with_files(&chain, &key);
    let doctor = scene.doctor();
    assert!(doctor.contains(&format!("site.pem expires on {day}, in 4 days\n")) && doctor.contains("; 1 note."), "{doctor}");
}

/// DX12.
#[test]
fn a_key_of_another_certificate_is_told_by_check_and_doctor() {
    let (chain, _) = staging_certificate("localhost");
    let scene = with_files(&chain, &rcgen::KeyPair::generate().unwrap().serialize_pem());
    let folder = scene.gateway.config_file().parent().unwrap().display().to_string();
    let seen = format!("{folder}/site.key does not belong to {folder}/site.pem (localhost; the public keys differ)");
    let remedy = format!(
        "give the key that this certificate was made with, or have a new one issued for this key ({})",
        scene.place("tls ")
    );
    let checked = scene.gateway.run("check");
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!checked.status.success() && said.contains(&format!("{seen}; {remedy}")), "{said}");
    let doctor = scene.doctor();
    assert!(doctor.contains(&format!("FAIL  files      {seen}\n       -> {remedy}\n")), "{doctor}");
}
