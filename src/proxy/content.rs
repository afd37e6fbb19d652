//! What content a message has, and which fields say so, alike for every version of HTTP and for every origin of an answer:
//! backends, the gateway's own pages, files, `auth forward` and `respond`.
//!
//! HTTP/1.1 would be repaired in part by hyper. HTTP/2 and HTTP/3 carry an answer as it stands, and a client that trusts the
//! fields of a 204 or a HEAD over the end of the stream waits, or reports an error of the protocol.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use tokio::time::timeout;

use super::body::{Body, Fault};

/// How long the first frame is waited for of a request whose method has no defined content. After that it is sent to the
/// backend as a request with a body: a client that waits for the answer before it sends is not kept waiting for ever.
const FIRST_FRAME_TIMEOUT: Duration = Duration::from_secs(2);

/// Finds out whether a request has content where its header leaves that open: over HTTP/2 and HTTP/3 the end of a request may
/// come in an empty DATA frame, or in a packet of its own. A request by HTTP/1.1 says it in its header, and so does one with
/// END_STREAM on its HEADERS; neither waits here.
///
/// # Errors
/// The client left, or broke the rules of its protocol, before that was known.
pub(super) async fn begin(request: &mut Request<Body>) -> Result<(), Fault> {
    let (version, headers) = (request.version(), request.headers());
    let is_open = version > Version::HTTP_11 && !request.body().is_empty();
    // A client that expects `100-continue` sends nothing before it got it.
    if !is_open || headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::EXPECT) {
        return Ok(());
    }
    // Content has no meaning with these (RFC 9110 section 9.3); some backends refuse it, and nearly never there is any.
    let is_rare = matches!(*request.method(), Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS);
    let body = request.body_mut();
    let at_once = poll_fn(|cx| Poll::Ready(body.poll_begun(cx))).await;
    let begun = match at_once {
        Poll::Ready(begun) => begun,
        // Boxed, for hardly any request needs the room of a timer.
        Poll::Pending if is_rare => {
            let begun = Box::pin(timeout(FIRST_FRAME_TIMEOUT, poll_fn(|cx| body.poll_begun(cx))));
            begun.await.unwrap_or(Ok(()))
        }
        Poll::Pending => Ok(()),
    };
    begun.map_err(|error| error.fault)
}

/// Whether a request without content says so by `Content-Length: 0` (RFC 9110 section 8.6). HTTP/2 and HTTP/3 say it by the
/// end of the stream, which an HTTP/1.1 backend does not see; some answer 411 to a POST without a length. What a client of
/// HTTP/1.1 left out stays out.
pub(super) fn says_its_length(method: &Method, version: Version) -> bool {
    version > Version::HTTP_11 && matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// Which content an answer has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    /// As it comes.
    Any,
    /// None, though the fields are those of an answer that has some (RFC 9110 section 9.3.2).
    HeaderOnly,
    /// None, and it ends with its header (RFC 9110 sections 15.2, 15.3.5 and 15.4.5).
    Never,
    /// None, in the framing of an answer that might have some (RFC 9110 section 15.3.6).
    Empty,
}

const fn content(head: bool, status: StatusCode) -> Content {
    match status {
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Content::Never,
        StatusCode::RESET_CONTENT => Content::Empty,
        _ if status.as_u16() < 200 => Content::Never,
        _ if head => Content::HeaderOnly,
        _ => Content::Any,
    }
}

