//! Requests over HTTP/2 and HTTP/3 that would be two, or another one, once written as HTTP/1.1 for a backend: refused by stream or by
//! connection (RFC 9113 section 8.2.1, RFC 9114 section 4.1.2), or written as what they are.

use super::smuggling::{SOON, Stage};
use crate::support::h2_frames::{DATA, END_HEADERS, END_STREAM, End, H2, HEADERS, block, frame, request};
use crate::support::h3::connect;
use crate::support::{h3_frames, server};

/// Fields that HTTP/1.1 would read as more, or as another's.
const FIELDS: [(&str, &str); 25] = [
    ("x", "y\r\nTransfer-Encoding: chunked"),
    ("x", "y\nz: 1"),
    ("x", "y\rz"),
    ("x", "y\0z"),
    ("x", "y\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost"),
    ("x: y\r\ntransfer-encoding", "chunked"),
    ("x\r\ny", "z"),
    ("x:y", "z"),
    ("x y", "z"),
    ("X", "y"),
    ("", "y"),
    ("x\0", "y"),
    ("transfer-encoding", "chunked"),
    ("transfer-encoding", "identity"),
    ("connection", "close"),
    ("connection", "upgrade"),
    ("keep-alive", "5"),
    ("proxy-connection", "close"),
    ("upgrade", "websocket"),
    ("te", "chunked"),
    (":x", "y"),
    (":status", "200"),
    (":path", "/other"),
    (":method", "POST"),
    ("host", "evil"),
];
const METHODS: [&str; 5] = ["", "GET ", "G\r\nT", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET", "G(T"];
const PATHS: [&str; 11] =
    ["", "x", "/ HTTP/1.1\r\nX: y", "/ x", "/\r\n", "/\0", "/a\tb", "*", "http://evil/", "/../x", "//evil/%2e%2e/"];
const AUTHORITIES: [&str; 7] =
    ["localhost\r\nX: y", "localhost evil", "evil@localhost", "localhost/evil", "", "localhost\0", "local,host"];
const SCHEMES: [&str; 3] = ["https://evil/x?", "ftp", "https\r\nX: y"];

/// `PROTOCOL_ERROR`.
const PROTOCOL: u8 = 1;

impl Stage {
    fn run(&self, client: impl Future<Output = ()>) {
        server::runtime().block_on(async { tokio::time::timeout(SOON, client).await.expect("done in time") });
    }

    fn h2(&self) -> H2 {
        H2::open("localhost", self.gateway.https, &self.root, &[])
    }

    /// Sends frames for stream 1 on a connection of their own; what became of it and what the backend heard.
    fn frames(&self, frames: &[Vec<u8>]) -> (End, Vec<String>) {
        let mut h2 = self.h2();
        h2.0.say(&frames.concat());
        let end = h2.end_of(1);
        let mut tape = self.recorder.tape();
        assert_eq!(tape.wrong, Vec::<String>::new());
        let heard = tape.heard.drain(..);
        let heard = heard.map(|heard| format!("{} {} {}", heard.method, heard.target, String::from_utf8_lossy(&heard.body)));
        (end, heard.collect())
    }

    fn refused(&self, what: &str, frames: &[Vec<u8>]) {
        let (end, heard) = self.frames(frames);
        let fits = matches!(end, End::Reset(PROTOCOL) | End::Closed(PROTOCOL) | End::Answered(400));
        assert!(fits && heard.is_empty(), "{what}: {end:?} {heard:?}");
    }
}

fn whole(block: &[u8]) -> Vec<Vec<u8>> {
    vec![frame(HEADERS, END_STREAM | END_HEADERS, 1, block)]
}

fn post(more: &[(&str, &str)], body: &str) -> Vec<Vec<u8>> {
    vec![frame(HEADERS, END_HEADERS, 1, &request("POST", "/", more)), frame(DATA, END_STREAM, 1, body.as_bytes())]
}

#[test]
fn header_fields_that_http1_would_read_as_more_are_refused() {
    let stage = Stage::new();
    for (name, value) in FIELDS {
        stage.refused(&format!("{name:?}: {value:?}"), &whole(&request("GET", "/", &[(name, value)])));
    }
}

#[test]
fn pseudo_fields_that_http1_would_read_as_more_are_refused() {
    let stage = Stage::new();
    let with = |method: &str, scheme: &str, authority: &str, path: &str| {
        whole(&block(&[(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]))
    };
    for method in METHODS {
        stage.refused(&format!("{method:?}"), &with(method, "https", "localhost", "/"));
    }
    for path in PATHS {
        stage.refused(&format!("{path:?}"), &with("GET", "https", "localhost", path));
    }
    for authority in AUTHORITIES {
        stage.refused(&format!("{authority:?}"), &with("GET", "https", authority, "/"));
    }
    for scheme in SCHEMES {
        stage.refused(&format!("{scheme:?}"), &with("GET", scheme, "localhost", "/"));
    }
    stage.refused("no method", &whole(&block(&[(":scheme", "https"), (":authority", "localhost"), (":path", "/")])));
    stage.refused("no path", &whole(&block(&[(":method", "GET"), (":scheme", "https"), (":authority", "localhost")])));
    let late = [("x", "y"), (":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/")];
    stage.refused("a late pseudo-field", &whole(&block(&late)));
}

#[test]
fn over_http3_the_same_is_refused() {
    let stage = Stage::new();
    let usual = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/")];
    let with = |name: &'static str, value: &'static str| usual.map(|(n, v)| (n, if n == name { value } else { v })).to_vec();
    let mut cases: Vec<Vec<(&str, &str)>> = FIELDS.iter().map(|field| [&usual[..], &[*field]].concat()).collect();
    for (name, values) in [(":method", &METHODS[..]), (":path", &PATHS), (":authority", &AUTHORITIES), (":scheme", &SCHEMES)] {
        cases.extend(values.iter().map(|value| with(name, value)));
    }
    cases.extend([0, 1, 3].map(|at| usual.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, field)| *field).collect()));
    cases.push([&[("x", "y")][..], &usual].concat());
    stage.run(async {
        let (_endpoint, quic) = connect("localhost", stage.gateway.https, &stage.root).await;
        for fields in cases {
            let bytes = h3_frames::frame(h3_frames::HEADERS, &h3_frames::section(&fields));
            let (_send, mut receive) = h3_frames::say(&quic, &bytes, true).await;
            let end = h3_frames::end(&mut receive).await;
            // H3_MESSAGE_ERROR, or an answer of the gateway's own.
            assert!(matches!(end, h3_frames::End::Reset(0x10e) | h3_frames::End::Answered), "{fields:?}: {end:?}");
            assert!(stage.recorder.tape().heard.is_empty(), "{fields:?}");
        }
        let (_send, mut receive) = h3_frames::say(&quic, &h3_frames::head("GET", &[]), true).await;
        assert_eq!(h3_frames::end(&mut receive).await, h3_frames::End::Answered);
    });
    let tape = stage.recorder.tape();
    assert_eq!((tape.heard.len(), &tape.wrong), (1, &Vec::new()), "the connection serves on, what came before does not matter");
}

#[test]
fn a_body_is_as_long_as_it_is() {
    let stage = Stage::new();
    const NEXT: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stage.refused("too short a length", &post(&[("content-length", "4")], NEXT));
    stage.refused("two lengths", &post(&[("content-length", "43"), ("content-length", "0")], NEXT));
    stage.refused("an odd length", &post(&[("content-length", "+43")], NEXT));
    stage.refused("a list of lengths", &post(&[("content-length", "43, 43")], NEXT));
    stage.refused("a length without a body", &whole(&request("POST", "/", &[("content-length", "5")])));
    // The backend hears a beginning, and never an end.
    stage.refused("too long a length", &post(&[("content-length", "100")], NEXT));
    for fields in [&[][..], &[("content-length", "43")]] {
        assert_eq!(NEXT.len(), 43);
        let (end, heard) = stage.frames(&post(fields, NEXT));
        assert_eq!((end, heard), (End::Answered(200), vec![format!("POST / {NEXT}")]), "{fields:?}");
    }
    let mut trailers = post(&[], "hi");
    trailers[1] = frame(DATA, 0, 1, b"hi");
    trailers.push(frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&[("content-length", "9"), ("x", "y")])));
    assert_eq!(stage.frames(&trailers), (End::Answered(200), vec!["POST / hi".to_owned()]));
    // A pseudo-header field in trailers is malformed (RFC 9113 section 8.1): the backend gets no end of the body.
    trailers[2] = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&[(":path", "/other"), (":method", "GET")]));
    assert_eq!(stage.frames(&trailers), (End::Reset(PROTOCOL), Vec::new()));
}

