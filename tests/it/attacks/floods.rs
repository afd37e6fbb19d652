//! Frames that cost their sender little and a careless server much. The connection they come on is ended, or they are taken
//! for the nothing that they are; nobody else notices.

use std::time::Duration;

use super::siege::{SOON, Siege};
use crate::support::h2_frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, End, H2, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame,
    integer, request,
};
use crate::support::wait;

/// `ENHANCE_YOUR_CALM`, which is what servers say to floods.
const CALM: u8 = 11;

/// How long the gateway takes nothing before it is believed that it takes no more; a busy machine stands still for seconds.
const TAKES_NOTHING: Duration = Duration::from_secs(20);

/// Sends `piece` so often, or until the gateway takes no more.
fn flood(h2: &mut H2, times: usize, piece: impl Fn(u32) -> Vec<u8>) {
    const TOGETHER: usize = 100;
    for first in (0..times).step_by(TOGETHER) {
        let pieces: Vec<u8> = (first..first + TOGETHER).flat_map(|number| piece(u32::try_from(number).unwrap())).collect();
        if !h2.0.say_within(&pieces, TAKES_NOTHING) {
            return;
        }
    }
}

#[test]
fn streams_that_are_reset_as_soon_as_they_are_opened_end_the_connection() {
    let siege = Siege::lay();
    let mut h2 = siege.h2(&[]);
    let ask = request("GET", "/", &[]);
    flood(&mut h2, 20_000, |number| {
        let stream = number * 2 + 1;
        [frame(HEADERS, END_STREAM | END_HEADERS, stream, &ask), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    });
    assert!(matches!(h2.goaway(), Some(CALM) | None));
    siege.lift();
}

#[test]
fn a_header_that_never_ends_ends_the_connection() {
    let siege = Siege::lay();
    let filled = |piece: &[u8]| {
        let mut h2 = siege.h2(&[]);
        h2.0.say(&frame(HEADERS, END_STREAM, 1, &request("GET", "/", &[])));
        flood(&mut h2, 20_000, |_| frame(CONTINUATION, 0, 1, piece));
        assert!(h2.is_closed_within(SOON), "with pieces of {} bytes", piece.len());
    };
    filled(&block(&[("x", &"y".repeat(4_000))]));
    filled(&block(&[("x", "y")]));
    filled(&[]);
    siege.lift();
}

#[test]
fn a_small_header_that_means_a_large_one_is_refused() {
    let siege = Siege::lay();
    let mut h2 = siege.h2(&[]);
    // A field that the table keeps, named 15,000 times by one byte each: 60 MiB.
    let mut bomb = request("GET", "/", &[]);
    bomb.push(0x40);
    for text in ["x", &"y".repeat(4_000)] {
        bomb.extend(integer(text.len(), 127, 0));
        bomb.extend_from_slice(text.as_bytes());
    }
    bomb.extend(std::iter::repeat_n(0x80 | 62, 12_000));
    h2.0.say(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &bomb));
    let end = h2.end_of(1);
    assert!(matches!(end, End::Answered(431) | End::Reset(_) | End::Closed(_)), "{end:?}");
    siege.lift();
}

#[test]
fn frames_that_ask_for_nothing_end_the_connection() {
    let siege = Siege::lay();
    let unknown = |number: u32| frame(0x21, 0, number, b"unknown");
    let pieces: [&dyn Fn(u32) -> Vec<u8>; 6] = [
        &|_| frame(PING, 0, 0, b"flooding"),
        &|_| frame(SETTINGS, 0, 0, &[]),
        &|_| frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]),
        &|_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        // PRIORITY, of streams that never were.
        &|number| frame(2, 0, number * 2 + 3, &[0, 0, 0, 1, 1]),
        &unknown,
    ];
    for (number, piece) in pieces.iter().enumerate() {
        let mut h2 = siege.h2(&[]);
        flood(&mut h2, 100_000, piece);
        assert!(h2.is_closed_within(SOON), "flood {number}");
        siege.others_are_served();
    }
    let floods = || siege.gateway.output().matches(r#""reason":"the client floods with frames of HTTP/2"#).count();
    wait::until_true("each is logged", SOON, || floods() >= pieces.len());
    assert_eq!(floods(), pieces.len(), "{}", siege.gateway.output());
    siege.lift();
}

#[test]
fn frames_without_a_byte_stay_nothing() {
    let siege = Siege::lay();
    let mut h2 = siege.h2(&[]);
    h2.0.say(&frame(HEADERS, END_HEADERS, 1, &request("POST", "/big/wait", &[])));
    flood(&mut h2, 100_000, |_| frame(DATA, 0, 1, &[]));
    assert!(h2.is_closed_within(SOON));
    siege.others_are_served();
    siege.lift();
}
