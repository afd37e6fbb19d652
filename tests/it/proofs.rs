//! How names are proved while everything else goes on: the paths that authorities ask, and what visitors see meanwhile.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::fault::{Fault, FaultProxy, Kind};
use crate::support::gateway::Gateway;
use crate::support::issuance::{ISSUE, Issuance};
use crate::support::pebble::{Options, Pebble};
use crate::support::peers::{curl, curl_status};
use crate::support::server::Server;
use crate::support::{client, echo, process, wait};

const SITE: &str = "door.example.test";
const NEW: &str = "new.example.test";

#[test]
fn a_challenge_is_answered_before_every_rule_of_its_site_and_throughout_reloads() {
    // Long enough for several reloads before the authority looks.
    let options = Options { validation_sleep: Some(4), ..Options::default() };
    let mut all = Issuance::new(&options);
    let rules = "deny 127.0.0.1\n    limit requests 1/min\n    redirect https://elsewhere.example.test";
    let configure = |all: &Issuance, round: usize| {
        let sites = format!("{SITE} {{\n    {rules}\n}}\nhttp://{SITE} {{\n    deny 127.0.0.1\n    respond 200 {round}\n}}");
        all.gateway.configure(&format!("{}challenges http-01\n", all.proxy.acme_lines()), &sites);
    };
    configure(&all, 0);
    all.gateway.start();
    all.proxy.until_seen(Kind::Challenge, 1, ISSUE);
    for round in 1..=4 {
        configure(&all, round);
        assert!(all.gateway.run("reload").status.success());
    }
    let root = all.root();
    // The site itself lets nobody in; its certificate is what counts.
    let seen = all.gateway.until_served(SITE, &root, 2 * ISSUE);
    assert_eq!(seen.response.status(), 403);
    assert_eq!((all.orders(), all.bought()), (1, 1), "a challenge went unanswered");
}

