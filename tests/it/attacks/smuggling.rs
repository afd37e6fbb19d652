//! Requests that two servers would read differently (RFC 9112 section 11.2): each is refused, or reaches the backend in one
//! framing. The backend reads strictly, and remembers.

use std::path::PathBuf;
use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::line::Line;
use crate::support::recorder::Recorder;

pub(super) const SOON: Duration = crate::support::wait::LIMIT;

/// A gateway on localhost before a backend that keeps what it hears.
pub(super) struct Stage {
    pub(super) gateway: Gateway,
    pub(super) root: PathBuf,
    pub(super) recorder: Recorder,
}

impl Stage {
    pub(super) fn new() -> Self {
        let recorder = Recorder::start();
        let mut gateway = Gateway::prepare();
        gateway.configure("", &format!("localhost {{\n    proxy {}\n}}", recorder.port()));
        gateway.start();
        let root = gateway.local_root();
        gateway.until_served("localhost", &root, SOON);
        recorder.tape().heard.clear();
        Self { gateway, root, recorder }
    }

    pub(super) fn line(&self, alpn: &[&[u8]]) -> Line {
        Line::open_for("localhost", self.gateway.https, &self.root, alpn)
    }

    /// Sends bytes, and gives the statuses of the answers and what the backend heard, as `METHOD target body`.
    fn send(&self, bytes: &[u8]) -> (Vec<u16>, Vec<String>) {
        let mut line = self.line(&[b"http/1.1"]);
        line.say(bytes);
        let answer = line.rest(SOON).unwrap_or_else(|| panic!("no end behind {}", shown(bytes)));
        let answer = String::from_utf8_lossy(&answer).replace("HTTP/1.0 ", "HTTP/1.1 ");
        let statuses = answer.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)?.parse().ok()).collect();
        let mut tape = self.recorder.tape();
        assert_eq!(tape.wrong, Vec::<String>::new(), "behind {}", shown(bytes));
        let heard = tape.heard.drain(..);
        let heard = heard.map(|heard| format!("{} {} {}", heard.method, heard.target, String::from_utf8_lossy(&heard.body)));
        (statuses, heard.collect())
    }

    /// `fields` of a POST to `/`, its body, the statuses, and what the backend hears.
    fn check(&self, fields: &str, body: &str, statuses: &[u16], heard: &[&str]) {
        self.check_all(&format!("POST / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}"), statuses, heard);
    }

    fn check_all(&self, request: &str, statuses: &[u16], heard: &[&str]) {
        let seen = self.send(request.as_bytes());
        let heard = heard.iter().map(ToString::to_string).collect();
        assert_eq!(seen, (statuses.to_vec(), heard), "for {}", shown(request.as_bytes()));
    }
}

fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(300)].escape_ascii().to_string()
}

/// Behind every body: a whole request, if it is taken for one.
const NEXT: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const CLOSE: &str = "Connection: close\r\n";

#[test]
fn a_length_and_chunks_together_are_one_framing_and_the_end_of_the_connection() {
    let stage = Stage::new();
    for fields in ["Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n"] {
        stage.check(fields, &format!("0\r\n\r\n{NEXT}"), &[200], &["POST / "]);
        stage.check(fields, &format!("3\r\nabc\r\n0\r\n\r\n{NEXT}"), &[200], &["POST / abc"]);
    }
}

#[test]
fn a_transfer_coding_in_disguise_is_refused() {
    let stage = Stage::new();
    for coding in [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding\r\n : chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding: \0chunked",
        "Transfer-Encoding: chunked\0",
        "Transfer-Encoding: chunk\x08ed",
        "Transfer-Encoding:",
        "Transfer-Encoding: gzip",
    ] {
        stage.check(&format!("{coding}\r\nContent-Length: 5\r\n"), &format!("0\r\n\r\n{NEXT}"), &[400], &[]);
        stage.check(&format!("Content-Length: 5\r\n{coding}\r\n"), &format!("0\r\n\r\n{NEXT}"), &[400], &[]);
        stage.check(&format!("{coding}\r\n"), &format!("0\r\n\r\n{NEXT}"), &[400], &[]);
    }
    // Spaces around it are allowed (RFC 9110 section 5.5), and are gone behind us; so is a name that only looks like it.
    for coding in ["Transfer-Encoding:\tchunked", "Transfer-Encoding:   ChUnKeD  "] {
        stage.check(&format!("{coding}\r\n{CLOSE}"), "2\r\nhi\r\n0\r\n\r\n", &[200], &["POST / hi"]);
    }
    stage.check(&format!("Transfer_Encoding: chunked\r\nContent-Length: 2\r\n{CLOSE}"), "hi", &[200], &["POST / hi"]);
}

