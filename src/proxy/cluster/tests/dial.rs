use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, UnixListener};

use super::*;
use crate::base::name::HostName;
use crate::proxy::cluster::connect::ConnectError;
use crate::proxy::cluster::stream::BackendStream;

async fn dial(address: TargetAddress, scheme: TargetScheme, limit: Duration) -> Result<BackendStream, ConnectError> {
    let mut settings = upstream(vec![target(address, scheme, 1)]);
    settings.timeouts.connect = limit;
    settings.tls.insecure = true;
    let cluster = build(&settings);
    cluster.dialer().dial(cluster.roster().members()[0].target()).await
}

async fn failure(address: TargetAddress) -> (&'static str, String) {
    let error = dial(address, TargetScheme::Http, Duration::from_secs(10)).await.unwrap_err();
    assert!(!error.remedy().is_empty());
    (error.code(), error.to_string())
}

fn name(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

#[test]
fn a_name_is_tried_at_all_its_addresses() {
    run(async {
        // `localhost` is ::1 and 127.0.0.1 on most machines; only one of them listens.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = dial(TargetAddress::Name(name("localhost"), port), TargetScheme::Http, Duration::from_secs(10)).await;
        let BackendStream::Tcp(stream) = stream.unwrap() else { panic!("TCP was asked for") };
        assert!(stream.nodelay().unwrap());
    });
}

#[test]
fn unix_sockets_are_reached_by_their_path() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let dialled = dial(TargetAddress::Unix(path), TargetScheme::Http, Duration::from_secs(10)).await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        drop(dialled);
        assert_eq!(accepted.read(&mut [0; 1]).await.unwrap(), 0);
    });
}

#[test]
fn each_way_of_not_connecting_has_its_words() {
    run(async {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (code, words) = failure(TargetAddress::Socket(free)).await;
        assert_eq!((code, words), ("connect-refused", format!("{free} refused the connection")));

        let (code, words) = failure(TargetAddress::Name(name("no-such-host.invalid"), 80)).await;
        assert_eq!((code, words.as_str()), ("connect-name", "the name no-such-host.invalid could not be resolved"));

        let (code, words) = failure(TargetAddress::Unix(PathBuf::from("/no/such/app.sock"))).await;
        assert_eq!((code, words.as_str()), ("connect-unreachable", "unix//no/such/app.sock cannot be reached"));
    });
}

#[test]
fn a_target_that_never_finishes_the_handshake_costs_no_more_than_the_limit() {
    run(async {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr: SocketAddr = silent.local_addr().unwrap();
        let limit = Duration::from_millis(50);
        let error = dial(TargetAddress::Socket(addr), TargetScheme::Https, limit).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{addr} did not let us connect within 50ms, stuck at TLS"));
        assert_eq!(error.code(), "connect-timeout");
    });
}