/// As a CDN before port 80 that forces https: whatever is asked is sent on to the gateway's TLS port.
fn forcing_https(port: u16) -> Server {
    Server::start("forces https", ([127, 0, 0, 1], 0).into(), async move |listener| {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut asked = [0; 2_048];
            let length = socket.read(&mut asked).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&asked[..length]).into_owned();
            let path = text.split(' ').nth(1).unwrap_or("/");
            let answer = format!(
                "HTTP/1.1 301 Moved Permanently\r\nLocation: https://{SITE}:{port}{path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    })
}

#[test]
fn http_01_is_answered_over_tls_where_something_in_front_forces_https() {
    let gateway = Gateway::prepare();
    let front = forcing_https(gateway.https);
    let pebble = Pebble::start(front.address().port(), gateway.https, &Options::default());
    let proxy = FaultProxy::start(&pebble);
    let mut all = Issuance { gateway, pebble, proxy, backend: echo::start() };
    all.configure("challenges tls-alpn-01\n", &[SITE]);
    all.gateway.start();
    let first = all.until_served(&[SITE]);
    all.configure("challenges http-01\n", &[SITE]);
    assert!(all.gateway.run("reload").status.success());
    assert!(all.gateway.run(&format!("certs renew {SITE}")).status.success());
    wait::until_true("another certificate is served", 2 * ISSUE, || all.until_served(&[SITE]) != first);
}

/// As a CDN that takes requests in the clear and asks its origin over TLS only, without verifying its certificate.
fn asking_over_tls(port: u16, protocol: &'static str) -> Server {
    Server::start("asks over TLS", ([127, 0, 0, 1], 0).into(), async move |listener| {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut asked = [0; 2_048];
            let length = socket.read(&mut asked).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&asked[..length]).into_owned();
            let path = text.split(' ').nth(1).unwrap_or("/");
            let url = format!("https://{SITE}:{port}{path}");
            let body = unverified(&url, protocol, &[]);
            let length = body.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    })
}

/// What a client that verifies nothing gets; nothing where the handshake fails.
fn unverified(url: &str, protocol: &str, more: &[&str]) -> String {
    let mut command = process::command("curl");
    command.args(["--silent", "--insecure", "--max-time", "100", "--connect-to", "::127.0.0.1:", protocol]).args(more).arg(url);
    String::from_utf8_lossy(&process::run("curl", &mut command, ISSUE).stdout).into_owned()
}

/// What a visitor who verifies nothing is answered: the page with the status behind it.
fn visited(port: u16, name: &str, protocol: &str) -> String {
    unverified(&format!("https://{name}:{port}/"), protocol, &["--write-out", "\n%{http_code}"])
}

#[test]
fn a_first_certificate_is_obtained_behind_a_cdn_that_asks_its_origin_over_tls_only() {
    for protocol in ["--http1.1", "--http2"] {
        let gateway = Gateway::prepare();
        let front = asking_over_tls(gateway.https, protocol);
        let options = Options { validation_sleep: Some(4), ..Options::default() };
        let pebble = Pebble::start(front.address().port(), gateway.https, &options);
        let proxy = FaultProxy::start(&pebble);
        let mut all = Issuance { gateway, pebble, proxy, backend: echo::start() };
        all.configure("challenges http-01\n", &[SITE]);
        all.gateway.start();
        all.proxy.until_seen(Kind::Challenge, 1, ISSUE);
        // Whoever else comes meanwhile is served nothing.
        let page = visited(all.gateway.https, SITE, protocol);
        assert!(page.ends_with("421") && page.contains("is still being obtained") && !page.contains("hello from echo"), "{page}");
        assert!(visited(all.gateway.https, NEW, protocol).ends_with("000"), "a stand-in is for its host alone");
        all.until_served(&[SITE]);
        assert!(visited(all.gateway.https, SITE, protocol).ends_with("200"));
        assert_eq!((all.orders(), all.bought()), (1, 1));
    }
}

#[test]
fn a_path_that_only_looks_like_a_challenge_is_no_secret_no_file_and_no_failure() {
    let mut all = Issuance::of(&[SITE], &Options::default());
    all.until_served(&[SITE]);
    let long = "a".repeat(3_000);
    for path in ["unknown-token", "", "../../../etc/passwd", "%2e%2e%2fsecret", long.as_str()] {
        let url = format!("http://{SITE}:{}/.well-known/acme-challenge/{path}", all.gateway.http);
        let body = curl(&["--path-as-is", "--write-out", "\n%{http_code}", &url]);
        let (body, status) = body.rsplit_once('\n').unwrap();
        assert_eq!(status, "308", "{path} is a path like any other");
        assert!(!body.contains("root:") && !body.contains("hello from echo"), "{path}: {body}");
    }
    assert!(all.gateway.process().exit_status().is_none());
}

#[test]
fn a_proof_certificate_is_shown_to_the_authoritys_protocol_alone() {
    let all = Issuance::new(&Options::default());
    all.configure("challenges tls-alpn-01\n", &[SITE]);
    let mut all = all;
    all.gateway.start();
    all.until_served(&[SITE]);
    // The authority has looked, and its answer is not let through: the proof stays where it is.
    all.proxy.fail_always(Kind::Challenge, Fault::HoldAnswer);
    let before = renew_until_challenged(&all);
    let proof = shown(all.gateway.https, "acme-tls/1");
    assert!(is_proof(&proof), "the authority's protocol is shown the proof:\n{proof}");
    for protocol in ["http/1.1", "h2"] {
        let seen = shown(all.gateway.https, protocol);
        assert!(seen.contains("BEGIN CERTIFICATE") && !is_proof(&seen), "a visitor with {protocol} sees:\n{seen}");
    }
    assert_eq!(all.until_served(&[SITE]), before);
}

/// Renews by hand until the authority wants a proof; the serial number that is served meanwhile. Pebble takes over an old
/// authorization for one order in a hundred, even when it is set to take none, and such an order has no challenge.
fn renew_until_challenged(all: &Issuance) -> Vec<String> {
    for _ in 0..5 {
        let before = all.until_served(&[SITE]);
        assert!(all.gateway.run(&format!("renew {SITE}")).status.success());
        let is_challenged = wait::until("the renewal is challenged or done", ISSUE, || {
            let is_challenged = all.proxy.has_struck(Kind::Challenge);
            (is_challenged || all.until_served(&[SITE]) != before).then_some(is_challenged).ok_or("neither")
        });
        if is_challenged {
            return before;
        }
    }
    panic!("Pebble took over an old authorization five times");
}

/// What openssl says of the certificate that is shown to somebody who speaks this protocol.
fn shown(port: u16, protocol: &str) -> String {
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} -servername {SITE} -alpn {protocol} </dev/null 2>/dev/null | \
         openssl x509 -text -outform PEM"
    );
    let output = process::run("openssl", process::command("sh").args(["-c", &script]), ISSUE);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// RFC 8737 section 3: the critical acmeIdentifier extension.
