use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::proxy::upstream::testing::read_head;

#[test]
fn a_connection_is_used_again_after_every_kind_of_answer() {
    run(async {
        for answer in [
            HELLO,
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-last: yes\r\n\r\n",
        ] {
            let backend = Backend::answering(answer).await;
            let (pool, lease) = (Pool::new(), lease_on(backend.addr, |_| ()));
            for turn in 0..3 {
                let answered = send(&pool, &lease, "/").await.unwrap();
                assert_eq!((answered.reused, answered.connect.is_none()), (turn > 0, turn > 0), "{answer}");
                text_of(answered).await;
                assert_eq!(pool.resting(), 1, "{answer}");
            }
            assert_eq!(backend.connections.get(), 1, "{answer}");
        }
    });
}

#[test]
fn the_answer_to_a_head_request_has_no_body_to_wait_for() {
    run(async {
        let backend = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n").await;
        let (pool, lease) = (Pool::new(), lease_on(backend.addr, |_| ()));
        let request = Request::head("/").body(TestBody::empty()).unwrap();
        let answered = send_whole(&pool, &lease, request).await.unwrap();
        assert_eq!(answered.response.headers()["content-length"], "5000");
        assert_eq!(pool.resting(), 1);
    });
}

#[test]
fn an_unused_connection_is_closed_by_us_when_its_time_is_over() {
    run(async {
        let backend = Backend::start(|mut stream, notes| async move {
            read_head(&mut stream).await?;
            stream.write_all(HELLO.as_bytes()).await?;
            let mut nothing = [0; 1];
            notes.add(format!("then {} bytes", stream.read(&mut nothing).await?));
            Ok(())
        })
        .await;
        let keep_alive = Duration::from_millis(50);
        let (pool, lease) = (Pool::new(), lease_on(backend.addr, |settings| settings.timeouts.keep_alive = keep_alive));
        let begun = Instant::now();
        text_of(send(&pool, &lease, "/").await.unwrap()).await;
        assert_eq!(pool.resting(), 1);
        until(|| !backend.notes.all().is_empty()).await;
        assert!(begun.elapsed() >= keep_alive);
        assert_eq!((pool.resting(), backend.notes.all()), (0, vec!["then 0 bytes".to_owned()]));
        // The sweep ended with the last connection and begins again with the next.
        text_of(send(&pool, &lease, "/").await.unwrap()).await;
        until(|| pool.resting() == 0).await;
        assert_eq!(backend.connections.get(), 2);
    });
}

#[test]
fn a_connection_closed_while_it_rested_is_not_used() {
    run(async {
        let backend = Backend::start(|mut stream, notes| async move {
            read_head(&mut stream).await?;
            stream.write_all(HELLO.as_bytes()).await?;
            notes.add("closed");
            Ok(())
        })
        .await;
        let (pool, lease) = (Pool::new(), lease_on(backend.addr, |_| ()));
        text_of(send(&pool, &lease, "/").await.unwrap()).await;
        until(|| pool.close_overdue(Instant::now()).is_none()).await;
        let answered = send(&pool, &lease, "/").await.unwrap();
        assert!(!answered.reused);
        assert_eq!(text_of(answered).await, "hello");
    });
}

#[test]
fn a_backend_that_asks_for_it_gets_its_connection_closed() {
    run(async {
        let backend = Backend::answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello").await;
        let (pool, lease) = (Pool::new(), lease_on(backend.addr, |_| ()));
        assert_eq!(text_of(send(&pool, &lease, "/").await.unwrap()).await, "hello");
        assert_eq!(pool.resting(), 0);
    });
}

#[test]
fn the_connection_that_rested_last_is_used_first_and_targets_are_kept_apart() {
    run(async {
        let one = Backend::answering(HELLO).await;
        let other = Backend::answering(HELLO).await;
        let pool = Pool::new();
        let (lease, other_lease) = (lease_on(one.addr, |_| ()), lease_on(other.addr, |_| ()));
        let (first, second) = (send(&pool, &lease, "/1").await.unwrap(), send(&pool, &lease, "/2").await.unwrap());
        assert_eq!(one.connections.get(), 2);
        text_of(first).await;
        text_of(second).await;
        assert!(!send(&pool, &other_lease, "/").await.unwrap().reused);
        let dialled = one.notes.all().len();
        for _ in 0..5 {
            text_of(send(&pool, &lease, "/again").await.unwrap()).await;
        }
        assert_eq!((pool.resting(), one.connections.get(), one.notes.all().len()), (2, 2, dialled + 5));
    });
}

#[test]
fn two_clusters_with_one_target_each_do_not_share_connections() {
    run(async {
        let backend = Backend::answering(HELLO).await;
        let pool = Pool::new();
        text_of(send(&pool, &lease_on(backend.addr, |_| ()), "/").await.unwrap()).await;
        // The first lease is gone, and with it its cluster; its place in memory must not be mistaken for the next one's.
        assert!(!send(&pool, &lease_on(backend.addr, |_| ()), "/").await.unwrap().reused);
    });
}

#[test]
fn connections_to_an_address_that_its_name_has_no_longer_are_closed() {
    run(async {
        let backend = Backend::start(|mut stream, notes| async move {
            read_head(&mut stream).await?;
            stream.write_all(HELLO.as_bytes()).await?;
            notes.add(format!("then {} bytes", stream.read(&mut [0; 1]).await?));
            Ok(())
        })
        .await;
        let pool = Pool::new();
        let lease = || lease_on(backend.addr, |settings| settings.timeouts.keep_alive = Duration::from_secs(3600));
        let (rests, on_its_way) = (lease(), lease());
        text_of(send(&pool, &rests, "/").await.unwrap()).await;
        let answered = send(&pool, &on_its_way, "/").await.unwrap();
        assert_eq!(pool.resting(), 1);
        for lease in [&rests, &on_its_way] {
            lease.state().goes();
        }
        text_of(answered).await;
        assert_eq!(pool.resting(), 1, "what was on its way does not come to rest");
        tokio::time::pause();
        until(|| pool.resting() == 0).await;
        tokio::time::resume();
        until(|| backend.notes.all().len() == 2).await;
    });
}