#[test]
fn a_length_that_is_no_plain_number_is_refused() {
    let stage = Stage::new();
    for length in [
        "+5",
        "-5",
        "-0",
        "5a",
        "0x5",
        "5;",
        "5.0",
        "5e0",
        "1_0",
        "5 5",
        "5, 5",
        "5,5",
        "5, 6",
        "",
        "\"5\"",
        "\x0b5",
        "5\0",
        "99999999999999999999",
        "18446744073709551616",
        "18446744073709551615",
        "9223372036854775808",
        "05",
        "00",
        "0000000005",
    ] {
        stage.check(&format!("Content-Length: {length}\r\n"), &format!("hello{NEXT}"), &[400], &[]);
    }
    for fields in ["Content-Length: 5\r\nContent-Length: 0\r\n", "Content-Length : 5\r\n"] {
        stage.check(fields, &format!("hello{NEXT}"), &[400], &[]);
    }
    // The same length twice is that length (RFC 9112 section 6.3), and the backend hears it once.
    let twice = "Content-Length: 5\r\nContent-Length: 5\r\n";
    stage.check(twice, &format!("hello{NEXT}"), &[200, 200], &["POST / hello", "GET /smuggled "]);
    // Where there is no body the next request begins at once.
    stage.check("Content-Length: 0\r\n", NEXT, &[200, 200], &["POST / ", "GET /smuggled "]);
    stage.check("", NEXT, &[200, 200], &["POST / ", "GET /smuggled "]);
    stage.check("Content-Length:  5 \r\n", &format!("hello{NEXT}"), &[200, 200], &["POST / hello", "GET /smuggled "]);
}

#[test]
fn chunks_that_two_would_read_differently_are_refused_and_extensions_go_no_further() {
    let stage = Stage::new();
    let coding = format!("Transfer-Encoding: chunked\r\n{CLOSE}");
    for body in [
        "g\r\n",
        "-1\r\nx\r\n",
        "+1\r\nx\r\n",
        "0x1\r\nx\r\n",
        "\r\n",
        ";x\r\n",
        "1\rx\r\n",
        "1\nx\r\n0\r\n\r\n",
        "1\r\nxy\r\n0\r\n\r\n",
        "1\r\nx\n0\r\n\r\n",
        "10000000000000000\r\nx\r\n",
        "FFFFFFFFFFFFFFFFF\r\nx\r\n",
        "1;a\nb\r\nx\r\n0\r\n\r\n",
        "1;a\rb\r\nx\r\n0\r\n\r\n",
        "1 1\r\nx\r\n0\r\n\r\n",
        "1\r\r\nx\r\n0\r\n\r\n",
        "1\0\r\nx\r\n0\r\n\r\n",
    ] {
        // A backend may have heard the beginning; what it never hears is an end.
        stage.check(&coding, &format!("{body}{NEXT}"), &[400], &[]);
    }
    stage.check(&coding, "1;a=\"b;c\"\r\nx\r\n00003\r\nabc\r\n0;z\r\n\r\n", &[200], &["POST / xabc"]);
    stage.check(&coding, "1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n", &[200], &["POST / x"]);
    // A bare line feed ends a trailer for some and not for others.
    stage.check(&coding, &format!("0\r\nA: b\n\r\n{NEXT}"), &[400], &[]);
    for trailer in ["Content-Length: 9", "Transfer-Encoding: chunked", "Host: evil"] {
        // A frame in a trailer is the sender's nonsense; it must not be the backend's.
        stage.check(&coding, &format!("1\r\nx\r\n0\r\n{trailer}\r\n\r\n"), &[200], &["POST / x"]);
    }
    stage.check(&coding, &format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(40_000)), &[400], &[]);
    stage.check(&coding, &format!("1\r\nx\r\n0\r\n{}\r\n", "A: b\r\n".repeat(4_000)), &[400], &[]);
}

#[test]
fn lines_and_names_have_one_form() {
    let stage = Stage::new();
    for request in [
        "GET /\r\n\r\n",
        "GET / HTTP/0.9\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/01.1\r\nHost: localhost\r\n\r\n",
        "GET / http/1.1\r\nHost: localhost\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /\x0b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX\0: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\n: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: y\r\r\n\r\n",
        // Chunks are of HTTP/1.1.
        "POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        // Hosts in disguise.
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost, evil\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost evil\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost/evil\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: evil@localhost\r\n\r\n",
        "GET http://localhost/ HTTP/1.1\r\nHost: evil\r\n\r\n",
        "GET http://evil/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET http://evil@localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET @localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET //evil/../ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        stage.check_all(&format!("{request}{NEXT}"), &[400], &[]);
    }
    stage.check_all(&format!("\r\n\r\n{NEXT}"), &[200], &["GET /smuggled "]);
    // A bare line feed ends a line as well (section 2.2); behind us it is a whole end.
    for request in ["GET /a HTTP/1.1\nHost: localhost\n\n", "GET /a HTTP/1.1\r\nHost: localhost\nX: y\r\n\n"] {
        stage.check_all(&format!("{request}{NEXT}"), &[200, 200], &["GET /a ", "GET /smuggled "]);
    }
    stage.check_all(
        &format!("POST /a HTTP/1.1\r\nHost: localhost\r\nX: y\nContent-Length: 5\r\n\r\nhello{NEXT}"),
        &[200, 200],
        &["POST /a hello", "GET /smuggled "],
    );
    stage.check_all("GET /a HTTP/1.1\r\nHost: localhost\r\n\nX: y\r\n\r\n", &[200, 400], &["GET /a "]);
    let absolute = format!("GET https://localhost/a?b HTTP/1.1\r\nHost: localhost\r\n{CLOSE}\r\n");
    stage.check_all(&absolute, &[200], &["GET /a?b "]);
}

