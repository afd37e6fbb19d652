//! Attacks by those who take their time, and by those who only say hello.

use std::time::Duration;

use tokio::time::Instant;

use super::Target;
use super::support::line::Line;

/// Connections held at a time by each attacker.
const HELD: usize = 50;

/// Half a header on each.
pub fn headers(target: &Target) -> String {
    hold(target, secure, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
}

/// A body that stops.
pub fn bodies(target: &Target) -> String {
    hold(target, secure, b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nslow")
}

/// Nothing at all.
pub fn idle_tcp(target: &Target) -> String {
    hold(target, |target| Some(Line::open_plain(target.https)), b"")
}

/// The beginning of a hello of TLS.
pub fn idle_tls(target: &Target) -> String {
    hold(target, |target| Some(Line::open_plain(target.https)), &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3])
}

/// Handshakes, and no word behind them.
pub fn handshakes(target: &Target) -> String {
    match secure(target) {
        Some(_) => "a handshake of its own".to_owned(),
        None => "not let in".to_owned(),
    }
}

fn secure(target: &Target) -> Option<Line> {
    Line::try_open("localhost", target.https, &target.root, &[b"http/1.1"]).ok()
}

/// Opens many, says the same on each, and waits for the end of the first.
fn hold(target: &Target, open: impl Fn(&Target) -> Option<Line>, words: &[u8]) -> String {
    let mut lines = Vec::new();
    while lines.len() < HELD && Instant::now() < target.end {
        let Some(mut line) = open(target) else { return "not let in".to_owned() };
        line.say_within(words, Duration::from_secs(1));
        lines.push(line);
    }
    let Some(line) = lines.first_mut() else { return "at the end".to_owned() };
    match line.rest(target.end.saturating_duration_since(Instant::now())) {
        Some(said) if said.is_empty() => format!("a closed connection, of {HELD}"),
        Some(said) => String::from_utf8_lossy(&said[..said.len().min(12)]).into_owned(),
        None => "at the end".to_owned(),
    }
}
