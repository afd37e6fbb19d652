//! Answers that another one follows (RFC 9110 section 15.2), towards clients of HTTP/2.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use h2::client::ResponseFuture;
use http::{Request, Response};

use super::harness::*;

/// Everything before the answer, as its status and `Link`, and the answer's status.
async fn until_answered(response: &mut ResponseFuture) -> (Vec<String>, u16) {
    let mut interim = Vec::new();
    while let Some(came) = poll_fn(|cx| response.poll_informational(cx)).await {
        let came = came.unwrap();
        let link = came.headers().get("link").map_or("", |link| link.to_str().unwrap());
        assert!(!came.headers().contains_key("set-cookie"), "{came:?}");
        interim.push(format!("{} {link}", came.status().as_u16()));
    }
    (interim, response.await.unwrap().status().as_u16())
}

fn page(mode: &str) -> Request<()> {
    Request::get("https://a.test/").header("sec-fetch-mode", mode).body(()).unwrap()
}

const INTERIM: &str = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 104 Upload Resumption Supported\r\n\r\n\
                       HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nset-cookie: a=b\r\n\r\n\
                       HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";

#[test]
fn of_what_comes_before_an_answer_only_hints_pass_and_only_to_pages() {
    run(async {
        let by_h1 = Backend::says(INTERIM).await;
        let by_h2 = h2c_backend(|_, mut respond| async move {
            for status in [100, 102, 104, 103, 103] {
                let interim = Response::builder().status(status).header("link", "</a.css>").header("set-cookie", "a=b");
                respond.send_informational(interim.body(()).ok()?).ok()?;
            }
            respond.send_response(Response::builder().status(204).body(()).ok()?, true).ok().map(drop)
        })
        .await;
        for proxy in [by_h1.addr.to_string(), format!("h2c://{}", by_h2.addr)] {
            let gateway = Gateway::start(&format!("a.test {{\n proxy {proxy}\n}}"), Speaks::H2).await;
            let mut client = h2_client(&gateway).await;
            for (mode, expected) in [("navigate", vec!["103 </a.css>".to_owned(); 2]), ("cors", Vec::new())] {
                let (mut response, _) = client.send_request(page(mode), true).unwrap();
                assert_eq!(until_answered(&mut response).await, (expected, 204), "{proxy} for {mode}");
            }
        }
    });
}

#[test]
fn a_backend_that_never_comes_to_its_answer_is_given_up() {
    run(async {
        let backend = h2c_backend(|_, mut respond| async move {
            for _ in 0..40 {
                respond.send_informational(Response::builder().status(102).body(()).ok()?).ok()?;
            }
            std::future::pending().await
        })
        .await;
        let gateway = Gateway::start(&format!("a.test {{\n proxy h2c://{}\n}}", backend.addr), Speaks::H2).await;
        let (mut response, _) = h2_client(&gateway).await.send_request(page("navigate"), true).unwrap();
        assert_eq!(until_answered(&mut response).await, (Vec::new(), 502));
    });
}

#[test]
fn a_client_that_waits_for_100_gets_it_and_one_that_does_not_wait_gets_none() {
    run(async {
        let backend = Backend::mirror_all().await;
        let gateway = Gateway::start(&format!("a.test {{\n proxy {}\n}}", backend.addr), Speaks::H2).await;
        let mut client = h2_client(&gateway).await;
        let post = || Request::post("https://a.test/").header("expect", "100-continue").body(()).unwrap();
        let (mut response, mut stream) = client.send_request(post(), false).unwrap();
        let first = poll_fn(|cx| response.poll_informational(cx)).await.unwrap().unwrap();
        assert_eq!(first.status(), 100);
        stream.send_data(Bytes::from_static(b"hi"), true).unwrap();
        assert_eq!(until_answered(&mut response).await, (Vec::new(), 200));
        let (mut response, mut stream) = client.send_request(post(), false).unwrap();
        stream.send_data(Bytes::from_static(b"hi"), true).unwrap();
        assert_eq!(until_answered(&mut response).await, (Vec::new(), 200));
    });
}

#[test]
fn no_100_follows_a_refusal() {
    run(async {
        let gateway = Gateway::start("a.test {\n respond 403 no\n}", Speaks::H2).await;
        let post = Request::post("https://a.test/").header("expect", "100-continue").body(()).unwrap();
        let (mut response, _stream) = h2_client(&gateway).await.send_request(post, false).unwrap();
        let interim = poll_fn(|cx| match response.poll_informational(cx) {
            Poll::Ready(came) => Poll::Ready(came.map(|came| came.unwrap().status())),
            Poll::Pending => Poll::Pending,
        });
        assert_eq!(interim.await, None);
        assert_eq!(response.await.unwrap().status(), 403);
    });
}
