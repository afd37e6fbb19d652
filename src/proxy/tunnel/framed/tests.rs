use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

use super::limits::MessageBudget;
use super::parser::Violation;
use super::*;
use crate::base::size::ByteSize;
use crate::base::task;
use crate::config::settings::MessageLimit;
use crate::proxy::limit::keyed::KeyedRateLimiter;

const SECOND: Duration = Duration::from_secs(1);

fn run(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build_local(Default::default()).unwrap();
    runtime.block_on(async { timeout(7 * 24 * 3600 * SECOND, test).await.expect("done in time") });
}

/// A tunnel under way and its two far ends.
struct World {
    client: DuplexStream,
    backend: DuplexStream,
    tunnel: JoinHandle<Option<TunnelEnd>>,
}

fn join(capacity: usize, rules: Rules) -> World {
    let (client, near) = duplex(capacity);
    let (backend, far) = duplex(capacity);
    let side = |stream| Side { stream, leftover: Bytes::new() };
    let tunnel = FramedTunnel::new(side(near), side(far), &CopyBuffer::default(), rules, 7);
    World { client, backend, tunnel: task::spawn_local("tunnel", tunnel) }
}

async fn websockets(
    world: World,
) -> (WebSocketStream<DuplexStream>, WebSocketStream<DuplexStream>, JoinHandle<Option<TunnelEnd>>) {
    let client = WebSocketStream::from_raw_socket(world.client, Role::Client, None).await;
    let backend = WebSocketStream::from_raw_socket(world.backend, Role::Server, None).await;
    (client, backend, world.tunnel)
}

async fn ended(tunnel: JoinHandle<Option<TunnelEnd>>) -> TunnelEnd {
    tunnel.await.unwrap().unwrap()
}

/// The code of the close frame that comes next, behind whatever else comes.
async fn close_code(socket: &mut WebSocketStream<DuplexStream>) -> Option<u16> {
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(frame) = message {
            return frame.map(|frame| frame.code.into());
        }
    }
    None
}

fn limited(size: u64) -> Rules {
    let counts = Arc::new(KeyedRateLimiter::new(MessageBudget::rate((100, 60 * SECOND)), Instant::now()));
    let budget = Some(MessageBudget::new(counts, [192, 0, 2, 1].into()));
    Rules { message: Some(MessageLimit { size: ByteSize(size), rate: Some((100, 60 * SECOND)) }), budget, ..Rules::default() }
}

#[test]
fn messages_of_every_size_pass_both_ways_through_pipes_of_any_width() {
    run(async {
        for capacity in [1, 7, 4096, 1 << 20] {
            let (mut client, mut backend, tunnel) = websockets(join(capacity, limited(200_000))).await;
            let echo = task::spawn_local("echo", async move {
                while let Some(Ok(message)) = backend.next().await {
                    if message.is_text() {
                        backend.send(message).await.unwrap();
                    }
                }
            });
            for size in [0, 1, 125, 126, 65_535, 65_536, 100_000].into_iter().filter(|size| *size < capacity * 10_000) {
                let text = Message::text("x".repeat(size));
                client.send(text.clone()).await.unwrap();
                assert_eq!(client.next().await.unwrap().unwrap(), text);
            }
            client.close(Some(CloseFrame { code: 4001.into(), reason: "done".into() })).await.unwrap();
            assert_eq!(close_code(&mut client).await, Some(4001));
            drop(client);
            echo.await.unwrap();
            let end = ended(tunnel).await;
            assert_eq!((end.reason, end.close_code), (TunnelReason::ClientClosed, Some(4001)));
        }
    });
}

