//! The configurations of `config/examples/`: each would run, and does what it promises, through the real program and before
//! real backends. What one property is in a page of nginx's configuration is one assertion here.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use doorward::config::environment::Environment;
use doorward::config::resolve::from_text;
use doorward::config::settings::Settings;

use crate::support::example::{Example, Running};
use crate::support::peers::{self, Backend};
use crate::support::process::{self, Process};
use crate::support::{line::Line, obedient, ports, wait};

const SOON: Duration = wait::LIMIT;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn settings(text: &str) -> Settings {
    from_text("example", text, &Environment::default()).unwrap_or_else(|report| panic!("{report}")).settings
}

/// What FastAPI saw of a request, as the yard's application tells it.
fn seen(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_example_would_run() {
    let mut names = Vec::new();
    for entry in fs::read_dir(Example::folder()).unwrap() {
        let path = entry.unwrap().path();
        settings(&fs::read_to_string(&path).unwrap());
        names.push(path.file_stem().unwrap().to_string_lossy().into_owned());
    }
    assert!(names.len() >= 11, "{names:?}");
}

/// The chat of the guides before Uvicorn.
fn chat(assets: &Path) -> (Running, Backend) {
    let backend = Backend::uvicorn();
    let example = Example::of("chat-fastapi").with_backend(8000, backend.port()).with("/srv/chat/static", assets.display());
    (example.run("example.localhost"), backend)
}

#[test]
fn the_chat_redirects_sends_the_header_fields_and_upgrades() {
    let (chat, _backend) = chat(Path::new("/nowhere"));
    let plain = chat.ask_url(&chat.url("http", "/a?b=c"), &[]);
    assert_eq!((plain.status, plain.header("location")), (308, Some(&*chat.url("https", "/a?b=c"))));
    let www = chat.ask_url(&chat.url("https", "/a?b=c").replace("example", "www.example"), &[]);
    assert_eq!((www.status, www.header("location")), (308, Some("https://example.localhost/a?b=c")));

    let told = seen(&chat.ask("/echo", &["--header", "X-Forwarded-For: 203.0.113.9", "--header", "X-Real-IP: 203.0.113.9"]).body);
    let fields = &told["headers"];
    assert_eq!(fields["host"], format!("example.localhost:{}", chat.gateway.https));
    assert_eq!(fields["x-real-ip"], "127.0.0.1");
    assert_eq!(fields["x-forwarded-for"], "127.0.0.1");
    assert_eq!((&fields["x-forwarded-proto"], &told["scheme"]), (&"https".into(), &"https".into()));

    // Upgrade and Connection on a path with a block of its own, and on one without.
    for path in ["/ws", "/ws?room=1"] {
        peers::talk_by_python(&chat.url("wss", path), chat.gateway.https, &chat.root, "/close");
        peers::talk_by_node(&chat.url("wss", path), chat.gateway.https, &chat.root, "/close");
    }
}

#[test]
fn the_chat_buffers_nothing_and_takes_four_header_fields_of_32_kib() {
    let (chat, _backend) = chat(Path::new("/nowhere"));
    let mut command = process::command("curl");
    let connect = ["--silent", "--no-buffer", "--connect-to", "::127.0.0.1:", "--cacert"];
    command.args(connect).arg(&chat.root).arg(chat.url("https", "/events"));
    Process::start("curl", &mut command).until_said("data: first", SOON);

    let ask = |length: usize| {
        let fields: String = (0..4).map(|number| format!("X-Token-{number}: {}\r\n", "t".repeat(length))).collect();
        let mut line = Line::open("example.localhost", chat.gateway.https, &chat.root);
        line.say(format!("GET /echo HTTP/1.1\r\nHost: example.localhost\r\n{fields}\r\n").as_bytes());
        line.answer()
    };
    let taken = ask(32 * 1024 - 64);
    assert!(taken.starts_with("HTTP/1.1 200") && taken.contains("x-token-3"), "{}", &taken[..taken.len().min(200)]);
    let refused = ask(33 * 1024);
    assert!(refused.starts_with("HTTP/1.1 431"), "{}", &refused[..refused.len().min(200)]);
    wait::until_true("the log names the setting", SOON, || chat.gateway.output().contains("header-size"));

    let told = chat.ask(&format!("/echo?token={}", "t".repeat(32 * 1024)), &[]);
    assert_eq!(seen(&told.body)["query"].as_str().map(str::len), Some(32 * 1024 + 6));
}

#[test]
fn the_chat_lets_ten_a_minute_and_five_more_log_in() {
    let (chat, _backend) = chat(Path::new("/nowhere"));
    let logins: Vec<_> = (0..7).map(|_| chat.ask("/login", &["--data", "name=a"])).collect();
    let statuses: Vec<u16> = logins.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 429]);
    let wait: u64 = logins[6].header("retry-after").unwrap().parse().unwrap();
    assert!((1..=6).contains(&wait), "{wait}");
    assert_eq!(chat.ask("/", &[]).status, 200, "other paths have no limit");
    let told = || chat.gateway.output().contains("over `limit requests`");
    wait::until_true("the log names the limit", SOON, told);
}

