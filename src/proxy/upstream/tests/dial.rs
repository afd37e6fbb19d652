use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, UnixListener};

use super::*;
use crate::base::name::HostName;
use crate::proxy::upstream::connect::ConnectError;
use crate::proxy::upstream::stream::BackendStream;

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

/// A group with a bare port and `localhost`, in front of a program that listens at `host` alone.
fn of_this_machine(host: &str) -> (std::net::TcpListener, Vec<TargetAddress>) {
    let listener = std::net::TcpListener::bind((host, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, vec![TargetAddress::Loopback(port), TargetAddress::Name(name("localhost"), port)])
}

#[test]
fn a_port_of_this_machine_is_reached_at_either_loopback_address() {
    run(async {
        for host in ["127.0.0.1", "::1"] {
            let (listener, addresses) = of_this_machine(host);
            for address in addresses {
                let cluster = build(&upstream(vec![target(address, TargetScheme::Http, 1)]));
                let roster = cluster.roster();
                // The second connection starts with the address that answered.
                for _ in 0..2 {
                    let dialled = cluster.dialer().dial(roster.members()[0].target()).await;
                    let BackendStream::Tcp(stream) = dialled.unwrap() else { panic!("TCP was asked for") };
                    assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
                }
            }
        }
    });
}

#[test]
fn a_program_that_moves_to_the_other_loopback_address_is_followed() {
    run(async {
        let (v6, addresses) = of_this_machine("::1");
        let port = v6.local_addr().unwrap().port();
        let cluster = build(&upstream(vec![target(addresses[0].clone(), TargetScheme::Http, 1)]));
        let roster = cluster.roster();
        drop(cluster.dialer().dial(roster.members()[0].target()).await.unwrap());
        drop(v6);
        let v4 = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        cluster.dialer().dial(roster.members()[0].target()).await.unwrap();
        v4.accept().unwrap();
    });
}

#[test]
fn a_port_of_this_machine_where_nothing_listens_is_named_with_both_addresses() {
    run(async {
        let (listener, addresses) = of_this_machine("127.0.0.1");
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        for address in addresses {
            let error = dial(address, TargetScheme::Http, Duration::from_secs(10)).await.unwrap_err();
            let expected = format!("nothing listens on port {port} of this machine, neither on 127.0.0.1 nor on ::1 (");
            assert!(error.to_string().starts_with(&expected), "{error}");
            assert_eq!((error.code(), error.remedy()), ("connect-refused", "start the program, or correct the port"));
        }
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
