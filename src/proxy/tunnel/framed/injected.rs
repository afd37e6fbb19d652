//! Control frames of our own: made, and known again. Pure.

use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, OpCode};

/// What our pings carry in front of their tunnel's number, so that their pongs are prebuilt from others, also from those of
/// another gateway on the way.
const MARK: &[u8; 8] = b"doorward";

/// A ping with its tunnel's number. `mask` is for a frame towards a backend, which takes masked ones only; a client takes
/// only unmasked ones (RFC 6455 section 5.1). The payload is no secret, so any mask is as good as another.
pub fn ping(number: u32, mask: Option<u32>) -> Vec<u8> {
    frame(Control::Ping, &payload(number), mask)
}

/// Whether a pong's payload answers a ping with this number.
pub fn answers(payload_seen: &[u8], number: u32) -> bool {
    payload_seen == payload(number)
}

/// A close frame; `why` is for people who look at the wire.
pub fn close(code: u16, why: &str, mask: Option<u32>) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(why.as_bytes());
    payload.truncate(125);
    frame(Control::Close, &payload, mask)
}

/// The code of a close frame's payload; `None` when it has none (RFC 6455 section 7.1.5).
pub fn close_code(payload: &[u8]) -> Option<u16> {
    payload.first_chunk().map(|code| u16::from_be_bytes(*code))
}

fn payload(number: u32) -> [u8; 12] {
    let mut payload = [0; 12];
    payload[..8].copy_from_slice(MARK);
    payload[8..].copy_from_slice(&number.to_be_bytes());
    payload
}

fn frame(kind: Control, payload: &[u8], mask: Option<u32>) -> Vec<u8> {
    let mask = mask.map(u32::to_be_bytes);
    let header = FrameHeader { opcode: OpCode::Control(kind), mask, ..FrameHeader::default() };
    let mut frame = Vec::with_capacity(6 + payload.len());
    header.format(payload.len() as u64, &mut frame).expect("memory takes what is written to it");
    let mask = mask.unwrap_or_default();
    frame.extend(payload.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]));
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_masked_towards_a_backend_only() {
        assert_eq!(close(1009, "", None), [0x88, 2, 0x03, 0xf1]);
        assert_eq!(close(1009, "", Some(0x0102_0304)), [0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xf1 ^ 2]);
        assert_eq!(ping(7, None)[..2], [0x89, 12]);
    }

    #[test]
    fn our_pongs_are_known_by_their_number() {
        let pong = ping(7, None);
        assert!(answers(&pong[2..], 7));
        assert!(!answers(&pong[2..], 8));
        assert!(!answers(b"", 7));
    }

    #[test]
    fn close_codes_are_read_where_there_is_one() {
        assert_eq!(close_code(&close(1001, "bye", None)[2..]), Some(1001));
        assert_eq!(close_code(&[]), None);
        assert_eq!(close_code(&[3]), None);
    }
}