#[test]
fn the_chats_answers_have_the_security_headers_and_its_assets_stay_for_thirty_days() {
    let assets = tempfile::tempdir().unwrap();
    fs::write(assets.path().join("app.js"), "let chat;").unwrap();
    let (chat, _backend) = chat(assets.path());
    let page = chat.ask("/static/app.js", &[]);
    assert_eq!((page.status, page.body.as_str()), (200, "let chat;"));
    assert_eq!(page.header("cache-control"), Some("public, max-age=2592000, immutable"));
    for path in ["/", "/static/app.js", "/static/missing.js", "/%2e%2e/etc/passwd"] {
        let answer = chat.ask(path, &["--path-as-is"]);
        let fields = ["x-frame-options", "x-content-type-options", "referrer-policy", "strict-transport-security"];
        for name in fields {
            assert!(answer.header(name).is_some(), "{name} of {path}: {answer:?}");
        }
    }
}

#[test]
fn the_chats_quiet_tunnels_outlive_every_other_limit() {
    let example = Example::of("chat-fastapi");
    let chat = settings(example.text());
    let idle: Vec<_> = chat.sites.iter().flat_map(|site| &site.blocks).filter_map(|block| block.policy.idle).collect();
    assert_eq!(idle, [DAY]);
    assert!(chat.upstreams.iter().any(|upstream| upstream.timeouts.connect == Duration::from_secs(60)));

    let backend = Backend::uvicorn();
    let example = example.with_backend(8000, backend.port());
    let short = "timeouts {\n    handshake 1s\n    header 1s\n    body 1s\n    send 1s\n    idle 1s\n}\nlimit header-size";
    let chat = example.with("limit header-size", short).run("example.localhost");
    let (status, mut tunnel) = chat.upgrade("/ws", &[]);
    assert_eq!(status, 101);
    for _ in 0..2 {
        let mut line = Line::open("example.localhost", chat.gateway.https, &chat.root);
        line.say(b"GET / HTTP/1.1\r\nHost: example.localhost\r\n\r\n");
        assert!(line.answer().starts_with("HTTP/1.1 200"));
        line.rest(SOON).expect("a connection that rests is closed");
    }
    tunnel.say(b"\x81\x85\0\0\0\0still");
    assert_eq!(tunnel.exactly(7), b"\x81\x05still");
}

#[test]
fn the_node_app_has_its_api_its_sockets_its_pages_and_its_assets() {
    let dist = tempfile::tempdir().unwrap();
    fs::create_dir(dist.path().join("assets")).unwrap();
    fs::write(dist.path().join("index.html"), "<title>app</title>").unwrap();
    fs::write(dist.path().join("assets/app-3f9c.js"), "let app;").unwrap();
    let backend = Backend::node();
    let example = Example::of("node-app").with_backend(3000, backend.port()).with("/srv/app/dist", dist.path().display());
    let app = example.run("app.example.localhost");
    assert_eq!(app.ask("/api/users", &[]).body, "hello from node");
    for path in ["/", "/rooms/7"] {
        assert_eq!(app.ask(path, &[]).body, "<title>app</title>", "{path}");
    }
    let asset = app.ask("/assets/app-3f9c.js", &[]);
    assert_eq!((asset.status, asset.header("cache-control")), (200, Some("public, max-age=31536000, immutable")));
    peers::talk_by_node(&app.url("wss", "/socket/"), app.gateway.https, &app.root, "close");
}