/// A request that says it has no body is whole with its header, and may be on its way when the body comes that it has not.
#[test]
fn a_body_behind_a_length_of_none_goes_nowhere() {
    let stage = Stage::new();
    let (end, heard) = stage.frames(&post(&[("content-length", "0")], "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert!(matches!(end, End::Reset(PROTOCOL) | End::Closed(PROTOCOL) | End::Answered(200 | 400)), "{end:?}");
    assert!(heard.iter().all(|heard| heard == "POST / "), "{heard:?}");
    assert_eq!(stage.h2().ask(1, "/behind"), End::Answered(200));
    assert!(stage.recorder.tape().heard.iter().all(|heard| heard.body.is_empty() && heard.target != "/smuggled"));
}

#[test]
fn connect_opens_nothing_but_websockets() {
    let stage = Stage::new();
    let connect = |more: &[(&str, &str)]| {
        let (end, heard) = stage.frames(&whole(&block(&[&[(":method", "CONNECT"), (":authority", "localhost")], more].concat())));
        assert_eq!(heard, Vec::<String>::new());
        end
    };
    assert_eq!(connect(&[]), End::Answered(405));
    let path = [(":scheme", "https"), (":path", "/")];
    assert_eq!(connect(&[&path[..], &[(":protocol", "h2c")]].concat()), End::Answered(501));
    let refused = connect(&[&path[..], &[(":protocol", "websocket\r\nX: y")]].concat());
    assert!(matches!(refused, End::Reset(PROTOCOL) | End::Closed(PROTOCOL) | End::Answered(400 | 501)), "{refused:?}");
}
