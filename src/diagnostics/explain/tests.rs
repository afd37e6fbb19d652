use super::*;
use crate::config::environment::Environment;
use crate::config::resolve::from_text;

const CONFIG: &str = "
upstream app {
    to 10.0.0.1:8000 10.0.0.2:8000
}
example.com www.example.com {
    security-headers
    /ws/* {
        origin https://example.com
        idle 24h
        proxy app
    }
    /api/* {
        strip-prefix /api
        proxy 127.0.0.1:9000
    }
    /* {
        redirect https://example.org
    }
}
*.apps.example.com {
    tls internal
    /only/* {
        respond 200 here
    }
}
http://plain.example.com {
    files /srv/www
}
admin.example.com:8443 {
    allow 10.0.0.0/8
    respond 200 here
}
";

fn explained(url: &str, fields: &[&str]) -> Explanation {
    let settings = from_text("a.conf", CONFIG, &Environment::default()).unwrap_or_else(|report| panic!("{report}")).settings;
    let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
    explain(&settings, &ExplainRequest::new(url, "GET", &fields, None).unwrap())
}

/// How it ends, in words.
fn result(seen: &Explanation) -> String {
    match &seen.verdict {
        Verdict::NotServed { words } => words.clone(),
        Verdict::Refused { status, reason, words } => format!("{status} {reason} {words}"),
        Verdict::Answered { status, words } => format!("{status} {words}"),
        Verdict::Reaches { words } => words.clone(),
    }
}

fn check(url: &str, fields: &[&str], block: Option<&str>, verdict: &str) -> Explanation {
    let told = explained(url, fields);
    let seen = result(&told);
    assert_eq!(told.block.as_ref().map(|block| block.path.as_str()), block, "for {url}");
    assert!(seen.starts_with(verdict), "for {url}: {seen}");
    told
}

#[test]
fn values_from_the_environment_are_explained_by_their_names() {
    let text = "a.example {\n headers {\n  set x-key \"key {$TOKEN}\"\n }\n auth {\n  forward http://127.0.0.1:1/{$TOKEN}\n }\n \
                redirect https://b.example/{$TOKEN}\n}\n";
    let environment = [("TOKEN".to_owned(), "hunter2!".to_owned())].into();
    let surroundings = Environment { environment, ..Environment::default() };
    let settings = from_text("a.conf", text, &surroundings).unwrap_or_else(|report| panic!("{report}")).settings;
    let told = explain(&settings, &ExplainRequest::new("https://a.example/", "GET", &[], None).unwrap());
    let told = serde_json::to_string(&told).unwrap();
    assert!(!told.contains("hunter2!") && told.contains("{$TOKEN}"), "{told}");
}

#[test]
fn the_longest_path_is_named_with_those_it_beats() {
    let told = check("wss://example.com/ws/room", &["Origin: https://example.com"], Some("/ws/*"), "a backend of app is asked");
    assert_eq!(told.block.unwrap().why, "the longest path that matches, before /*");
    assert_eq!(told.site.unwrap().at, "a.conf:5");
    assert!(told.end.iter().any(|fact| fact.contains("ended when silent for 1d")), "{:?}", told.end);
    let told = check("https://www.example.com/api/v1?x=1", &[], Some("/api/*"), "127.0.0.1:9000 is asked");
    assert!(told.end.iter().any(|fact| fact == "the backend is asked for GET /v1"), "{:?}", told.end);
    assert_eq!(told.site.unwrap().host, "www.example.com");
}

#[test]
fn a_refusal_names_the_word_that_refuses() {
    check(
        "wss://example.com/ws/",
        &["Origin: https://evil.test"],
        Some("/ws/*"),
        "403 bad-origin Origin https://evil.test is not in 'origin' (",
    );
    check("https://x.apps.example.com/", &[], None, "404 no-such-path the site has no block for this path");
    check("https://example.com/a/../b", &[], None, "400 bad-path");
}

#[test]
fn port_80_sends_on_and_tells_a_websocket_where_to_go() {
    check("http://example.com/x?token=abc", &[], None, "308 sent on to https://example.com/x?...");
    check("ws://example.com/ws/a", &[], None, "426 upgrade-without-tls a WebSocket cannot follow a redirect to TLS: open wss://");
    check("http://plain.example.com/a.css", &[], Some("/*"), "the file, or 404");
    check("http://stranger.test/", &[], None, "421 unknown-host");
}

#[test]
fn what_does_not_arrive_is_told_with_the_port_that_would_do() {
    check("https://stranger.test/", &[], None, "no site has stranger.test on port 443, so the TLS handshake is refused: add");
    check(
        "https://admin.example.com/",
        &[],
        None,
        "no site has admin.example.com on port 443, so the TLS handshake is refused: it",
    );
    check("https://admin.example.com:8443/", &[], Some("/*"), "200 a text");
    check("https://example.com:9999/", &[], None, "nothing listens on port 9999: this scheme is served on 443, 8443");
    check("https://example.com:80/", &[], None, "port 80 speaks plain http: ask by http or ws");
}

#[test]
fn a_websocket_where_no_backend_is_gets_no_101() {
    let told = check("wss://example.com/elsewhere", &[], Some("/*"), "308 redirected to https://example.org/elsewhere");
    assert!(told.upgrade && told.end[1].starts_with("no WebSocket is opened here"), "{:?}", told.end);
}

#[test]
fn a_secret_in_the_url_is_not_repeated() {
    for url in ["https://example.com/ws/a?token=s3cret", "http://example.com/?token=s3cret", "https://example.com/?token=s3cret"]
    {
        let told = serde_json::to_string(&explained(url, &[])).unwrap();
        assert!(!told.contains("s3cret"), "{told}");
    }
    let told = serde_json::to_string(&explained("ws://example.com/?token=s3cret", &[])).unwrap();
    assert!(!told.contains("s3cret"), "{told}");
}

#[test]
fn what_a_group_of_backends_does_is_told_word_for_word() {
    let config = "
upstream app {
    to 10.0.0.1:8000 10.0.0.2:8000
    to 10.0.0.3:8000 backup
    sticky cookie lb
    health /up every 5s
    circuit-breaker 40%
    fail-status 500
    slow-start 30s
    hold 10s 50
    max-connections 100
    timeout first-byte 30s
    proxy-protocol v2
}
mtls.example.com {
    client-certificates clients.pem optional headers
    proxy app
}
example.com {
    proxy 3000
}
";
    let settings = from_text("a.conf", config, &Environment::default()).unwrap_or_else(|report| panic!("{report}")).settings;
    let explained = |url: &str| explain(&settings, &ExplainRequest::new(url, "GET", &[], None).unwrap());
    let told = explained("https://mtls.example.com/x");
    assert_eq!(
        told.end,
        [
            "proxy to one of 10.0.0.1:8000, 10.0.0.2:8000, 10.0.0.3:8000, in turn",
            "10.0.0.3:8000 only when no other is up (backup)",
            "who has its cookie lb goes to the same one again (sticky)",
            "at most 100 requests and tunnels are open on one (max-connections)",
            "one gets nothing while its check fails: GET /up every 5s is to be answered with 2xx or 3xx (health)",
            "one at which 3 requests fail within 10s is left out for 10s, while there is another (max-fails)",
            "one that fails 40% of at least 20 requests within 10s gets nothing for 15s, and 503 is answered when none is left \
             (circuit-breaker)",
            "500 count as failures of it (fail-status)",
            "one that came back gets its share over 30s (slow-start)",
            "what did not reach one is tried at another, once, and no more than 20% of the requests (retry)",
            "while none can take it, it waits for 10s, with 50 others at most (hold)",
            "it has 30s for the first byte of its answer",
            "it is told who the client is before anything else (proxy-protocol)",
            "the backend is asked for GET /x",
        ]
    );
    let tls = told.site.unwrap().tls;
    assert!(
        tls.ends_with("; a client may prove itself by a certificate of clients.pem, and the backend is told whose it is"),
        "{tls}"
    );
    assert_eq!(explained("https://example.com/").end, ["proxy to 127.0.0.1:3000", "the backend is asked for GET /"]);
}

#[test]
fn urls_are_explained_by_their_public_ports() {
    let text = "http-port 8080\nhttps-port 8443\npublic-http-port 80\npublic-https-port 443\n\
                a.example:9443 {\n respond 204\n}\na.example {\n respond 200\n}\nb.example:9443 {\n respond 204\n}\n";
    let settings = from_text("a.conf", text, &Environment::default()).unwrap_or_else(|report| panic!("{report}")).settings;
    let check = |url: &str, expected: &str| {
        let seen = result(&explain(&settings, &ExplainRequest::new(url, "GET", &[], None).unwrap()));
        assert!(seen.starts_with(expected), "{url}: {seen}");
    };
    let text = |status: u16| format!("{status} a text of the configuration");
    check("https://a.example/", &text(200));
    check("https://a.example:443/", &text(200));
    check("https://a.example:8443/", &text(200));
    check("https://a.example:9443/", &text(204));
    check("http://a.example/x", "308 sent on to https://a.example/x");
    check("http://a.example:80/x", "308 sent on to https://a.example/x");
    check("http://b.example/x", "308 sent on to https://b.example:9443/x");
    check("https://b.example/", "no site has b.example on port 443, so the TLS handshake is refused: it is served on port 9443");
    check("https://a.example:1/", "nothing listens on port 1: this scheme is served on 443, 9443");
    check("https://a.example:80/", "port 80 speaks plain http");
}