/// Before Uvicorn: what is promised is the gateway's part, which is the same for a server in Go.
#[test]
fn the_go_servers_limits_hold() {
    let backend = Backend::uvicorn();
    let go = Example::of("go-server").with_backend(8080, backend.port()).run("go.example.localhost");
    for (fields, expected) in
        [(&["Origin: https://go.example.localhost"][..], 101), (&[], 101), (&["Origin: https://evil.example"], 403)]
    {
        assert_eq!(go.upgrade("/ws", fields).0, expected, "{fields:?}");
    }
    assert_eq!(go.ask("/healthz", &[]).body, "ok");
    assert_eq!(go.ask("/upload", &["--data", "small"]).status, 200);
    let mut line = Line::open("go.example.localhost", go.gateway.https, &go.root);
    line.say(b"POST /upload HTTP/1.1\r\nHost: go.example.localhost\r\nContent-Length: 10485761\r\n\r\n");
    assert!(line.head().starts_with("HTTP/1.1 413"));
}

#[test]
fn the_dashboard_and_its_feed_share_a_port_and_a_password() {
    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$gvAVv6iXkekMvmfHXthcvg$9XVV/cGJ1skswZpTG7xzKfx/j5FB33b7jHEAxqX3vlE";
    let (page, feed) = (Backend::node(), Backend::python());
    let example = Example::of("dashboard").with_backend(3000, page.port()).with_backend(8765, feed.port());
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g";
    let dash = example.with(hash, HASH).run("dash.example.localhost");
    assert_eq!(dash.ask("/", &[]).status, 401);
    assert_eq!(dash.ask("/", &["--user", "operator:open sesame"]).body, "hello from node");
    assert_eq!(dash.upgrade("/ws", &[]).0, 401);
    // operator:open sesame
    let fields = ["Authorization: Basic b3BlcmF0b3I6b3BlbiBzZXNhbWU=", "Sec-WebSocket-Protocol: chat.v2"];
    assert_eq!(dash.upgrade("/ws", &fields).0, 101);
}

#[test]
fn behind_cloudflare_the_visitor_is_told_from_its_servers_and_strangers_are_not_believed() {
    let backend = Backend::uvicorn();
    let visitor = ["--header", "X-Forwarded-For: 203.0.113.9"];
    let who = |running: &Running| seen(&running.ask("/echo", &visitor).body)["headers"]["x-real-ip"].clone();
    let chat = Example::of("behind-cloudflare").with_backend(8000, backend.port()).run("chat.example.localhost");
    assert_eq!(who(&chat), "127.0.0.1", "we are none of Cloudflare's servers");
    let example = Example::of("behind-cloudflare").with_backend(8000, backend.port());
    // A burst of two that no time refills while curl runs: the example's own is refilled faster than a busy machine sends.
    let example = example.with("100/min burst 50", "1/h burst 2");
    let chat = example.with("trusted-proxies cloudflare", "trusted-proxies cloudflare private").run("chat.example.localhost");
    assert_eq!(who(&chat), "203.0.113.9");
    let status = |address: &str| chat.ask("/", &["--header", &format!("X-Forwarded-For: {address}")]).status;
    let statuses: Vec<u16> = (0..4).map(|_| status("203.0.113.7")).collect();
    assert_eq!(statuses, [200, 200, 200, 429], "one client's limit");
    assert_eq!(status("203.0.113.8"), 200, "another client's");
}