fn is_proof(text: &str) -> bool {
    text.contains("1.3.6.1.5.5.7.1.31") || text.contains("acmeIdentifier")
}

#[test]
fn handshakes_for_strange_names_are_no_work_for_the_authority() {
    let all = Issuance::of(&[SITE], &Options::default());
    all.until_served(&[SITE]);
    let (orders, root) = (all.proxy.count(Kind::NewOrder), all.root());
    for number in 0..50 {
        let strange = format!("strange{number}.example.test");
        assert!(client::get(&strange, all.gateway.https, "/", &root).is_err(), "{strange} was served");
    }
    // The keeper has turned since: it answers.
    assert!(all.gateway.run("certs").status.success());
    assert_eq!(all.proxy.count(Kind::NewOrder), orders);
}

#[test]
fn a_backend_that_is_down_hinders_no_issuance() {
    let mut all = Issuance::new(&Options::default());
    // Nobody listens on the discard port.
    all.gateway.configure(&all.proxy.acme_lines(), &format!("{SITE} {{\n    proxy 9\n}}"));
    all.gateway.start();
    let seen = all.gateway.until_served(SITE, &all.root(), ISSUE);
    assert_eq!(seen.response.status(), 502);
}

#[test]
fn everything_else_is_served_while_the_authority_hangs() {
    let mut all = Issuance::new(&Options::default());
    all.proxy.fail_always(Kind::Directory, Fault::HoldRequest);
    all.configure("", &[SITE, "localhost"]);
    all.gateway.start();
    all.proxy.until_struck(Kind::Directory, ISSUE);
    let root = all.gateway.local_root();
    assert_eq!(all.gateway.until_served("localhost", &root, ISSUE).response.status(), 200);
    assert_eq!(curl_status(&format!("http://{SITE}:{}/", all.gateway.http)), "308");
}

#[test]
fn a_reload_aborts_no_order_and_repeats_none() {
    let names: Vec<String> = (0..12).map(|n| format!("n{n}.example.test")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut all = Issuance::new(&Options { validation_sleep: Some(1), ..Options::default() });
    all.configure("", &names);
    all.gateway.start();
    for (round, more) in ["x.example.test", "y.example.test", NEW].into_iter().enumerate() {
        all.proxy.until_seen(Kind::Challenge, 3 * round + 1, ISSUE);
        names.push(more);
        all.configure("", &names);
        assert!(all.gateway.run("reload").status.success());
    }
    all.until_served(&names);
    assert_eq!((all.orders(), all.bought(), all.accounts()), (15, 15, 1));
}

#[test]
fn after_a_repair_a_reload_of_the_same_file_or_a_renewal_by_hand_tries_at_once() {
    for command in ["reload".to_owned(), format!("renew {SITE}")] {
        let all = Issuance::new(&Options::default());
        // A refusal after which nothing is tried for a day.
        all.proxy.fail_always(Kind::NewOrder, Fault::Problem(400, "rejectedIdentifier"));
        all.configure("", &[SITE]);
        let mut all = all;
        all.gateway.start();
        all.gateway.process().until_said("certificate_failed", ISSUE);
        all.proxy.heal();
        assert!(all.gateway.run(&command).status.success(), "{command}");
        wait::until(&format!("{SITE} is served after `{command}`"), wait::LIMIT, || all.gateway.get(SITE, "/", &all.root()));
    }
}
