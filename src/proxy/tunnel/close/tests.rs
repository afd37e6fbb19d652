use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::*;
use crate::base::task;
use crate::proxy::tunnel::{CopyBuffer, Side, TunnelOptions};

/// Runs a test on a clock that is wound by waiting.
fn run(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build_local(Default::default()).unwrap();
    runtime.block_on(async { timeout(Duration::from_secs(60), test).await.expect("done in time") });
}

fn bytes_of(mut frame: Frame, masked: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    if masked {
        frame.header_mut().mask = Some([0x11, 0xe2, 0x73, 0x04]);
    }
    frame.format(&mut bytes).unwrap();
    bytes
}

fn message(length: usize, last: bool) -> Frame {
    Frame::message(vec![0x88; length], OpCode::Data(Data::Binary), last)
}

fn side(stream: DuplexStream) -> Side<DuplexStream> {
    Side { stream, leftover: Bytes::new() }
}

/// Passes `before` from the client, has the tunnel leave, sends `after`, and gives what the backend and the client got.
async fn part(before: &[u8], after: &[u8], capacity: usize) -> (Vec<u8>, Vec<u8>, TunnelEnd) {
    let (mut client, near) = duplex(capacity);
    let (mut backend, far) = duplex(capacity);
    let mut tunnel = Tunnel::new(side(near), side(far), &CopyBuffer::default(), TunnelOptions { websocket: true, idle: None });
    let write = async { client.write_all(before).await.unwrap() };
    let moved = async {
        tokio::select! {
            biased;
            end = &mut tunnel => panic!("{end:?}"),
            () = tokio::time::sleep(Duration::from_millis(100)) => (),
        }
    };
    tokio::join!(write, moved);
    let leaving = task::spawn_local("tunnel", async move {
        if let Some(end) = tunnel.until_ready_to_part().await {
            return end;
        }
        tunnel.part(Closed::Away, 7).unwrap().await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    client.write_all(after).await.unwrap();
    let (mut to_backend, mut to_client) = (Vec::new(), Vec::new());
    let both = async { tokio::join!(backend.read_to_end(&mut to_backend), client.read_to_end(&mut to_client)) };
    let (end, _) = tokio::join!(leaving, both);
    (to_backend, to_client, end.unwrap().unwrap())
}

/// The backend has got whole frames with a close 1001 behind them, and the client a close 1001.
async fn check(before: &[u8], after: &[u8], capacity: usize, passed: &[u8]) {
    let (to_backend, to_client, end) = part(before, after, capacity).await;
    assert_eq!(to_client[..4], [0x88, to_client[1], 0x03, 0xe9], "close 1001, unmasked");
    let (frames, close) = to_backend.split_at(passed.len());
    assert_eq!(frames, passed);
    let mask = &close[2..6];
    assert_eq!((close[0], close[1] & 0x80, close[6] ^ mask[0], close[7] ^ mask[1]), (0x88, 0x80, 0x03, 0xe9));
    assert_eq!(close.len(), 6 + usize::from(close[1] & 0x7f), "and nothing behind it");
    assert_eq!((end.close_code, end.reason.code()), (Some(1001), "tunnel-drained"));
    assert_eq!(end.bytes_in, (before.len() + after.len()) as u64);
}

#[test]
fn the_goodbye_stands_behind_the_frame_that_is_under_way() {
    run(async {
        let (whole, late) = (bytes_of(message(1000, true), true), bytes_of(message(5, true), true));
        check(&whole, &late, 4096, &whole).await;
        // In the middle of a payload, of a header, whose rest comes with another frame, and between the frames of a message.
        check(&whole[..500], &[&whole[500..], &late].concat(), 4096, &whole).await;
        let both = [whole.as_slice(), &late].concat();
        check(&whole[..3], &both[3..], 4096, &both).await;
        let fragment = bytes_of(message(10, false), true);
        let ping = bytes_of(Frame::ping("x"), true);
        check(&fragment, &ping, 4096, &fragment).await;
    });
}

#[test]
fn what_a_slow_side_has_not_taken_yet_comes_before_the_goodbye() {
    run(async {
        let frames: Vec<u8> = (0..20).flat_map(|_| bytes_of(message(50, true), true)).collect();
        check(&frames[..1000], &frames[1000..1008], 512, &frames[..1008]).await;
    });
}

#[test]
fn who_has_begun_to_close_finishes_in_its_own_way() {
    run(async {
        let close = bytes_of(Frame::close(Some(CloseFrame { code: 4001.into(), reason: "done".into() })), true);
        let (mut client, near) = duplex(4096);
        let (mut backend, far) = duplex(4096);
        let mut tunnel =
            Tunnel::new(side(near), side(far), &CopyBuffer::default(), TunnelOptions { websocket: true, idle: None });
        client.write_all(&close).await.unwrap();
        let waiting = timeout(Duration::from_secs(1), tunnel.until_ready_to_part()).await;
        assert!(waiting.is_err(), "a close frame is on its way");
        assert!(tunnel.part(Closed::Away, 7).is_none());
        drop(client);
        backend.shutdown().await.unwrap();
        let end = tunnel.until_ready_to_part().await.unwrap();
        assert_eq!((end.close_code, end.reason.code()), (Some(4001), ""));
    });
}

#[test]
fn what_is_no_websocket_has_no_goodbye() {
    run(async {
        let ((_client, near), (_backend, far)) = (duplex(64), duplex(64));
        let mut tunnel = Tunnel::new(side(near), side(far), &CopyBuffer::default(), TunnelOptions::default());
        assert!(tunnel.until_ready_to_part().await.is_none());
        assert!(tunnel.part(Closed::Away, 7).is_none());
    });
}