#[test]
fn a_message_that_is_too_large_closes_both_sides_with_1009() {
    run(async {
        let (mut client, mut backend, tunnel) = websockets(join(1 << 20, limited(1000))).await;
        client.send(Message::text("x".repeat(1000))).await.unwrap();
        assert_eq!(backend.next().await.unwrap().unwrap().len(), 1000);
        client.send(Message::text("x".repeat(1001))).await.unwrap();
        let (seen_by_client, seen_by_backend) = tokio::join!(close_code(&mut client), close_code(&mut backend));
        assert_eq!((seen_by_client, seen_by_backend), (Some(1009), Some(1009)));
        let end = ended(tunnel).await;
        assert_eq!(end.reason, TunnelReason::Closed(Closed::Broke(End::Client, Violation::TooLarge)));
        assert_eq!((end.reason.code(), end.close_code), ("message-too-large", Some(1009)));
    });
}

#[test]
fn too_many_messages_close_with_1008_after_the_answers_to_the_ones_before() {
    run(async {
        let (mut client, mut backend, tunnel) = websockets(join(1 << 20, limited(1000))).await;
        let echo = task::spawn_local("echo", async move {
            while let Some(Ok(message)) = backend.next().await {
                if message.is_text() {
                    backend.send(message).await.unwrap();
                }
            }
        });
        for _ in 0..101 {
            client.feed(Message::text("hello")).await.unwrap();
        }
        client.flush().await.unwrap();
        for _ in 0..100 {
            assert_eq!(client.next().await.unwrap().unwrap(), Message::text("hello"));
        }
        assert_eq!(close_code(&mut client).await, Some(1008));
        echo.await.unwrap();
        assert_eq!(ended(tunnel).await.reason.code(), "too-many-messages");
    });
}

#[test]
fn a_quiet_day_is_survived_by_those_who_answer_pings() {
    run(async {
        let rules = Rules { ping: Some(30 * SECOND), ..Rules::default() };
        let (mut client, mut backend, tunnel) = websockets(join(4096, rules)).await;
        let quiet = async {
            // Reading is what answers pings; nothing but them comes.
            let (client, backend) = (client.next(), backend.next());
            tokio::select! {
                seen = client => panic!("the client saw {seen:?}"),
                seen = backend => panic!("the backend saw {seen:?}"),
            }
        };
        // A library hands pings to who reads, so they are let through here.
        assert!(timeout(SECOND * 29, quiet).await.is_err());
        let day = Instant::now() + 24 * 3600 * SECOND;
        let mut pings = 0;
        while Instant::now() < day {
            tokio::select! {
                seen = client.next() => assert!(seen.unwrap().unwrap().is_ping()),
                seen = backend.next() => assert!(seen.unwrap().unwrap().is_ping()),
            }
            pings += 1;
        }
        assert!((5700..=5800).contains(&pings), "{pings}");
        assert!(!tunnel.is_finished());
    });
}

#[test]
fn six_days_of_silence_are_survived_where_neither_pings_nor_an_end_are_asked_for() {
    run(async {
        let (mut client, mut backend, tunnel) = websockets(join(4096, limited(1000))).await;
        let days = 6 * 24 * 3600 * SECOND;
        tokio::select! {
            seen = client.next() => panic!("the client saw {seen:?}"),
            seen = backend.next() => panic!("the backend saw {seen:?}"),
            () = tokio::time::sleep(days) => (),
        }
        assert!(!tunnel.is_finished());
        client.send(Message::text("still there?")).await.unwrap();
        assert_eq!(backend.next().await.unwrap().unwrap(), Message::text("still there?"));
    });
}

#[test]
fn silence_ends_it_with_1001_exactly_where_a_limit_is_set() {
    run(async {
        let day = 24 * 3600 * SECOND;
        let rules = Rules { idle: Some(day), ..limited(1000) };
        let (mut client, mut backend, tunnel) = websockets(join(4096, rules)).await;
        let start = Instant::now();
        let (seen_by_client, seen_by_backend) = tokio::join!(close_code(&mut client), close_code(&mut backend));
        assert_eq!((seen_by_client, seen_by_backend), (Some(1001), Some(1001)));
        assert_eq!(start.elapsed().as_secs(), day.as_secs());
        assert_eq!(ended(tunnel).await.reason, TunnelReason::Idle);
    });
}

