//! HTTP/3 as its clients see it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{HeaderMap, Method};

use doorward::listeners::http3::qpack::decode::decode;
use doorward::listeners::http3::varint;

use crate::support::gateway::Gateway;
use crate::support::h2_frames::{self, H2};
use crate::support::h3::{connect, whole};
use crate::support::h3_frames::{DATA, HEADERS, frame, head, say, section};
use crate::support::line::Line;
use crate::support::obedient::byte;
use crate::support::peers::curl;
use crate::support::recorder::Recorder;
use crate::support::scene::{SOON, Scene};
use crate::support::{server, wait};

const MIB: usize = 1 << 20;

#[test]
fn a_request_is_answered_as_over_the_other_protocols() {
    let scene = Scene::new("");
    let answer = scene.run(async {
        let mut request = scene.get("/a?b=c");
        request.headers_mut().append("cookie", "a=1".parse().unwrap());
        request.headers_mut().append("cookie", "b=2".parse().unwrap());
        scene.visitor().await.ask(request).await
    });
    assert_eq!(answer.status(), 200);
    let text = String::from_utf8(answer.body().to_vec()).unwrap();
    assert!(text.starts_with("GET /a?b=c\n"), "{text}");
    for field in [
        format!("host: localhost:{}", scene.gateway.https),
        "cookie: a=1; b=2".into(),
        "via: 3.0 doorward".into(),
        "x-forwarded-proto: https".into(),
        "x-forwarded-for: 127.0.0.1".into(),
    ] {
        assert!(text.contains(&format!("{field}\n")), "{field} is not in {text}");
    }
    assert!(!text.contains("transfer-encoding") && !text.contains("content-length"), "{text}");
    assert_eq!(answer.headers()["via"], "1.1 doorward");
    assert!(answer.headers().contains_key("date") && !answer.headers().contains_key("alt-svc"));
    wait::until("the request is logged", SOON, || {
        let log = scene.gateway.output();
        let line = log.lines().find(|line| line.contains("/a?b=c") && line.contains("HTTP/3.0")).map(str::to_owned);
        line.ok_or(log)
    });
    // Who came over TCP is told; who came in the clear is not.
    let root = scene.root.to_string_lossy().into_owned();
    let head = curl(&["--cacert", &root, "--head", &format!("https://localhost:{}/", scene.gateway.https)]);
    assert!(head.contains(&format!("alt-svc: h3=\":{}\"; ma=86400\r\n", scene.gateway.https)), "{head}");
    let head = curl(&["--head", &format!("http://localhost:{}/", scene.gateway.http)]);
    assert!(head.contains("308") && !head.contains("alt-svc"), "{head}");
}

#[test]
fn bodies_pass_whole_both_ways_with_their_trailers() {
    let scene = Scene::new("");
    scene.run(async {
        let mut visitor = scene.visitor().await;
        let sent: Bytes = (0..8 * MIB).map(byte).collect::<Vec<u8>>().into();
        let mut request = scene.request(Method::POST, "/echo");
        request.headers_mut().insert("te", "trailers".parse().unwrap());
        request.headers_mut().insert("trailer", "x-sum".parse().unwrap());
        let (mut send, mut receive) = visitor.send(request).await.split();
        let uploading = async {
            for piece in sent.chunks(100_000) {
                send.send_data(Bytes::copy_from_slice(piece)).await.unwrap();
            }
            send.send_trailers(HeaderMap::from_iter([("x-sum".parse().unwrap(), "42".parse().unwrap())])).await.unwrap();
            send.finish().await.unwrap();
        };
        let downloading = async {
            assert_eq!(receive.recv_response().await.unwrap().status(), 200);
            let mut got = Vec::new();
            while let Some(mut piece) = receive.recv_data().await.unwrap() {
                got.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
            }
            assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
            receive.recv_trailers().await.unwrap().expect("there are trailers")
        };
        let ((), trailers) = tokio::join!(uploading, downloading);
        assert_eq!(trailers["x-sum"], "42");
        let mut stream = visitor.send(scene.get(&format!("/bytes/{}", 20 * MIB))).await;
        stream.finish().await.unwrap();
        let (answer, _) = whole(&mut stream).await;
        assert!(answer.body().len() == 20 * MIB && answer.body().iter().enumerate().all(|(n, seen)| *seen == byte(n)));
    });
}

#[test]
fn head_has_a_length_and_no_body_and_an_empty_answer_ends_at_once() {
    let scene = Scene::new("");
    scene.run(async {
        let mut visitor = scene.visitor().await;
        let answer = visitor.ask(scene.request(Method::HEAD, "/bytes/1000")).await;
        assert_eq!((&answer.headers()["content-length"], answer.body().len()), (&"1000".parse().unwrap(), 0));
        assert_eq!(visitor.ask(scene.get("/bytes/0")).await.body().len(), 0);
        let answer = visitor.ask(scene.request(Method::POST, "/x")).await;
        assert!(!String::from_utf8_lossy(answer.body()).contains("transfer-encoding"));
    });
}