/// Gives an answer the content that its status and the request's method allow, and takes out the fields that say something
/// else. `head` is whether the method is HEAD.
///
/// A 304 keeps no Content-Length: the one that a 200 would have (RFC 9110 section 8.6) cannot be prebuilt from the 0 that many
/// backends write. What a backend sent as content is dropped with its connection or stream.
pub(super) fn normalise(head: bool, response: &mut Response<Body>) {
    let content = content(head, response.status());
    if content != Content::Any && !response.body().is_empty() {
        *response.body_mut() = Body::empty();
    }
    let is_empty = response.body().is_empty();
    let headers = response.headers_mut();
    // The framing of one connection, and never of this one: each protocol writes its own.
    headers.remove(header::TRANSFER_ENCODING);
    match content {
        Content::Never => {
            headers.remove(header::CONTENT_LENGTH);
            headers.remove(header::TRAILER);
        }
        Content::Empty => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
            headers.remove(header::TRAILER);
        }
        // A length that nothing follows would make the answer malformed over HTTP/2 (RFC 9113 section 8.1.1).
        Content::Any if is_empty && headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0") => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Content::Any | Content::HeaderOnly => {
            let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
            if let (Some(first), Some(_)) = (lengths.next(), lengths.next()) {
                let first = first.clone();
                headers.insert(header::CONTENT_LENGTH, first);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// What an answer becomes: its Content-Length, and how many bytes of content it has.
    fn check(head: bool, status: u16, length: Option<&'static str>, body: &'static str, expected: (Option<&str>, Option<u64>)) {
        let mut response = Response::builder().status(status).header("etag", "\"x\"").header("transfer-encoding", "chunked");
        if let Some(length) = length {
            response = response.header("content-length", length);
        }
        let mut response = response.body(Body::whole(Bytes::from_static(body.as_bytes()))).unwrap();
        normalise(head, &mut response);
        let seen = response.headers().get("content-length").map(|length| length.to_str().unwrap());
        let content = http_body::Body::size_hint(response.body()).exact();
        assert_eq!((seen, content), expected, "{status} with {length:?} and {body:?}, HEAD: {head}");
        assert!(response.headers().contains_key("etag") && !response.headers().contains_key("transfer-encoding"));
    }

    #[test]
    fn content_and_its_fields_agree_with_status_and_method() {
        for status in [200, 201, 206, 301, 404, 416, 503] {
            check(false, status, Some("5"), "hello", (Some("5"), Some(5)));
            check(false, status, None, "hello", (None, Some(5)));
            check(true, status, Some("5"), "hello", (Some("5"), Some(0)));
            check(true, status, Some("5"), "", (Some("5"), Some(0)));
            check(true, status, None, "", (None, Some(0)));
            check(false, status, Some("5"), "", (Some("0"), Some(0)));
        }
        for head in [false, true] {
            for status in [101, 103, 204, 304] {
                check(head, status, Some("5"), "hello", (None, Some(0)));
                check(head, status, Some("0"), "", (None, Some(0)));
                check(head, status, None, "hello", (None, Some(0)));
            }
            check(head, 205, Some("5"), "hello", (Some("0"), Some(0)));
            check(head, 205, None, "", (Some("0"), Some(0)));
        }
    }

    /// A body of which nothing comes.
    struct Silent;

    impl http_body::Body for Silent {
        type Data = Bytes;
        type Error = crate::proxy::body::BodyError;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_frame_is_waited_for_only_where_there_is_hardly_any_and_not_for_ever() {
        for (version, method, fields, waits) in [
            (Version::HTTP_2, Method::GET, &[][..], true),
            (Version::HTTP_3, Method::DELETE, &[], true),
            (Version::HTTP_2, Method::POST, &[], false),
            (Version::HTTP_11, Method::GET, &[], false),
            (Version::HTTP_2, Method::GET, &[("content-length", "5")], false),
            (Version::HTTP_2, Method::GET, &[("expect", "100-continue")], false),
        ] {
            let mut request = Request::new(Body::stream(Silent));
            (*request.version_mut(), *request.method_mut()) = (version, method.clone());
            for (name, value) in fields {
                request.headers_mut().insert(*name, HeaderValue::from_static(value));
            }
            let begun = tokio::time::Instant::now();
            assert_eq!(begin(&mut request).await, Ok(()));
            assert_eq!(begun.elapsed() >= FIRST_FRAME_TIMEOUT, waits, "{method} over {version:?} with {fields:?}");
            assert!(!request.body().is_empty());
        }
    }

    #[test]
    fn a_length_that_is_said_twice_is_said_once() {
        let mut response = Response::new(Body::whole(Bytes::from_static(b"hello")));
        for _ in 0..2 {
            response.headers_mut().append("content-length", HeaderValue::from_static("5"));
        }
        normalise(false, &mut response);
        assert_eq!(response.headers().get_all("content-length").iter().count(), 1);
    }
}
