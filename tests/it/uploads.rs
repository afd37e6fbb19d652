//! Answers that come before the request's body has ended (RFC 9112 section 9.6): they reach a client that sends first and
//! reads afterwards, over TLS and in the clear, whoever gives them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::line::Line;
use crate::support::recorder::Recorder;
use crate::support::{echo, wait};

const SOON: Duration = Duration::from_secs(30);
/// More than what the sockets between the two hold.
const LARGE: usize = 20_000_000;

struct Stage {
    gateway: Gateway,
    root: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let (backend, early, whole) = (echo::start(), early(), whole());
        let mut gateway = Gateway::prepare();
        gateway.configure(
            "",
            &format!(
                "localhost {{
    /closed/* {{
        respond 403 closed
    }}
    /limit/* {{
        limit body 1MiB
        proxy {whole}
    }}
    /early/* {{
        proxy {early}
    }}
    /whole/* {{
        proxy {whole}
    }}
    proxy {echo}
}}",
                echo = backend.address().port()
            ),
        );
        gateway.start();
        let root = gateway.local_root();
        gateway.until_served("localhost", &root, SOON);
        // It answers for as long as the test runs.
        std::mem::forget(backend);
        Self { gateway, root }
    }

    fn tls(&self) -> Line {
        Line::open("localhost", self.gateway.https, &self.root)
    }

    fn head(&self, path: &str, fields: &str) -> String {
        format!("POST {path} HTTP/1.1\r\nHost: localhost:{}\r\n{fields}\r\n", self.gateway.https)
    }
}

/// A backend that answers from the header, and reads on for a moment.
fn early() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                let mut piece = vec![0; 64 * 1024];
                let _ = stream.read(&mut piece);
                let _ = stream.write_all(b"HTTP/1.1 507 Full\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfull");
                let _ = stream.shutdown(Shutdown::Write);
                for _ in 0..20 {
                    if !matches!(stream.read(&mut piece), Ok(count) if count > 0) {
                        break;
                    }
                }
            });
        }
    });
    port
}

/// A backend that answers when ten bytes of a body are here, and says nothing before.
fn whole() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let (mut read, mut piece) = (Vec::new(), [0; 4096]);
            while !read.ends_with(b"0123456789") {
                match stream.read(&mut piece) {
                    Ok(count) if count > 0 => read.extend_from_slice(&piece[..count]),
                    _ => break,
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    port
}

fn check(mut line: Line, head: &str, body: &[u8], expected: &str) {
    line.say(&[head.as_bytes(), body].concat());
    let answer = line.answer();
    assert!(answer.starts_with(expected), "{head} was answered {answer:?}");
}

#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let stage = Stage::new();
    let body = vec![b'u'; LARGE];
    let length = format!("Content-Length: {LARGE}\r\n");
    for (path, expected) in [("/closed/x", "HTTP/1.1 403 "), ("/limit/x", "HTTP/1.1 413 "), ("/early/x", "HTTP/1.1 507 Full\r\n")]
    {
        for _ in 0..3 {
            check(stage.tls(), &stage.head(path, &length), &body, expected);
        }
    }
    let chunks: Vec<u8> = body.chunks(60_000).flat_map(|piece| [b"ea60\r\n", piece, b"\r\n"].concat()).collect();
    for (path, expected) in [("/closed/x", "HTTP/1.1 403 "), ("/limit/x", "HTTP/1.1 413 ")] {
        check(stage.tls(), &stage.head(path, "Transfer-Encoding: chunked\r\n"), &chunks, expected);
    }
    // In the clear everything is sent on to https.
    for _ in 0..3 {
        check(Line::open_plain(stage.gateway.http), &stage.head("/x", &length), &body, "HTTP/1.1 308 ");
    }
    // What cannot be read at all is followed by as much.
    check(stage.tls(), &stage.head("/\x01", &length), &body, "HTTP/1.1 400 ");
    let metrics = || stage.gateway.output();
    assert!(!metrics().contains("panicked"), "{}", metrics());
}

#[test]
fn the_rest_of_a_small_body_is_read_and_the_connection_goes_on() {
    let stage = Stage::new();
    let next = format!("GET /next HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", stage.gateway.https);
    for (fields, body) in [
        ("Content-Length: 100000\r\n", vec![b'u'; 100_000]),
        ("Transfer-Encoding: chunked\r\n", [&b"2710\r\n"[..], &[b'u'; 10_000], b"\r\n0\r\nX-Sum: 1\r\n\r\n"].concat()),
    ] {
        let mut line = stage.tls();
        line.say(stage.head("/closed/x", fields).as_bytes());
        let answer = line.answer();
        assert!(answer.starts_with("HTTP/1.1 403 ") && !answer.contains("connection: close"), "{answer}");
        line.say(&body);
        line.say(next.as_bytes());
        let answer = line.answer();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("GET /next"), "{answer}");
    }
    // What is left is longer than that: the answer says so.
    let mut line = stage.tls();
    line.say(stage.head("/closed/x", "Content-Length: 1000000\r\n").as_bytes());
    let answer = line.answer();
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("connection: close"), "{answer}");
    assert_eq!(line.rest(SOON), Some(Vec::new()));
}

#[test]
fn a_body_that_was_not_asked_for_ends_the_connection_and_no_100_follows_an_answer() {
    let stage = Stage::new();
    let mut line = stage.tls();
    line.say(stage.head("/closed/x", "Expect: 100-continue\r\nContent-Length: 10\r\n").as_bytes());
    let answer = line.answer();
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("connection: close"), "{answer}");
    line.say(b"0123456789GET /next HTTP/1.1\r\n\r\n");
    assert_eq!(line.rest(SOON), Some(Vec::new()));
    // Asked for, it is asked for once.
    let mut line = stage.tls();
    line.say(stage.head("/whole/x", "Expect: 100-continue\r\nContent-Length: 10\r\n").as_bytes());
    assert_eq!(line.head(), "HTTP/1.1 100 Continue\r\n\r\n");
    line.say(b"0123456789");
    assert!(line.answer().starts_with("HTTP/1.1 200 "));
}

/// RFC 9110 section 10.1.1: a client need not wait for 100, and a server that has begun to receive the body need not send it.
#[test]
fn a_body_that_is_sent_without_waiting_for_100_keeps_the_connection() {
    let stage = Stage::new();
    let next = format!("GET /next HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", stage.gateway.https);
    let chunks = "4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n";
    // `/x` is answered with what the backend was sent, `/closed/x` without reading.
    for (path, status) in [("/x", "HTTP/1.1 200 "), ("/closed/x", "HTTP/1.1 403 ")] {
        for (fields, body) in [("Content-Length: 10", "0123456789"), ("Transfer-Encoding: chunked", chunks)] {
            let head = stage.head(path, &format!("Expect: 100-continue\r\n{fields}\r\n"));
            for cut in [body.len(), 1] {
                let mut line = stage.tls();
                line.say(format!("{head}{}", &body[..cut]).as_bytes());
                line.say(&body.as_bytes()[cut..]);
                let answer = line.answer();
                assert!(answer.starts_with(status) && !answer.contains("connection: close"), "{head}{body}: {answer}");
                line.say(next.as_bytes());
                let answer = line.answer();
                assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("GET /next"), "{head}{body}: {answer}");
            }
        }
    }
}

/// The backend is not asked to send 100 to a client that does not wait for it, and a body that is there is not held back.
#[test]
fn an_expectation_that_is_met_goes_no_further() {
    let recorder = Recorder::start();
    let (gateway, root) = Gateway::on_localhost(&format!("localhost {{\n    proxy {}\n}}", recorder.port()));
    let ask = |fields: &str, body: &str| {
        let mut line = Line::open("localhost", gateway.https, &root);
        line.say(format!("POST /x HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: 2\r\n\r\n{body}").as_bytes());
        line.head()
    };
    recorder.tape().heard.clear();
    assert!(ask("Expect: 100-continue\r\n", "hi").starts_with("HTTP/1.1 200 "));
    assert_eq!(ask("Expect: 100-continue\r\n", ""), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(ask("Expect: 100-continue\r\nExpect: wonders\r\n", "hi").starts_with("HTTP/1.1 417 "));
    // In a write of its own the body may cross the 100.
    for (fields, body) in [("Content-Length: 2", "hi"), ("Transfer-Encoding: chunked", "2\r\nhi\r\n0\r\n\r\n")] {
        let mut line = Line::open("localhost", gateway.https, &root);
        let head = format!("POST /x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n{fields}\r\n\r\n");
        line.say(head.as_bytes());
        line.say(body.as_bytes());
        let mut answer = line.head();
        if answer == "HTTP/1.1 100 Continue\r\n\r\n" {
            answer = line.answer();
        }
        assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("connection: close"), "{answer}");
    }
    let tape = recorder.tape();
    let heard: Vec<_> = tape.heard.iter().map(|heard| (heard.all("expect").count(), &*heard.body)).collect();
    assert_eq!(heard[0], (0, &b"hi"[..]));
    assert!(heard.len() == 3 && tape.wrong.is_empty(), "{heard:?} {:?}", tape.wrong);
}

#[test]
fn a_refused_upgrade_with_a_body_reaches_its_client() {
    let stage = Stage::new();
    let fields = format!("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: {LARGE}\r\n");
    check(stage.tls(), &stage.head("/closed/x", &fields), &vec![b'u'; LARGE], "HTTP/1.1 403 ");
    // Without a key it is the client's mistake, whatever the backend would say.
    let asks =
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    for key in ["", "Sec-WebSocket-Key: short\r\n"] {
        let mut line = stage.tls();
        line.say(format!("{asks}{key}\r\n").as_bytes());
        let answer = line.answer();
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("Sec-WebSocket-Key"), "{answer}");
    }
}

#[test]
fn a_client_that_never_stops_sending_is_counted_and_cut_off() {
    let stage = Stage::new();
    let mut line = stage.tls();
    line.say(stage.head("/closed/x", "Content-Length: 9000000000\r\n").as_bytes());
    assert!(line.answer().starts_with("HTTP/1.1 403 "));
    // Its end is seen at once, and the request is over; the connection ends after a silence.
    assert_eq!(line.rest(SOON), Some(Vec::new()));
    wait::until_true("its record is written", SOON, || stage.gateway.output().contains("/closed/x"));
    wait::until_true("it is cut off", SOON, || !line.say_within(&[b'u'; 100_000], SOON));
}
