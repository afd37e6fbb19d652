//! What no client of HTTP/3 says, said by a bare QUIC client: it is answered as the standard wants, and never passed on.

use std::sync::atomic::Ordering;

use quinn::{ConnectionError, VarInt};

use crate::support::h3::connect;
use crate::support::h3_frames::{DATA, End, HEADERS, SETTINGS, end, frame, head, say};
use crate::support::scene::{SOON, Scene};
use crate::support::wait;

#[test]
fn malformed_requests_are_reset_and_broken_frames_end_the_connection() {
    let scene = Scene::new("");
    let check = |what: &str, bytes: &[u8], expected: End| {
        scene.run(async {
            let (_endpoint, connection) = connect("localhost", scene.gateway.https, &scene.root).await;
            let (_send, mut receive) = say(&connection, bytes, true).await;
            assert_eq!(end(&mut receive).await, expected, "{what}");
            if !matches!(expected, End::Closed(_)) {
                let (_send, mut receive) = say(&connection, &head("GET", &[]), true).await;
                assert_eq!(end(&mut receive).await, End::Answered, "behind {what}");
            }
        });
    };
    let post = |more: &[(&str, &str)], rest: &[Vec<u8>]| [head("POST", more), rest.concat()].concat();
    let grease = frame(0x21, b"grease");
    check("a plain request", &head("GET", &[]), End::Answered);
    check("unknown frames", &[grease.clone(), head("GET", &[]), grease].concat(), End::Answered);
    check("a body in pieces", &post(&[], &[frame(DATA, b"a"), frame(DATA, b""), frame(DATA, b"b")]), End::Answered);
    check("a capital", &head("GET", &[("Bad", "x")]), End::Answered);
    check("a second path", &head("GET", &[(":path", "/other")]), End::Reset(0x10e));
    check("a late pseudo-header", &head("GET", &[("a", "b"), (":protocol", "websocket")]), End::Reset(0x10e));
    check("a field of a connection", &head("GET", &[("transfer-encoding", "chunked")]), End::Answered);
    check("an extended CONNECT", &head("CONNECT", &[(":protocol", "websocket")]), End::Reset(0x10e));
    check("a blank before a value", &head("GET", &[("a", " b")]), End::Answered);
    check("a line break", &head("GET", &[("a", "b\r\nsmuggled: 1")]), End::Answered);
    check("no header", &[], End::Reset(0x10d));
    check("data before the header", &frame(DATA, b"x"), End::Closed(0x105));
    check("settings on a request stream", &frame(SETTINGS, &[]), End::Closed(0x105));
    check("a header of another table", &frame(HEADERS, &[0, 0, 0x80]), End::Closed(0x200));
    check("half a header", &head("GET", &[])[..20], End::Closed(0x106));
    check("a body that ends inside a frame", &post(&[], &[frame(DATA, b"half")[..5].to_vec()]), End::Closed(0x106));
    // Those with a page have a line in the access log.
    let refused = |log: &str| log.lines().filter(|line| line.contains("\"reason\":\"bad-field\"")).count();
    wait::until_true("the four are logged", SOON, || refused(&scene.gateway.output()) >= 4);
    scene.gateway.until_logged("request_unreadable");
    let log = scene.gateway.output();
    assert!(refused(&log) == 4 && !log.contains("panicked"), "{log}");
}

#[test]
fn a_length_that_is_not_the_bodys_is_refused() {
    let scene = Scene::new("");
    let check = |more: &[(&str, &str)], rest: &[Vec<u8>]| {
        scene.run(async {
            let (_endpoint, connection) = connect("localhost", scene.gateway.https, &scene.root).await;
            let bytes = [head("POST", more), rest.concat()].concat();
            let (_send, mut receive) = say(&connection, &bytes, true).await;
            // The backend may have begun its answer; it is cut off then.
            match end(&mut receive).await {
                End::Reset(_) => (),
                End::Answered => {
                    wait::until("the refusal is logged", SOON, || {
                        let log = scene.gateway.output();
                        let refused = log.lines().any(|line| line.contains("\"status\":400") && line.contains("/echo"));
                        refused.then_some(()).ok_or(log)
                    });
                }
                End::Closed(code) => panic!("the connection was closed with {code:#x}"),
            }
        });
    };
    check(&[("content-length", "5")], &[frame(DATA, b"four")]);
    check(&[("content-length", "5")], &[frame(DATA, b"seven b")]);
    check(&[("content-length", "5")], &[]);
    check(&[("content-length", "5"), ("content-length", "4")], &[frame(DATA, b"four")]);
}

#[test]
fn the_streams_of_a_connection_keep_to_their_rules() {
    let scene = Scene::new("");
    let check = |what: &str, streams: &[(&[u8], bool)], expected: Option<u64>| {
        scene.run(async {
            let (_endpoint, connection) = connect("localhost", scene.gateway.https, &scene.root).await;
            let mut kept = Vec::new();
            for (bytes, ends) in streams {
                let mut stream = connection.open_uni().await.unwrap();
                stream.write_all(bytes).await.unwrap();
                if *ends {
                    stream.finish().unwrap();
                }
                kept.push(stream);
            }
            if let Some(code) = expected {
                let ConnectionError::ApplicationClosed(close) = connection.closed().await else { panic!("{what}") };
                assert_eq!(close.error_code, VarInt::from_u64(code).unwrap(), "{what}");
            } else {
                let (_send, mut receive) = say(&connection, &head("GET", &[]), true).await;
                assert_eq!(end(&mut receive).await, End::Answered, "{what}");
            }
        });
    };
    let control = [&[0][..], &frame(SETTINGS, &[])].concat();
    check("all three", &[(&control, false), (&[2], false), (&[3], false)], None);
    check("an unknown one that ends", &[(&control, false), (&[0x21, 1, 2], true)], None);
    check("one that ends before its type", &[(&control, false), (&[], true)], None);
    check("two of them", &[(&control, false), (&control, false)], Some(0x103));
    check("a push", &[(&[1], false)], Some(0x103));
    check("the end of the control stream", &[(&control, true)], Some(0x104));
    check("no settings", &[(&[&[0][..], &frame(0x7, &[0])].concat(), false)], Some(0x10a));
    check("an entry for our table", &[(&[2, 0xc1, 1, b'x'], false)], Some(0x201));
}

#[test]
fn a_header_that_never_ends_is_given_up_and_one_without_bounds_is_not_kept() {
    let scene = Scene::new("timeouts {\n    header 1s\n}");
    scene.run(async {
        let (_endpoint, connection) = connect("localhost", scene.gateway.https, &scene.root).await;
        let (_send, mut receive) = say(&connection, &head("GET", &[])[..10], false).await;
        assert_eq!(end(&mut receive).await, End::Reset(0x10b));
        // 2^40 bytes announced: answered at once, with 431.
        let endless = [&[HEADERS, 0xc0, 0, 1][..], &[0; 5]].concat();
        let (mut send, mut receive) = say(&connection, &endless, false).await;
        let answer = receive.read_to_end(10_000).await.unwrap();
        assert!(answer.windows(3).any(|window| window == b"431"), "{answer:?}");
        assert_eq!(send.stopped().await.unwrap(), Some(VarInt::from_u32(0x100)));
        assert!(send.write_all(&[0; 100]).await.is_err());
    });
    assert_eq!(scene.seen.uploaded.load(Ordering::Relaxed), 0);
}