#[test]
fn in_the_lan_a_name_and_an_address_have_certificates_of_the_local_authority() {
    let backend = Backend::uvicorn();
    let example = Example::of("lan").with_backend(8000, backend.port()).with("192.168.1.10", "127.0.0.1");
    let lan = example.with("192.168.0.0/16", "127.0.0.0/8").run("chat.local");
    assert_eq!(lan.ask("/", &[]).body, "hello from uvicorn");
    assert_eq!(lan.ask_url(&format!("https://127.0.0.1:{}/", lan.gateway.https), &[]).body, "hello from uvicorn");
    peers::talk_by_python(&lan.url("wss", "/ws"), lan.gateway.https, &lan.root, "/close");
    let example = Example::of("lan").with_backend(8000, backend.port()).with("192.168.1.10", "127.0.0.1");
    assert_eq!(example.run("chat.local").ask("/", &[]).status, 403, "nobody from elsewhere");
}

#[test]
fn a_token_in_the_url_is_checked_before_the_upgrade_and_stays_out_of_log_and_backend() {
    const KEYS: &str = r#"{"keys":[{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]}"#;
    const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
    let good = format!(
        "{HEADER}.eyJzdWIiOiJ2aXNpdG9yIiwiYXVkIjoiY2hhdCIsImV4cCI6NDEwMjQ0NDgwMH0.YTCofHa0q8MagPy7GGfVGSHLGyKnwZaTFw62BeRzR68"
    );
    let old = format!(
        "{HEADER}.eyJzdWIiOiJ2aXNpdG9yIiwiYXVkIjoiY2hhdCIsImV4cCI6MTUwMDAwMDAwMH0.oM8LgkrpDiGJlDiZRgrbGRmCLCaG8qkYD9d1Z8WuMmg"
    );
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("jwks.json");
    fs::write(&keys, KEYS).unwrap();
    let told = obedient::start(std::sync::Arc::default());
    let example = |port| {
        let example = Example::of("jwt-query").with_backend(8000, port).with("RS256 ES256", "HS256");
        example.with("https://id.example.localhost/.well-known/jwks.json", format!("file {}", keys.display()))
    };
    let chat = example(told.address().port()).run("chat.example.localhost");
    for (path, expected) in [
        ("/ws".to_owned(), 401),
        (format!("/ws?token={old}"), 401),
        (format!("/ws?token={}x", good), 401),
        (format!("/ws?a=1&token={good}&b=2"), 200),
        ("/".to_owned(), 200),
    ] {
        assert_eq!(chat.ask(&path, &[]).status, expected, "{path}");
    }
    let body = chat.ask(&format!("/ws?a=1&token={good}&b=2"), &[]).body;
    assert!(body.starts_with("GET /ws?a=1&b=2\n"), "{body}");
    assert_eq!(chat.upgrade("/ws", &[]).0, 401);
    wait::until_true("the log says why", SOON, || chat.gateway.output().contains("token-expired"));
    assert!(!chat.gateway.output().contains(HEADER), "{}", chat.gateway.output());

    let node = Backend::node();
    let chat = example(node.port()).run("chat.example.localhost");
    peers::talk_by_node(&chat.url("wss", &format!("/ws?token={good}")), chat.gateway.https, &chat.root, "close");
}

#[test]
fn pages_of_other_names_may_use_the_api_and_no_others() {
    let backend = Backend::uvicorn();
    let api = Example::of("cors").with_backend(8000, backend.port()).run("api.example.localhost");
    let origin = ["--header", "Origin: https://app.example.localhost"];
    let preflight = ["--request", "OPTIONS", "--header", "Access-Control-Request-Method: PUT"];
    let answer = api.ask("/echo", &[&origin[..], &preflight].concat());
    assert_eq!((answer.status, answer.header("access-control-allow-credentials")), (204, Some("true")));
    let answer = api.ask("/echo", &origin);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example.localhost"));
    let stranger = ["--header", "Origin: https://evil.example"];
    assert_eq!(api.ask("/echo", &[&stranger[..], &preflight].concat()).status, 403);
    assert_eq!(api.ask("/echo", &stranger).header("access-control-allow-origin"), None);
    for (origin, expected) in
        [("https://app.example.localhost", 101), ("http://localhost:5173", 403), ("https://evil.example", 403)]
    {
        assert_eq!(api.upgrade("/ws", &[&format!("Origin: {origin}")]).0, expected, "{origin}");
    }
}