#[test]
fn who_does_not_read_is_not_read_from_and_neither_is_its_backend() {
    let scene = Scene::new("");
    scene.run(async {
        let mut visitor = scene.visitor().await;
        let mut download = visitor.send(scene.get(&format!("/bytes/{}", 200 * MIB))).await;
        download.finish().await.unwrap();
        download.recv_response().await.unwrap();
        // An echo that nobody listens to stops listening itself.
        let mut upload = visitor.send(scene.request(Method::POST, "/echo")).await;
        let mut sent = 0;
        let piece = Bytes::from(vec![0; 100_000]);
        while tokio::time::timeout(Duration::from_secs(1), upload.send_data(piece.clone())).await.is_ok() {
            sent += piece.len();
            assert!(sent < 20 * MIB, "{sent} bytes were taken");
        }
        let downloaded = scene.seen.downloaded.load(Ordering::Relaxed);
        assert!(downloaded < 20 * MIB, "{downloaded} bytes were given");
        // Others on the same connection are served.
        assert_eq!(visitor.ask(scene.get("/a")).await.status(), 200);
    });
}

#[test]
fn a_backend_that_breaks_off_is_a_reset_and_never_an_end() {
    let scene = Scene::new("");
    scene.run(async {
        let mut visitor = scene.visitor().await;
        for length in [10, 100_000, 3 * MIB] {
            let mut stream = visitor.send(scene.get(&format!("/break/{length}"))).await;
            stream.finish().await.unwrap();
            let mut got = 0;
            let end = match stream.recv_response().await {
                Err(error) => Err(error),
                Ok(_) => loop {
                    match stream.recv_data().await {
                        Ok(Some(piece)) => got += piece.remaining(),
                        Ok(None) => break Ok(()),
                        Err(error) => break Err(error),
                    }
                },
            };
            let error = end.expect_err(&format!("it was no end: {got} of {length}")).to_string();
            assert!(got <= length && error.contains("H3_INTERNAL_ERROR"), "{got} bytes, then {error}");
        }
        assert_eq!(visitor.ask(scene.get("/a")).await.status(), 200);
    });
}

