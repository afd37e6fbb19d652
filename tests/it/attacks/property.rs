//! What is forwarded is what was received: thousands of connections of requests, many of them broken by chance, and every
//! request that the backend hears is one that was sent, in the same order, with the same words.

use std::collections::HashMap;
use std::time::Duration;

use doorward::base::rng::Rng;

use crate::support::gateway::Gateway;
use crate::support::line::Line;
use crate::support::recorder::Recorder;
use crate::support::strict::{self, Heard, Rules};
use crate::support::wait;

const SOON: Duration = wait::LIMIT;
const CASES: u32 = 3_000;

/// Chance, with a seed that is always the same.
struct Chance(Rng);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.0.below(most as u64)).unwrap()
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// A request that is right; `name` is in its target.
fn sound(chance: &mut Chance, name: &str) -> Vec<u8> {
    let method = chance.of(&["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "ODD"]);
    let query = chance.of(&["", "?", "?a=b&c", "?x=%0d%0a", "?//../"]);
    let fields: String = (0..chance.below(4))
        .map(|number| {
            let name = chance.of(&["X-A", "x-a", "Accept", "Cookie", "X.B", "Via", "Range"]);
            let space = chance.of(&["", " ", "  ", "\t"]);
            let value = chance.of(&["", "v", "a, b", "\"q\\\"\"", "Content-Length: 5", "chunked", "\u{e9}", "a\tb"]);
            format!("{name}:{space}{value}{number}\r\n")
        })
        .collect();
    let body: Vec<u8> = (0..chance.below(40)).map(|_| chance.of(b"GET /\r\n0:\0\xff ")).collect();
    let mut request = format!("{method} /{name}{query} HTTP/1.1\r\nHost: localhost\r\n{fields}").into_bytes();
    match chance.below(3) {
        0 => request.extend_from_slice(b"\r\n"),
        1 => {
            request.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            request.extend_from_slice(&body);
        }
        _ => {
            request.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            for piece in body.chunks(1 + chance.below(20)) {
                let head = if chance.once_in(2) { format!("{:x}\r\n", piece.len()) } else { format!("0{:X}\r\n", piece.len()) };
                request.extend([head.as_bytes(), piece, b"\r\n"].concat());
            }
            request.extend_from_slice(b"0\r\n\r\n");
        }
    }
    request
}

/// Breaks something, where it may mean another frame.
fn broken(chance: &mut Chance, mut request: Vec<u8>) -> Vec<u8> {
    const PIECES: [&[u8]; 20] = [
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b"0",
        b"9",
        b"-",
        b"+",
        b"\x0b",
        b"\xff",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: x\r\n",
        b"Connection: close\r\n",
        b"\r\n\r\n",
    ];
    for _ in 0..=chance.below(2) {
        // Behind the target, so that it is still known whose request it is.
        let start = request.windows(5).position(|five| five == b" HTTP").unwrap_or(0);
        let at = start + chance.below(request.len() - start);
        match chance.below(3) {
            0 => {
                request.remove(at);
            }
            1 => drop(request.splice(at..at, chance.of(&PIECES).iter().copied())),
            _ => request[at] = chance.of(&PIECES)[0],
        }
    }
    request
}

/// What a server may make of these bytes, in turn.
fn readings(bytes: &[u8]) -> Vec<Heard> {
    let mut all = Vec::new();
    let mut rest = bytes;
    while let Ok((heard, count)) = strict::read(rest, Rules::Free) {
        all.push(heard);
        rest = &rest[count..];
        // Empty lines before a request are no part of it (RFC 9112 section 2.2).
        let start = rest.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
        rest = &rest[start..];
    }
    all
}

/// What must be the same on both sides: all that is not of the hop, nor the gateway's own to say.
fn essence(heard: &Heard) -> Heard {
    let mut heard = heard.clone();
    heard.fields.retain(|(name, _)| ["x-a", "accept", "cookie", "range"].contains(&name.as_str()));
    heard.fields.sort();
    heard
}

/// Speaks, and waits for an answer to each request, or for the end of the connection.
fn speak(port: u16, bytes: &[u8], expected: &[Heard]) {
    let mut line = Line::open_plain(port);
    line.say(bytes);
    for request in expected {
        let head = line.head().to_lowercase();
        if head.is_empty() {
            return;
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if request.method != "HEAD" {
            line.exactly(length.unwrap_or(0));
        }
    }
}

#[test]
fn what_is_forwarded_parses_to_what_was_received() {
    let recorder = Recorder::start();
    let mut gateway = Gateway::prepare();
    gateway.configure("", &format!("log access off\nhttp://localhost {{\n    proxy {}\n}}", recorder.port()));
    gateway.launch();
    wait::until_listening("the gateway", ([127, 0, 0, 1], gateway.http).into(), SOON);
    let mut chance = Chance(Rng::seeded(20_261_121));
    let mut sent = HashMap::new();
    for case in 0..CASES {
        let bytes: Vec<u8> = (0..1 + chance.below(3))
            .flat_map(|number| {
                let request = sound(&mut chance, &format!("case-{case}-{number}"));
                if chance.once_in(2) { broken(&mut chance, request) } else { request }
            })
            .collect();
        let expected = readings(&bytes);
        speak(gateway.http, &bytes, &expected);
        sent.insert(case, (bytes, expected));
    }
    let mut last = Line::open_plain(gateway.http);
    last.say(b"GET /last HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(last.head().starts_with("HTTP/1.1 200"));
    let tape = recorder.tape();
    assert_eq!(tape.wrong, Vec::<String>::new());
    let mut heard = 0;
    let mut place: HashMap<u32, usize> = HashMap::new();
    for request in &tape.heard {
        let Some(case) = request.target.strip_prefix("/case-").and_then(|rest| rest.split('-').next()?.parse().ok()) else {
            assert_eq!(request.target, "/last", "nobody asked for it");
            continue;
        };
        let (bytes, expected) = &sent[&case];
        // Some were refused, and do not stop those behind them.
        let from = place.entry(case).or_insert(0);
        let found = expected[*from..].iter().position(|expected| essence(expected) == essence(request));
        let Some(found) = found else {
            panic!("heard {request:?}\namong {}\nread as {expected:?} from number {from} on", bytes.escape_ascii());
        };
        *from += found + 1;
        heard += 1;
    }
    assert!(heard > CASES / 2, "only {heard} requests arrived");
    assert!(gateway.process().exit_status().is_none() && !gateway.output().contains("panicked"));
}
