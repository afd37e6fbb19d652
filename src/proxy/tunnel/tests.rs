use std::future::poll_fn;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::base::task;

const LIMIT: Duration = Duration::from_secs(60);

fn side<S>(stream: S, leftover: &'static [u8]) -> Side<S> {
    Side { stream, leftover: Bytes::from_static(leftover) }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
    runtime.block_on(async { timeout(LIMIT, test).await.expect("done in time") });
}

/// Runs a test whose clock is wound by waiting.
fn run_for_days(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build_local(Default::default()).unwrap();
    runtime.block_on(async { timeout(30 * DAY, test).await.expect("done in time") });
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A tunnel under way: the client's far end, the backend's far end, and the tunnel's own.
type Joined<S> = (S, S, JoinHandle<Option<TunnelEnd>>);

fn join_duplex(capacity: usize, manners: TunnelOptions) -> Joined<DuplexStream> {
    let (client_far, client) = duplex(capacity);
    let (backend_far, backend) = duplex(capacity);
    let tunnel = Tunnel::new(side(client, b""), side(backend, b""), &CopyBuffer::default(), manners);
    (client_far, backend_far, task::spawn_local("tunnel", tunnel))
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = tokio::join!(listener.accept(), TcpStream::connect(listener.local_addr().unwrap()));
    (near.unwrap().0, far.unwrap())
}

async fn join_tcp(manners: TunnelOptions) -> Joined<TcpStream> {
    let (client, client_far) = tcp_pair().await;
    let (backend, backend_far) = tcp_pair().await;
    let tunnel = Tunnel::new(side(client, b""), side(backend, b""), &CopyBuffer::default(), manners);
    (client_far, backend_far, task::spawn_local("tunnel", tunnel))
}

async fn end_of(tunnel: JoinHandle<Option<TunnelEnd>>) -> TunnelEnd {
    tunnel.await.unwrap().unwrap()
}

const WEBSOCKET: TunnelOptions = TunnelOptions { websocket: true, idle: None };

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 31 + i / 251) % 256).unwrap()).collect()
}

async fn write_in_pieces(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8], piece: usize) {
    for chunk in bytes.chunks(piece) {
        stream.write_all(chunk).await.unwrap();
    }
    stream.shutdown().await.unwrap();
}

async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    all
}

#[test]
fn bytes_pass_untouched_in_pieces_of_any_size_both_ways_at_once() {
    run(async {
        for (length, piece) in [(2_000, 1), (5 << 20, 1 << 20), (300_000, 1_460)] {
            let (client, backend, tunnel) = join_tcp(TunnelOptions::default()).await;
            let (mut client_read, mut client_write) = client.into_split();
            let (mut backend_read, mut backend_write) = backend.into_split();
            let sent = pattern(length);
            let (_, _, out, inn) = tokio::join!(
                write_in_pieces(&mut client_write, &sent, piece),
                write_in_pieces(&mut backend_write, &sent, piece),
                read_all(&mut client_read),
                read_all(&mut backend_read),
            );
            assert!(out == sent && inn == sent, "{length} bytes in pieces of {piece}");
            let end = end_of(tunnel).await;
            assert_eq!((end.bytes_in, end.bytes_out), (length as u64, length as u64));
        }
    });
}

#[test]
fn what_came_before_the_tunnel_goes_first() {
    run(async {
        let (mut client_far, client) = duplex(64);
        let (mut backend_far, backend) = duplex(64);
        let tunnel =
            Tunnel::new(side(client, b"from client,"), side(backend, b"from backend,"), &CopyBuffer::default(), WEBSOCKET);
        let tunnel = task::spawn_local("tunnel", tunnel);
        client_far.write_all(b" more").await.unwrap();
        backend_far.shutdown().await.unwrap();
        client_far.shutdown().await.unwrap();
        assert_eq!(read_all(&mut backend_far).await, b"from client, more");
        assert_eq!(read_all(&mut client_far).await, b"from backend,");
        let end = end_of(tunnel).await;
        assert_eq!((end.bytes_in, end.bytes_out), (17, 13));
    });
}

#[test]
fn half_a_close_leaves_the_other_half_open() {
    run(async {
        let (mut client, mut backend, tunnel) = join_tcp(TunnelOptions::default()).await;
        client.write_all(b"question").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(read_all(&mut backend).await, b"question");
        for _ in 0..50 {
            backend.write_all(b"answer.").await.unwrap();
            let mut piece = [0; 7];
            client.read_exact(&mut piece).await.unwrap();
            assert_eq!(&piece, b"answer.");
        }
        drop(backend);
        assert_eq!(read_all(&mut client).await, b"");
        assert_eq!(end_of(tunnel).await.reason, TunnelReason::ClientClosed);
    });
}

