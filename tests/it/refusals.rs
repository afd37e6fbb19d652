//! Everything the gateway refuses, as a client sees it and as the operator reads it: the status, a short page with the
//! request's id, the reason in the access log, the limit's name where there is one, and not a byte for the backend.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::support::gateway::Gateway;
use crate::support::line::Line;
use crate::support::peers::curl;
use crate::support::{ports, wait};

const SOON: Duration = wait::LIMIT;

/// A gateway before a backend that is listened for and never answers.
struct World {
    gateway: Gateway,
    root: PathBuf,
    backend: TcpListener,
    _files: tempfile::TempDir,
}

/// The parts that a case refuses; `BACKEND` may be asked by nobody, `SILENT` is asked and says nothing, at `GONE` is nobody.
const SITES: &str = "\
timeouts body 1s
limit {
    header-size 8KiB
    header-count 20
    url-size 2KiB
}
upstream silent {
    to SILENT
    timeout first-byte 200ms
    max-fails off
}
upstream patient {
    to SILENT
    max-fails off
}
localhost {
    limit body 1KiB
    /app/* {
        proxy BACKEND
    }
    /limited/* {
        limit requests 1/h burst 0
        respond 200 once
    }
    /denied/* {
        deny 127.0.0.0/8
        proxy BACKEND
    }
    /ws/* {
        origin https://example.com
        proxy BACKEND
    }
    /locked/* {
        auth jwt {
            keys file keys.json
            algorithms HS256
        }
        proxy BACKEND
    }
    /files/* {
        files FILES
    }
    /closed/* {
        maintenance 2min
        proxy BACKEND
    }
    /gone/* {
        proxy GONE
    }
    /silent/* {
        proxy silent
    }
    /patient/* {
        proxy patient
    }
}";

impl World {
    fn start(silent: u16) -> Self {
        let backend = TcpListener::bind("127.0.0.1:0").unwrap();
        backend.set_nonblocking(true).unwrap();
        let files = tempfile::tempdir().unwrap();
        let mut gateway = Gateway::prepare();
        let text = SITES
            .replace("BACKEND", &backend.local_addr().unwrap().port().to_string())
            .replace("SILENT", &silent.to_string())
            .replace("GONE", &ports::free().to_string())
            .replace("FILES", &files.path().display().to_string());
        fs::write(
            gateway.config_file().with_file_name("keys.json"),
            r#"{"keys":[{"kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"}]}"#,
        )
        .unwrap();
        gateway.configure("", &text);
        gateway.start();
        let root = gateway.local_root();
        gateway.until_served("localhost", &root, SOON);
        Self { gateway, root, backend, _files: files }
    }

    fn host(&self) -> String {
        format!("Host: localhost:{}\r\n", self.gateway.https)
    }

    fn ask(&self, request: &str) -> String {
        let mut line = Line::open("localhost", self.gateway.https, &self.root);
        line.say(request.as_bytes());
        line.answer()
    }

    /// The record of the request with this id.
    fn record(&self, id: &str) -> Value {
        wait::until("its record is written", SOON, || {
            let output = self.gateway.output();
            let line = output.lines().find(|line| line.contains(id) && line.contains("\"duration")).ok_or("not yet")?;
            serde_json::from_str(line).map_err(|_| "half a line")
        })
    }
}

/// Asks, and looks at answer and record.
fn check(world: &World, request: &str, status: u16, reason: &str) -> String {
    let answer = world.ask(request);
    let shown: String = request.chars().take(80).collect();
    let (head, page) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{shown:?} was answered {answer:?}"));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?} was answered {answer}");
    assert!(page.starts_with(&format!("{status} ")) && page.len() < 300, "{shown:?} has the page {page:?}");
    let id = page.lines().find_map(|line| line.strip_prefix("Request ")).unwrap_or_else(|| panic!("{page:?} has no id"));
    let record = world.record(id);
    assert_eq!((record["status"].as_u64(), record["reason"].as_str()), (Some(status.into()), Some(reason)), "{record}");
    let head = head.to_lowercase();
    assert!(head.contains("\r\nserver: doorward\r\n"), "no version is told: {head}");
    head
}

#[test]
fn each_has_its_status_its_page_and_its_record_and_no_backend_hears_of_it() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let world = World::start(silent.local_addr().unwrap().port());
    let host = world.host();
    let get = |path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\n{host}{fields}\r\n");
    let post = |path: &str, length: u32| format!("POST {path} HTTP/1.1\r\n{host}Content-Length: {length}\r\n\r\n");
    let websocket = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
                     dGhlIHNhbXBsZSBub25jZQ==\r\n";

    for path in ["/app/../etc", "/app/%2e%2e/etc", "/app/%2e%2e%2fetc", "/app/a%00b", "/app/..;/x", "/app/%zz", "/app\\..\\x"] {
        check(&world, &get(path, ""), 400, "bad-path");
    }
    check(&world, "GET /app/ HTTP/1.1\r\n\r\n", 400, "bad-host-count");
    check(&world, &get("/app/", "Transfer-Encoding: chunked, chunked\r\n"), 400, "bad-framing");
    let asks = check(&world, &get("/locked/", ""), 401, "token-missing");
    assert!(asks.contains("www-authenticate: bearer"), "{asks}");
    check(&world, &get("/denied/", ""), 403, "denied-address");
    check(&world, &get("/ws/", &format!("{websocket}Origin: https://evil.example\r\n")), 403, "bad-origin");
    check(&world, &get("/nothing", ""), 404, "no-such-path");
    check(&world, &get("/files/nothing", ""), 404, "no-such-path");
    check(&world, &format!("TRACE /app/ HTTP/1.1\r\n{host}\r\n"), 405, "method-not-allowed");
    let told = check(&world, &post("/files/x", 0), 405, "method-not-allowed");
    assert!(told.contains("allow: get, head\r\n"), "{told}");
    check(&world, &post("/app/", 1025), 413, "body-too-large");
    check(&world, &get(&format!("/app/{}", "x".repeat(2_100)), ""), 414, "url-too-long");
    check(&world, &get("/app/", "Expect: wonders\r\n"), 417, "unknown-expectation");
    check(&world, "GET /app/ HTTP/1.1\r\nHost: strange.example\r\n\r\n", 421, "unknown-host");
    assert!(world.ask(&get("/limited/", "")).starts_with("HTTP/1.1 200"));
    let wait = check(&world, &get("/limited/", ""), 429, "too-many-requests");
    assert!(wait.contains("retry-after: 3600") || wait.contains("retry-after: 3599"), "{wait}");
    assert!(world.gateway.run("reload").status.success());
    check(&world, &get("/limited/", ""), 429, "too-many-requests");
    check(&world, &get("/app/", &"X: y\r\n".repeat(20)), 431, "too-many-headers");
    check(&world, &get("/app/", &format!("X: {}\r\n", "y".repeat(8_200))), 431, "header-too-long");
    let url = format!("https://localhost:{}/app/", world.gateway.https);
    let (root, long) = (world.root.to_string_lossy(), format!("X: {}", "y".repeat(8_200)));
    let over_http_2 =
        curl(&["--http2", "--cacert", &root, "--header", &long, "--write-out", "%{http_version} %{http_code}", &url]);
    assert!(over_http_2.contains("Request ") && over_http_2.ends_with("2 431"), "{over_http_2}");
    check(&world, &get("/gone/", ""), 502, "connect-refused");
    let wait = check(&world, &get("/closed/", ""), 503, "maintenance");
    assert!(wait.contains("retry-after: 120"), "{wait}");
    check(&world, &get("/silent/", ""), 504, "backend-timeout");

    let knocked = world.backend.accept().map(|_| ()).unwrap_err().kind();
    assert_eq!(knocked, std::io::ErrorKind::WouldBlock, "a refused request reached the backend");
    for limit in [
        "over `limit body` of 1024",
        "`url-size` is 2048",
        "`header-count` is 20",
        "`header-size` is 8192",
        "over `limit requests`",
    ] {
        world.gateway.until_logged(limit);
    }
}

#[test]
fn what_ends_later_has_its_status_too() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let world = World::start(silent.local_addr().unwrap().port());
    let host = world.host();
    // The body stops in its middle; nothing is held back from a backend, so that one was asked.
    check(&world, &format!("POST /patient/ HTTP/1.1\r\n{host}Content-Length: 9\r\n\r\nhalf"), 408, "client-stalled");

    // Nobody is told of 499 but the log.
    let mut line = Line::open("localhost", world.gateway.https, &world.root);
    line.say(format!("GET /patient/left HTTP/1.1\r\n{host}\r\n").as_bytes());
    let (mut asked, _) = wait::until("the backend is asked", SOON, || next(&silent, "/patient/left"));
    drop(line);
    wait::until_true("the log tells 499", SOON, || {
        world.gateway.output().lines().any(|line| line.contains("/patient/left") && line.contains("\"status\":499"))
    });
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut asked, &mut rest).unwrap();

    let plain = format!(
        "GET /app/?a=b HTTP/1.1\r\nHost: localhost:{}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        world.gateway.http
    );
    let mut line = Line::open_plain(world.gateway.http);
    line.say(plain.as_bytes());
    let answer = line.answer();
    let there = format!("wss://localhost:{}/app/?a=b", world.gateway.https);
    assert!(answer.starts_with("HTTP/1.1 426") && answer.contains(&there), "{answer}");

    assert!(world.gateway.run(&format!("drain {}", silent.local_addr().unwrap())).status.success());
    let none = check(&world, &format!("GET /patient/ HTTP/1.1\r\n{host}\r\n"), 503, "no-backend");
    assert!(none.contains("retry-after: 5"), "{none}");
}

/// Bytes of which no request can be made are refused by the same page, record and words as requests are.
#[test]
fn what_cannot_be_read_has_its_status_its_page_and_its_record_too() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let world = World::start(silent.local_addr().unwrap().port());
    let host = world.host();
    let get = |fields: &str| format!("GET /app/ HTTP/1.1\r\n{host}{fields}\r\n");
    let long = get(&format!("X: {}\r\n", "y".repeat(20_000)));
    for (request, status, reason, told) in [
        (long, 431, "header-too-long", "`header-size` is 8192"),
        (get(&"X: y\r\n".repeat(120)), 431, "too-many-headers", "`header-count` is 20"),
        (format!("GET /{} HTTP/1.1\r\n{host}\r\n", "x".repeat(70_000)), 414, "url-too-long", "`url-size` is 2048"),
        (get("A: b\r\n folded\r\n"), 400, "bad-field", "the name of a header field"),
        (get("A: b\0\r\n"), 400, "bad-field", "the value of a header field"),
        (get("Content-Length: 9223372036854775808\r\n"), 400, "bad-length", "2^63-1"),
        (format!("GET /a\x0bb HTTP/1.1\r\n{host}\r\n"), 400, "bad-character", "the byte 0x0b"),
        (format!("GET / HTTP/1.2\r\n{host}\r\n"), 400, "bad-version", "neither HTTP/1.1 nor HTTP/1.0"),
        ("\x16\x03\x01\r\n\r\n".to_owned(), 400, "bad-request-line", "the first line"),
    ] {
        let head = check(&world, &request, status, reason);
        assert!(head.contains("connection: close"), "{head}");
        wait::until_true(told, SOON, || world.gateway.output().contains(told));
    }
    let none = world.backend.accept().map(|_| ()).unwrap_err().kind();
    assert_eq!(none, std::io::ErrorKind::WouldBlock, "a refused request reached the backend");
}

/// The next connection to the backend that asks for `path`.
fn next(backend: &TcpListener, path: &str) -> Result<(std::net::TcpStream, String), String> {
    use std::io::Read;
    let (mut stream, _) = backend.accept().map_err(|error| error.to_string())?;
    let mut bytes = [0; 4096];
    let count = stream.read(&mut bytes).map_err(|error| error.to_string())?;
    let head = String::from_utf8_lossy(&bytes[..count]).into_owned();
    if head.contains(path) { Ok((stream, head)) } else { Err(format!("it was asked {head}")) }
}
