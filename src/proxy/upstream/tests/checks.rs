//! Health checks of real backends.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::*;
use crate::base::error_chain::ErrorChain;
use crate::base::name::HostName;
use crate::base::rng::Rng;
use crate::base::task;
use crate::config::defaults;
use crate::config::settings::{Health, StatusRange};
use crate::proxy::upstream::testing::{Backend, read_head, until};
use crate::telemetry::metrics::Metrics;

fn health() -> Health {
    defaults::health("/up".into(), Duration::from_millis(20))
}

async fn check(addr: std::net::SocketAddr, change: impl FnOnce(&mut Upstream, &mut Health)) -> Result<(), String> {
    let mut settings = upstream(vec![target(TargetAddress::Socket(addr), TargetScheme::Http, 1)]);
    let mut health = Health { timeout: Duration::from_secs(10), ..health() };
    change(&mut settings, &mut health);
    let cluster = build(&settings);
    let member = Arc::clone(&cluster.roster().members()[0]);
    health_check::check(&cluster, &member, &health).await.map_err(|error| ErrorChain(&error).to_string())
}

#[test]
fn a_check_asks_for_its_path_and_judges_the_status() {
    run(async {
        let backend = Backend::start(|mut stream, notes| async move {
            notes.add(read_head(&mut stream).await?);
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await
        })
        .await;
        assert_eq!(check(backend.addr, |_, _| ()).await, Ok(()));
        let head = &backend.notes.all()[0];
        assert!(head.starts_with("GET /up HTTP/1.1\r\n") && head.contains(&format!("host: {}\r\n", backend.addr)), "{head}");
        assert!(head.contains("connection: close\r\n"), "{head}");
        let host = |_: &mut Upstream, health: &mut Health| health.host = HostName::parse("app.internal").ok();
        assert_eq!(check(backend.addr, host).await, Ok(()));
        assert!(backend.notes.all()[1].contains("host: app.internal\r\n"));
        let only_200 = |_: &mut Upstream, health: &mut Health| health.status = vec![StatusRange::parse("200").unwrap()];
        assert_eq!(check(backend.addr, only_200).await.unwrap_err(), "/up answered 204 No Content, not 200");
    });
}

#[test]
fn each_way_to_be_unwell_has_its_words() {
    run(async {
        let silent = Backend::start(|mut stream, _| async move { stream.read_to_end(&mut Vec::new()).await.map(drop) }).await;
        let soon = |_: &mut Upstream, health: &mut Health| health.timeout = Duration::from_millis(50);
        assert_eq!(check(silent.addr, soon).await.unwrap_err(), "no answer within 50ms");
        let babbling = Backend::start(|mut stream, _| async move { stream.write_all(b"SSH-2.0-OpenSSH\r\n\r\n").await }).await;
        assert!(check(babbling.addr, |_, _| ()).await.unwrap_err().starts_with("no proper HTTP answer"));
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(check(gone, |_, _| ()).await.unwrap_err(), format!("{gone} refused the connection"));
        let over_tls = |settings: &mut Upstream, _: &mut Health| {
            settings.targets[0].scheme = TargetScheme::Https;
            settings.tls.insecure = true;
        };
        let error = check(babbling.addr, over_tls).await.unwrap_err();
        assert!(error.starts_with(&format!("no TLS with {}", babbling.addr)), "{error}");
    });
}

#[test]
fn a_target_behind_a_unix_socket_is_checked() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.sock");
        let listener = UnixListener::bind(&path).unwrap();
        drop(task::spawn_local("backend", async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = read_head(&mut stream).await.unwrap();
            assert!(head.contains("host: localhost\r\n"), "{head}");
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }));
        let unix = |settings: &mut Upstream, _: &mut Health| settings.targets[0].address = TargetAddress::Unix(path.clone());
        assert_eq!(check(([127, 0, 0, 1], 1).into(), unix).await, Ok(()));
    });
}

#[test]
fn a_target_goes_and_comes_with_its_checks() {
    run(async {
        let status = Arc::new(AtomicUsize::new(500));
        let answer = Arc::clone(&status);
        let backend = Backend::start(move |mut stream, _| {
            let status = answer.load(Ordering::Relaxed);
            async move {
                read_head(&mut stream).await?;
                stream.write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").as_bytes()).await
            }
        })
        .await;
        let other = target(TargetAddress::Socket(([127, 0, 0, 1], 1).into()), TargetScheme::Http, 1);
        let of_backend = target(TargetAddress::Socket(backend.addr), TargetScheme::Http, 1);
        let settings = Upstream { health: Some(health()), ..upstream(vec![of_backend, other]) };
        let cluster = build(&settings);
        let member = Arc::clone(&cluster.roster().members()[0]);
        let state = || member.standing(&settings).state;
        assert_eq!(state(), "not yet checked");
        let metrics = Arc::<Metrics>::default();
        let watch = health_check::watch(Arc::clone(&cluster), Arc::clone(&member), Arc::clone(&metrics), Rng::seeded(1));
        let watch = task::spawn_local("health check", watch);
        until(|| state() == "down").await;
        assert_eq!(metrics.proxy.targets_down.read(), 1);
        let why = member.standing(&settings).why.unwrap();
        assert_eq!(
            why,
            "its health check fails: /up answered 500 X, not 2xx or 3xx".replace("500 X", "500 Internal Server Error")
        );
        let tried = [cluster.roster().members()[1].id()];
        assert!(cluster.pick(wish(&tried)).is_none(), "a target whose check fails gets nothing, not even as the last");
        // Another text of the same settings leaves it what it is, and no checks any more make it a target as any.
        let reloaded = UpstreamGroup::build(&Upstream { retry: 5, ..settings.clone() }, Some(&cluster), &trust()).unwrap();
        assert!(reloaded.pick(wish(&tried)).is_none());
        let unchecked = UpstreamGroup::build(&Upstream { health: None, ..settings.clone() }, Some(&cluster), &trust()).unwrap();
        assert!(unchecked.pick(wish(&tried)).is_some());
        status.store(200, Ordering::Relaxed);
        until(|| state() == "up").await;
        assert!(cluster.pick(wish(&tried)).is_some());
        watch.abort();
    });
}

#[test]
fn a_backend_that_speaks_http_2_in_the_clear_is_checked() {
    run(async {
        let backend = Backend::start(|stream, notes| async move {
            let mut connection = h2::server::handshake(stream).await.map_err(std::io::Error::other)?;
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                notes.add(format!("{} {}", request.method(), request.uri()));
                let status = if request.uri().path() == "/up" { 204 } else { 500 };
                let answer = http::Response::builder().status(status).body(()).unwrap();
                respond.send_response(answer, true).map_err(std::io::Error::other)?;
            }
            Ok(())
        })
        .await;
        let in_the_clear = |settings: &mut Upstream, _: &mut Health| settings.targets[0].scheme = TargetScheme::H2c;
        assert_eq!(check(backend.addr, in_the_clear).await, Ok(()));
        assert_eq!(backend.notes.all(), [format!("GET http://{}/up", backend.addr)]);
        let elsewhere = |settings: &mut Upstream, health: &mut Health| {
            settings.targets[0].scheme = TargetScheme::H2c;
            health.path = "/down".into();
        };
        let error = check(backend.addr, elsewhere).await.unwrap_err();
        assert_eq!(error, "/down answered 500 Internal Server Error, not 2xx or 3xx");
    });
}
