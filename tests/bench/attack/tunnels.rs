//! Attacks through a WebSocket whose messages are limited.

use std::time::Duration;

use tokio::time::Instant;

use super::Target;
use super::support::line::Line;

/// Frames said together.
const TOGETHER: usize = 100;

/// Masked with zeros, and empty.
pub fn pings(target: &Target) -> String {
    flood(target, &[], &[0x89, 0x80, 0, 0, 0, 0])
}

/// Of a message that never ends.
pub fn fragments(target: &Target) -> String {
    flood(target, &[0x01, 0x80, 0, 0, 0, 0], &[0, 0x80, 0, 0, 0, 0])
}

fn flood(target: &Target, begin: &[u8], piece: &[u8]) -> String {
    let opened = Line::try_open("localhost", target.https, &target.root, &[b"http/1.1"]);
    let Ok(mut line) = opened else { return "not let in".to_owned() };
    line.say(
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let head = line.head();
    if !head.starts_with("HTTP/1.1 101") {
        return head.lines().next().unwrap_or("a closed connection").to_owned();
    }
    line.say(begin);
    let together = piece.repeat(TOGETHER);
    while Instant::now() < target.end {
        if !line.say_within(&together, Duration::from_secs(1)) {
            break;
        }
    }
    let said = line.rest(Duration::from_secs(1)).unwrap_or_default();
    // A close frame of the gateway's: its code stands behind two bytes.
    let close = said.windows(4).find(|four| four[0] == 0x88 && four[1] < 126);
    close.map_or_else(|| "a closed connection".to_owned(), |four| format!("close {}", u16::from_be_bytes([four[2], four[3]])))
}