#[test]
fn a_body_where_few_have_one_is_passed_on_as_one() {
    let stage = Stage::new();
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "WHATEVER"] {
        for (fields, body) in
            [("Content-Length: 62", NEXT), ("Transfer-Encoding: chunked", &*format!("{:x}\r\n{NEXT}\r\n0\r\n\r\n", NEXT.len()))]
        {
            assert_eq!(NEXT.len(), 62);
            let request = format!("{method} /a HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{CLOSE}\r\n{body}");
            stage.check_all(&request, &[200], &[&format!("{method} /a {NEXT}")]);
        }
    }
}

#[test]
fn what_connection_lists_takes_away_neither_frame_nor_facts() {
    let stage = Stage::new();
    let listed = "Connection: close, Content-Length, Transfer-Encoding, Host, X-Forwarded-For, X-Real-IP, Forwarded, Via\r\n";
    let mut line = stage.line(&[b"http/1.1"]);
    line.say(
        format!("POST / HTTP/1.1\r\nHost: localhost\r\n{listed}Content-Length: 2\r\nX-Forwarded-For: 1.2.3.4\r\n\r\nhi")
            .as_bytes(),
    );
    line.rest(SOON).expect("it ends");
    let tape = stage.recorder.tape();
    let heard = tape.heard.first().expect("it arrives");
    assert_eq!(heard.body, b"hi");
    for (name, value) in
        [("x-forwarded-for", "127.0.0.1"), ("x-real-ip", "127.0.0.1"), ("host", "localhost"), ("content-length", "2")]
    {
        assert_eq!(heard.all(name).collect::<Vec<_>>(), [value.as_bytes()], "{name}");
    }
    assert_eq!((heard.all("via").count(), heard.all("connection").count()), (1, 0));
}

#[test]
fn an_expectation_is_understood_or_refused() {
    let stage = Stage::new();
    for expect in ["100-continue, x", "y 100-continue", "200-ok", "100-continue\r\nExpect: x"] {
        let fields = format!("Expect: {expect}\r\nContent-Length: {}\r\n{CLOSE}", NEXT.len());
        let (statuses, heard) = stage.send(format!("POST / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{NEXT}").as_bytes());
        assert_eq!((statuses.as_slice(), heard.len()), (&[417][..], 0), "{expect}");
    }
    for method in ["POST", "GET"] {
        let fields = format!("Expect: 100-continue\r\nContent-Length: {}\r\n{CLOSE}", NEXT.len());
        let (statuses, heard) = stage.send(format!("{method} / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{NEXT}").as_bytes());
        assert_eq!((statuses.last(), heard), (Some(&200), vec![format!("{method} / {NEXT}")]));
    }
}

#[test]
fn an_upgrade_that_is_not_granted_opens_no_tunnel() {
    let stage = Stage::new();
    let ask = |path: &str, fields: &str| {
        let fixed = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fixed}{fields}\r\n{NEXT}")
    };
    let websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    // What the backend says must be an agreement, and to this key.
    stage.check_all(&ask("/switches-to-nothing", websocket), &[502, 200], &["GET /switches-to-nothing ", "GET /smuggled "]);
    stage.check_all(
        &ask("/switches-with-a-wrong-key", websocket),
        &[502, 200],
        &["GET /switches-with-a-wrong-key ", "GET /smuggled "],
    );
    // A switch nobody asked for.
    stage.check_all(&ask("/switches-with-a-wrong-key", ""), &[502, 200], &["GET /switches-with-a-wrong-key ", "GET /smuggled "]);
    // Behind an answer that is no switch comes a request like any other.
    stage.check_all(&ask("/ignores", websocket), &[200, 200], &["GET /ignores ", "GET /smuggled "]);
    stage.check_all(&ask("/refuses", websocket), &[426, 200], &["GET /refuses ", "GET /smuggled "]);
    stage.check_all(&ask("/../admin", websocket), &[400], &[]);
    // HTTP/2 in the clear would carry requests past every rule.
    let cleartext = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    let mut line = stage.line(&[b"http/1.1"]);
    line.say(ask("/", cleartext).as_bytes());
    line.rest(SOON).expect("it ends");
    let tape = stage.recorder.tape();
    let bare = |name: &'static str| tape.heard.iter().all(|heard| heard.all(name).count() == 0);
    assert!(tape.heard.len() == 2 && bare("upgrade") && bare("http2-settings") && bare("connection"), "{:?}", tape.heard);
}
