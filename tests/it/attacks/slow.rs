//! Those who take their time: each is cut off once it makes no progress for as long as the limit of its kind.

use super::siege::{SOON, Siege};
use crate::support::h2_frames::{END_HEADERS, END_STREAM, HEADERS, frame, request};
use crate::support::line::Line;

#[test]
fn half_headers_are_cut_off_and_others_served_meanwhile() {
    let siege = Siege::lay();
    let mut lines: Vec<Line> = (0..200).map(|_| siege.line()).collect();
    for line in &mut lines {
        line.say(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
    }
    siege.others_are_served();
    for (number, line) in lines.iter_mut().enumerate() {
        let said = line.rest(SOON).unwrap_or_else(|| panic!("line {number} is still open"));
        assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 408"), "{}", said.escape_ascii());
    }
    siege.lift();
}

#[test]
fn handshakes_that_do_not_begin_or_do_not_end_are_cut_off() {
    let siege = Siege::lay();
    // The first bytes of a hello that says it is 512 bytes long, and nothing at all.
    let mut lines: Vec<Line> = (0..300).map(|_| Line::open_plain(siege.gateway.https)).collect();
    for line in lines.iter_mut().step_by(2) {
        line.say(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]);
    }
    siege.others_are_served();
    for (number, line) in lines.iter_mut().enumerate() {
        assert!(line.rest(SOON).is_some(), "handshake {number} is still open");
    }
    siege.lift();
}

#[test]
fn bodies_that_stop_are_answered_408() {
    let siege = Siege::lay();
    let mut lines: Vec<Line> = (0..50).map(|_| siege.line()).collect();
    for line in &mut lines {
        line.say(b"POST /big/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nslow");
    }
    siege.others_are_served();
    for line in &mut lines {
        // The echo has begun its answer by then, or not: it breaks off, or it is a refusal.
        let said = line.rest(SOON).expect("a body that stops ends its connection");
        assert!(
            said.is_empty() || said.starts_with(b"HTTP/1.1 408") || said.starts_with(b"HTTP/1.1 200"),
            "{}",
            said.escape_ascii()
        );
    }
    siege.lift();
}

#[test]
fn answers_that_nobody_takes_are_cut_off() {
    let siege = Siege::lay();
    let mut lines: Vec<Line> = (0..5).map(|_| siege.line()).collect();
    for line in &mut lines {
        line.say(b"GET /big/bytes/200000000 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    siege.until_connections_are_few();
    for line in &mut lines {
        let said = line.rest(SOON).expect("it was closed");
        assert!(said.len() < 200_000_000, "the whole answer was sent: {} bytes", said.len());
    }
    siege.lift();
}

#[test]
fn http2_windows_that_stay_shut_are_cut_off() {
    let siege = Siege::lay();
    // No window for streams, and none beyond its first 64 KiB for the connection.
    for (settings, path) in [(&[(4, 0)][..], "/"), (&[(4, 0)], "/big/bytes/5000000"), (&[], "/big/bytes/5000000")] {
        let mut h2 = siege.h2(settings);
        for stream in (1..40).step_by(2) {
            h2.0.say(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &request("GET", path, &[])));
        }
        siege.others_are_served();
        assert!(h2.is_closed_within(SOON), "{settings:?} {path}");
    }
    siege.lift();
}