#[test]
fn a_pulled_cable_is_found_and_the_backend_is_told() {
    run(async {
        let rules = Rules { ping: Some(30 * SECOND), ..Rules::default() };
        let world = join(4096, rules);
        let mut backend = WebSocketStream::from_raw_socket(world.backend, Role::Server, None).await;
        let start = Instant::now();
        assert_eq!(close_code(&mut backend).await, Some(1001));
        assert_eq!(start.elapsed(), 60 * SECOND);
        let end = ended(world.tunnel).await;
        assert_eq!(end.reason.code(), "client-silent");
        drop(world.client);
    });
}

#[test]
fn noise_is_closed_with_1002() {
    run(async {
        let mut world = join(4096, limited(1000));
        world.client.write_all(&[0x83, 0x80, 0, 0, 0, 0]).await.unwrap();
        let mut backend = WebSocketStream::from_raw_socket(world.backend, Role::Server, None).await;
        assert_eq!(close_code(&mut backend).await, Some(1002));
        let mut seen = [0; 4];
        world.client.read_exact(&mut seen).await.unwrap();
        assert_eq!([seen[0], seen[2], seen[3]], [0x88, 0x03, 0xea]);
        drop(world.client);
        assert_eq!(ended(world.tunnel).await.reason.code(), "bad-opcode");
    });
}

#[test]
fn a_side_that_vanishes_ends_the_tunnel_and_what_it_sent_before_arrives() {
    run(async {
        let mut world = join(4096, limited(1000));
        world.backend.write_all(&[0x81, 1, b'a', 0x88, 2, 0x0f, 0xa1]).await.unwrap();
        drop(world.backend);
        let mut all = Vec::new();
        world.client.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [0x81, 1, b'a', 0x88, 2, 0x0f, 0xa1]);
        drop(world.client);
        let end = ended(world.tunnel).await;
        assert_eq!((end.reason.code(), end.close_code, end.bytes_out), ("", Some(4001), 7));
    });
}

#[test]
fn a_half_open_tunnel_ends_after_a_minute() {
    run(async {
        let mut world = join(4096, limited(1000));
        world.client.shutdown().await.unwrap();
        let start = Instant::now();
        assert_eq!(ended(world.tunnel).await.reason, TunnelReason::HalfOpen);
        assert_eq!(start.elapsed(), 60 * SECOND);
        drop(world.backend);
    });
}

#[test]
fn a_drain_says_goodbye_to_both() {
    run(async {
        let (client, near) = duplex(4096);
        let (backend, far) = duplex(4096);
        let side = |stream| Side { stream, leftover: Bytes::new() };
        let mut tunnel = Box::pin(FramedTunnel::new(side(near), side(far), &CopyBuffer::default(), Rules::default(), 7));
        tokio::select! {
            end = &mut tunnel => panic!("{end:?}"),
            () = tokio::time::sleep(SECOND) => (),
        }
        tunnel.leave(Closed::Away);
        let tunnel = task::spawn_local("tunnel", tunnel);
        let mut client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
        let mut backend = WebSocketStream::from_raw_socket(backend, Role::Server, None).await;
        let (seen_by_client, seen_by_backend) = tokio::join!(close_code(&mut client), close_code(&mut backend));
        assert_eq!((seen_by_client, seen_by_backend), (Some(1001), Some(1001)));
        assert_eq!(ended(tunnel).await.reason.code(), "tunnel-drained");
    });
}

#[test]
fn who_takes_nothing_and_answers_nothing_does_not_hold_the_tunnel_for_ever() {
    run(async {
        let mut world = join(16, limited(1000));
        world.client.write_all(&[0x82, 0xfe, 0xff, 0xff, 0, 0, 0, 0]).await.unwrap();
        let start = Instant::now();
        assert_eq!(ended(world.tunnel).await.close_code, Some(1009));
        assert!(start.elapsed() <= 4 * SECOND);
        drop((world.client, world.backend));
    });
}