#[test]
fn a_websocket_in_public_has_its_limits() {
    const ORIGIN: &[&str] = &["Origin: https://chat.example.localhost"];
    let backend = Backend::uvicorn();
    let start = || Example::of("websocket-limits").with_backend(8000, backend.port()).run("chat.example.localhost");
    let chat = start();
    let open: Vec<_> = (0..5).map(|_| chat.upgrade("/ws", ORIGIN)).collect();
    assert!(open.iter().all(|(status, _)| *status == 101));
    assert_eq!(chat.upgrade("/ws", ORIGIN).0, 429, "a sixth at a time");
    assert_eq!(chat.upgrade("/ws", &["Origin: https://evil.example"]).0, 429, "and an evil one more");
    drop(open);

    let chat = start();
    assert_eq!(chat.upgrade("/ws", &["Origin: https://evil.example"]).0, 403);
    let (_, mut tunnel) = chat.upgrade("/ws", ORIGIN);
    // The header of a binary message of 100 KiB and a byte.
    tunnel.say(b"\x82\xff\0\0\0\0\0\x01\x90\x01\0\0\0\0");
    assert_eq!(&tunnel.exactly(4)[2..], 1009_u16.to_be_bytes(), "too large a message");
    let (_, mut tunnel) = chat.upgrade("/ws", ORIGIN);
    tunnel.say(&b"\x81\x82\0\0\0\0hi".repeat(300));
    let end = tunnel.rest(SOON).expect("too many messages end the tunnel");
    let codes: Vec<_> = end.windows(4).filter(|four| four[0] == 0x88).map(|four| &four[2..]).collect();
    assert!(codes.contains(&&1008_u16.to_be_bytes()[..]), "{codes:?}");
    for event in ["origin_refused", "message_limit"] {
        wait::until_true(event, SOON, || chat.gateway.output().contains(event));
    }
}

#[test]
fn several_services_have_a_name_each_and_one_is_closed() {
    let www = tempfile::tempdir().unwrap();
    fs::write(www.path().join("index.html"), "home").unwrap();
    let (first, second, node) = (Backend::uvicorn(), Backend::uvicorn(), Backend::node());
    let example = Example::of("several-services").with("/srv/www", www.path().display());
    let example = example.with_backend(8001, first.port()).with_backend(8002, second.port());
    // One of the two is not there.
    let example = example.with_backend(9001, ports::free()).with_backend(9002, node.port());
    let services = example.run("example.localhost");
    let ask = |name: &str, path: &str| {
        services.ask_url(&services.url("https", path).replace("//example", &format!("//{name}example")), &[])
    };
    assert_eq!(ask("", "/").body, "home");
    let www = ask("www.", "/a?b=c");
    assert_eq!((www.status, www.header("location")), (308, Some(&*services.url("https", "/a?b=c"))));
    assert_eq!(seen(&ask("api.", "/v1/users").body)["path"], "/users");
    assert_eq!(seen(&ask("api.", "/users").body)["path"], "/users");
    let shop = ask("shop.", "/basket");
    assert_eq!((shop.status, shop.header("retry-after")), (503, Some("3600")));
    for _ in 0..4 {
        let url = services.url("wss", "/").replace("//example", "//ws.example");
        peers::talk_by_node(&url, services.gateway.https, &services.root, "close");
    }
}

#[test]
fn behind_nginx_plain_http_is_taken_and_its_words_are_passed_on() {
    let backend = Backend::uvicorn();
    let port = ports::free();
    let example = Example::of("behind-nginx").with_backend(8000, backend.port()).with(":8080", format!(":{port}"));
    let mut gateway = crate::support::gateway::Gateway::prepare();
    gateway.configure("", example.text());
    gateway.launch();
    wait::until_listening("the gateway", ([127, 0, 0, 1], port).into(), SOON);
    let fields = ["X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https"].map(|field| ["--header", field]).concat();
    let url = format!("http://chat.example.localhost:{port}/echo");
    let told = seen(&peers::curl(&[&fields[..], &[&url]].concat()));
    assert_eq!(told["headers"]["x-forwarded-proto"], "https");
    assert_eq!(told["headers"]["x-real-ip"], "203.0.113.9");
}