#[test]
fn a_client_that_gives_up_takes_the_backends_request_with_it() {
    let scene = Scene::new("");
    scene.run(async {
        let mut visitor = scene.visitor().await;
        let seen = &scene.seen;
        let asked = |times: usize| until(move || seen.waiting.load(Ordering::Relaxed) == times);
        let mut stream = visitor.send(scene.get("/wait")).await;
        stream.finish().await.unwrap();
        asked(1).await;
        stream.stop_sending(h3::error::Code::H3_REQUEST_CANCELLED);
        until(|| scene.seen.given_up.load(Ordering::Relaxed) == 1).await;
        // A whole connection that goes.
        let mut leaving = scene.visitor().await;
        let mut waiting = leaving.send(scene.get("/wait")).await;
        waiting.finish().await.unwrap();
        asked(2).await;
        leaving.quic.close(0_u8.into(), b"");
        until(|| scene.seen.given_up.load(Ordering::Relaxed) == 2).await;
        // A body that is reset in the middle.
        let mut upload = visitor.send(scene.request(Method::POST, "/wait")).await;
        upload.send_data(Bytes::from_static(b"half")).await.unwrap();
        asked(3).await;
        upload.stop_stream(h3::error::Code::H3_REQUEST_CANCELLED);
        let refused = upload.recv_response().await;
        assert!(refused.is_err(), "{refused:?}");
    });
    wait::until("all are logged", SOON, || {
        let log = scene.gateway.output();
        let given_up = log.lines().filter(|line| line.contains("/wait") && line.contains("client-left")).count();
        (given_up == 3).then_some(()).ok_or(log)
    });
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn requests_that_are_too_much_get_their_status() {
    let scene = Scene::new("limit {\n    header-size 16KiB\n    header-count 20\n}");
    scene.run(async {
        let mut visitor = scene.visitor().await;
        let with = |fields: usize, length: usize| {
            let mut request = scene.get("/a");
            for n in 0..fields {
                let name: http::HeaderName = format!("x-{n}").parse().unwrap();
                request.headers_mut().insert(name, "v".repeat(length).parse().unwrap());
            }
            request
        };
        assert_eq!(visitor.ask(with(2, 7_000)).await.status(), 200);
        assert_eq!(visitor.ask(with(25, 10)).await.status(), 431);
        let mut strange = scene.get("/a");
        *strange.uri_mut() = "https://strange.example/".parse().unwrap();
        assert_eq!(visitor.ask(strange).await.status(), 421);
        assert_eq!(visitor.ask(scene.get("/%zz")).await.status(), 400);
    });
}

/// Header sections in what a server said on a request stream, as `name=value` lines, as far as they are whole.
fn sections(mut said: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while let Some((kind, length)) = varint::varint(said) {
        let Some((size, more)) = varint::varint(&said[length..]) else { break };
        let Some(payload) = said[length + more..].get(..usize::try_from(size).unwrap()) else { break };
        if kind == varint::HEADERS {
            let section = decode(payload, 10_000).unwrap();
            let lines =
                section.fields().map(|field| format!("{}={}\n", field.name().escape_ascii(), field.value().escape_ascii()));
            found.push(lines.collect());
        }
        said = &said[length + more + payload.len()..];
    }
    found
}

#[test]
fn early_hints_reach_pages_and_nobody_else() {
    let recorder = Recorder::start();
    let mut gateway = Gateway::prepare();
    gateway.configure("", &format!("localhost {{\n    proxy {}\n}}", recorder.port()));
    gateway.start();
    let root = gateway.local_root();
    gateway.until_served("localhost", &root, SOON);
    let page = ("sec-fetch-mode", "navigate");
    let ask = |path: &'static str, more: &[(&str, &str)]| {
        let usual = [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", path)];
        frame(HEADERS, &section(&[&usual[..], more].concat()))
    };
    let talk = async {
        let (_endpoint, quic) = connect("localhost", gateway.https, &root).await;
        let (_send, mut receive) = say(&quic, &ask("/hints", &[page]), true).await;
        let seen = sections(&receive.read_to_end(10_000).await.unwrap());
        assert_eq!((seen.len(), &*seen[0]), (2, ":status=103\nlink=</a.css>; rel=preload\n"));
        assert!(seen[1].starts_with(":status=200\n"), "{seen:?}");
        let (_send, mut receive) = say(&quic, &ask("/hints", &[]), true).await;
        let seen = sections(&receive.read_to_end(10_000).await.unwrap());
        assert!(seen.len() == 1 && seen[0].starts_with(":status=200\n"), "{seen:?}");
        // Before the answer, and not with it.
        let (_send, mut receive) = say(&quic, &ask("/hints-and-no-more", &[page]), true).await;
        let mut said = Vec::new();
        while sections(&said).is_empty() {
            said.extend_from_slice(&receive.read_chunk(10_000, true).await.unwrap().expect("it waits").bytes);
        }
        assert!(sections(&said)[0].starts_with(":status=103\n"));
    };
    server::runtime().block_on(async { tokio::time::timeout(SOON, talk).await.expect("done in time") });
    assert_eq!(recorder.tape().wrong, Vec::<String>::new());
    // Over HTTP/2 as well, and over HTTP/1.1 not even to pages (RFC 8297 section 3).
    let mut h2 = H2::open("localhost", gateway.https, &root, &[]);
    let flags = h2_frames::END_STREAM | h2_frames::END_HEADERS;
    h2.0.say(&h2_frames::frame(h2_frames::HEADERS, flags, 1, &h2_frames::request("GET", "/hints", &[page])));
    assert_eq!(h2.end_of(1), h2_frames::End::Answered(103), "the first section of two");
    // At once, though no answer follows.
    h2.0.say(&h2_frames::frame(h2_frames::HEADERS, flags, 3, &h2_frames::request("GET", "/hints-and-no-more", &[page])));
    let hinted = std::iter::from_fn(|| h2.next()).find(|came| came.kind == h2_frames::HEADERS && came.stream == 3);
    assert_eq!(hinted.expect("the connection stays").flags & h2_frames::END_STREAM, 0);
    let mut line = Line::open("localhost", gateway.https, &root);
    line.say(b"GET /hints HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Mode: navigate\r\n\r\n");
    assert!(line.head().starts_with("HTTP/1.1 200 "));
}

/// RFC 9110 section 10.1.1, which knows no versions.
#[test]
fn a_client_that_waits_for_100_gets_it_before_it_sends() {
    let recorder = Recorder::start();
    let (gateway, root) = Gateway::on_localhost(&format!("localhost {{\n    proxy {}\n}}", recorder.port()));
    recorder.tape().heard.clear();
    let head = head("POST", &[("expect", "100-continue"), ("content-length", "2")]);
    let body = frame(DATA, b"hi");
    let talk = async {
        let (_endpoint, quic) = connect("localhost", gateway.https, &root).await;
        let (mut send, mut receive) = say(&quic, &head, false).await;
        let mut said = Vec::new();
        while sections(&said).is_empty() {
            said.extend_from_slice(&receive.read_chunk(10_000, true).await.unwrap().expect("it waits").bytes);
        }
        assert_eq!(sections(&said), [":status=100\n"]);
        send.write_all(&body).await.unwrap();
        send.finish().unwrap();
        let seen = sections(&receive.read_to_end(10_000).await.unwrap());
        assert!(seen.len() == 1 && seen[0].starts_with(":status=200\n"), "{seen:?}");
        // One that sends at once needs none.
        let (_send, mut receive) = say(&quic, &[head.clone(), body.clone()].concat(), true).await;
        let seen = sections(&receive.read_to_end(10_000).await.unwrap());
        assert!(seen.last().is_some_and(|last| last.starts_with(":status=200\n")), "{seen:?}");
    };
    server::runtime().block_on(async { tokio::time::timeout(SOON, talk).await.expect("done in time") });
    let tape = recorder.tape();
    assert!(tape.heard.len() == 2 && tape.heard.iter().all(|heard| heard.body == b"hi"), "{:?}", tape.heard);
}