/// Writes until nothing more is taken for a good while of turns; says how much that was.
async fn write_until_stuck(stream: &mut DuplexStream) -> usize {
    let mut taken = 0;
    let mut stuck = 0;
    poll_fn(|cx| {
        match Pin::new(&mut *stream).poll_write(cx, &[7; 1000]) {
            Poll::Ready(written) => (taken, stuck) = (taken + written.unwrap(), 0),
            Poll::Pending => stuck += 1,
        }
        cx.waker().wake_by_ref();
        if stuck > 100 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    taken
}

#[test]
fn who_does_not_read_stops_the_other_side_from_being_read() {
    run(async {
        let (mut client, mut backend, tunnel) = join_duplex(10_000, TunnelOptions::default());
        let taken = write_until_stuck(&mut backend).await;
        assert!((20_000..=30_000).contains(&taken), "two pipes full and one read in hand, not {taken}");
        client.write_all(b"the other way is open").await.unwrap();
        let mut other = [0; 21];
        backend.read_exact(&mut other).await.unwrap();
        drop(backend);
        let got = read_all(&mut client).await;
        assert_eq!(got.len(), taken, "all that was taken arrives in the end");
        drop(client);
        assert_eq!(end_of(tunnel).await.reason, TunnelReason::BackendClosed);
    });
}

#[test]
fn the_close_code_is_told() {
    run(async {
        let (mut client, mut backend, tunnel) = join_tcp(WEBSOCKET).await;
        backend.write_all(&[0x81, 2, b'h', b'i', 0x88, 2, 0x0f, 0xa1]).await.unwrap();
        drop(backend);
        assert_eq!(read_all(&mut client).await, [0x81, 2, b'h', b'i', 0x88, 2, 0x0f, 0xa1]);
        drop(client);
        let end = end_of(tunnel).await;
        assert_eq!(end, TunnelEnd { bytes_in: 0, bytes_out: 8, close_code: Some(4001), reason: TunnelReason::BackendClosed });
    });
}

#[test]
fn last_words_of_a_backend_that_no_longer_listens_arrive() {
    run(async {
        let (mut client, mut backend, tunnel) = join_tcp(WEBSOCKET).await;
        client.write_all(&pattern(100)).await.unwrap();
        backend.readable().await.unwrap();
        backend.write_all(&[0x88, 2, 0x03, 0xf0]).await.unwrap();
        // With unread bytes in its socket this is a reset, not a close.
        drop(backend);
        let mut words = [0; 4];
        client.read_exact(&mut words).await.unwrap();
        assert_eq!(words, [0x88, 2, 0x03, 0xf0]);
        drop(client);
        assert_eq!(end_of(tunnel).await.close_code, Some(1008));
    });
}

#[test]
fn a_reset_is_told_by_whose_it_was() {
    run(async {
        let (client, backend, tunnel) = join_tcp(TunnelOptions::default()).await;
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        assert_eq!(end_of(tunnel).await.reason, TunnelReason::ClientBroke(io::ErrorKind::ConnectionReset));
        drop(backend);
        let (client, backend, tunnel) = join_tcp(TunnelOptions::default()).await;
        socket2::SockRef::from(&backend).set_linger(Some(Duration::ZERO)).unwrap();
        drop(backend);
        assert_eq!(end_of(tunnel).await.reason, TunnelReason::BackendBroke(io::ErrorKind::ConnectionReset));
        drop(client);
    });
}

#[test]
fn a_silent_tunnel_ends_only_where_a_limit_is_set() {
    run_for_days(async {
        let idle = Some(Duration::from_millis(300));
        let (mut client, mut backend, tunnel) = join_duplex(64, TunnelOptions { websocket: false, idle });
        for _ in 0..20 {
            client.write_all(b"x").await.unwrap();
            backend.read_u8().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(!tunnel.is_finished(), "it moved all the time, for longer than the limit");
        let end = end_of(tunnel).await;
        assert_eq!((end.reason, end.bytes_in), (TunnelReason::Idle, 20));
    });
}

#[test]
fn no_timer_of_ours_ends_a_tunnel_in_a_week_of_silence() {
    run_for_days(async {
        for websocket in [true, false] {
            let (mut client, mut backend, tunnel) = join_duplex(64, TunnelOptions { websocket, idle: None });
            for _ in 0..2 {
                tokio::time::sleep(7 * DAY).await;
                assert!(!tunnel.is_finished());
                client.write_all(&[0x81, 0x81, 0, 0, 0, 0, b'x']).await.unwrap();
                let mut seen = [0; 7];
                backend.read_exact(&mut seen).await.unwrap();
                assert_eq!(seen[6], b'x');
            }
        }
    });
}

#[test]
fn a_day_of_silence_ends_a_tunnel_where_a_day_is_the_limit_and_not_before() {
    run_for_days(async {
        let (mut client, mut backend, tunnel) = join_duplex(64, TunnelOptions { websocket: true, idle: Some(DAY) });
        tokio::time::sleep(DAY - Duration::from_secs(1)).await;
        client.write_all(b"x").await.unwrap();
        backend.read_u8().await.unwrap();
        let start = Instant::now();
        assert_eq!(end_of(tunnel).await.reason, TunnelReason::Idle);
        assert_eq!(start.elapsed().as_secs(), DAY.as_secs());
        drop((client, backend));
    });
}

#[test]
fn a_tunnel_is_small() {
    let bytes = size_of::<Tunnel<crate::proxy::client_io::ClientIo, crate::proxy::upstream::pool::UpgradedStream>>();
    assert!(bytes <= 512, "{bytes} bytes");
}
