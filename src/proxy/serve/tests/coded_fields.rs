//! Behind `compress`, HEAD, 304 and 206 carry the fields of the 200 (RFC 9110 sections 9.3.2, 12.5.5, 15.3.7 and 15.4.5, RFC 9111
//! section 4.3.4), and the tag that a client got is good for its conditions: in every version and from every origin.

use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::BodyExt;

use super::answers::served;
use super::harness::*;
use crate::proxy::body::Body;

const VERSIONS: [Version; 4] = [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2, Version::HTTP_3];
const TAG: &str = "\"v1\"";

/// What a backend answers that does as the RFC says: status, fields and content.
fn resource(method: &str, path: &str, field: impl Fn(&str) -> Option<String>) -> (u16, Vec<(&'static str, String)>, String) {
    let (kind, length) = match path {
        "/small" => ("text/plain", 100),
        "/picture" => ("image/png", 5000),
        _ => ("text/plain", 5000),
    };
    let own = || vec![("etag", TAG.to_owned()), ("cache-control", "max-age=60".to_owned()), ("vary", "Cookie".to_owned())];
    let names_it = |list: &str, weakly: bool| {
        list.split(',')
            .any(|tag| tag.trim() == TAG || (weakly && tag.trim().strip_prefix("w/") == Some(TAG)) || tag.trim() == "*")
    };
    if method == "PUT" {
        let holds = field("if-match").is_none_or(|list| names_it(&list, false));
        return (if holds { 204 } else { 412 }, vec![], String::new());
    }
    if field("if-none-match").is_some_and(|list| names_it(&list, true)) {
        return (304, own(), String::new());
    }
    let mut fields = own();
    fields.push(("content-type", kind.to_owned()));
    // It knows `Range`, and not `If-Range`.
    if field("range").is_some() {
        fields.push(("content-range", format!("bytes 0-9/{length}")));
        fields.push(("content-length", "10".to_owned()));
        return (206, fields, "a".repeat(10));
    }
    fields.push(("accept-ranges", "bytes".to_owned()));
    fields.push(("content-length", length.to_string()));
    (200, fields, if method == "HEAD" { String::new() } else { "a".repeat(length) })
}

async fn backend_h1() -> Backend {
    Backend::start(|mut peer, _| async move {
        loop {
            let head = peer.head().await.to_lowercase();
            let mut line = head.split(' ');
            let (Some(method), Some(path)) = (line.next(), line.next()) else { return };
            let field = |name: &str| {
                let start = format!("{name}: ");
                head.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
            };
            let (status, fields, content) = resource(&method.to_uppercase(), path, field);
            let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            peer.send(&format!("HTTP/1.1 {status} X\r\n{fields}\r\n{content}")).await;
        }
    })
    .await
}

async fn backend_h2() -> Backend {
    h2c_backend(|request, mut respond| async move {
        let field = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap().to_lowercase());
        let (status, fields, content) = resource(request.method().as_str(), request.uri().path(), field);
        let response = fields.iter().fold(Response::builder().status(status), |all, (name, value)| all.header(*name, value));
        let mut stream = respond.send_response(response.body(()).unwrap(), content.is_empty()).ok()?;
        if content.is_empty() { Some(()) } else { stream.send_data(Bytes::from(content), true).ok() }
    })
    .await
}

async fn ask(gateway: &Gateway, version: Version, method: &str, path: &str, fields: &[(&str, &str)]) -> Response<Body> {
    let request = Request::builder().method(method).uri(path).version(version);
    served(gateway, fields.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

/// All lines of a field.
fn field(response: &Response<Body>, name: &str) -> String {
    let lines: Vec<_> = response.headers().get_all(name).iter().map(|line| line.to_str().unwrap()).collect();
    lines.join(", ")
}

/// The fields that all responses about a representation have in common.
fn common(response: &Response<Body>) -> [String; 3] {
    ["etag", "vary", "cache-control"].map(|name| field(response, name))
}

async fn content(response: Response<Body>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

struct Origin {
    words: String,
    path: &'static str,
    status: u16,
    has_tag: bool,
}

fn origins(h1: &Backend, h2: &Backend, world: &std::path::Path) -> Vec<Origin> {
    std::fs::write(world.join("text"), "a".repeat(5000)).unwrap();
    std::fs::write(world.join("text.txt"), "a".repeat(5000)).unwrap();
    std::fs::write(world.join("5xx.html"), "a".repeat(5000)).unwrap();
    let (errors, dead) = (world.display(), std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let origin = |words: String, path, status, has_tag| Origin { words, path, status, has_tag };
    vec![
        origin(format!("proxy {}", h1.addr), "/text", 200, true),
        origin(format!("proxy h2c://{}", h2.addr), "/text", 200, true),
        origin(format!("files {errors} {{\n cache 60s\n }}"), "/text.txt", 200, true),
        origin(format!("respond 200 {}", "a".repeat(5000)), "/", 200, false),
        origin(format!("errors {errors}\n proxy {dead}"), "/", 502, false),
    ]
}

#[test]
fn a_head_a_304_and_a_206_have_the_fields_of_the_200() {
    run(async {
        let (h1, h2, world) = (backend_h1().await, backend_h2().await, tempfile::tempdir().unwrap());
        for Origin { words, path, status, has_tag } in origins(&h1, &h2, world.path()) {
            let gateway = Gateway::start(&format!("a.test {{\n compress\n {words}\n}}"), Speaks::H1).await;
            for version in VERSIONS {
                for (accepted, coding) in
                    [("", ""), ("identity, *;q=0", ""), ("gzip", "gzip"), ("gzip, zstd", "zstd"), ("*", "gzip")]
                {
                    let what = format!("{words:.40} over {version:?} for {accepted:?}");
                    let ask = async |method: &str, fields: &[(&str, &str)]| {
                        let fields = [&[("accept-encoding", accepted)], fields].concat();
                        ask(&gateway, version, method, path, &fields).await
                    };
                    let get = ask("GET", &[]).await;
                    assert_eq!((get.status().as_u16(), field(&get, "content-encoding").as_str()), (status, coding), "{what}");
                    let [tag, vary, _] = common(&get);
                    assert_eq!(vary.to_lowercase().matches("accept-encoding").count(), 1, "{what}: {vary}");
                    assert_eq!(tag.ends_with("~doorward\""), has_tag && !coding.is_empty(), "{what}: {tag}");
                    let head = ask("HEAD", &[]).await;
                    for name in ["etag", "vary", "cache-control", "content-encoding", "content-type", "accept-ranges"] {
                        assert_eq!(field(&head, name), field(&get, name), "{name} of HEAD {what}");
                    }
                    assert_eq!(field(&head, "content-length"), if coding.is_empty() { "5000" } else { "" }, "{what}");
                    assert_eq!(content(head).await.len(), 0, "{what}");
                    assert_eq!(content(get).await.len() == 5000, coding.is_empty(), "{what}");
                    let get = ask("GET", &[]).await;
                    for method in ["GET", "HEAD"] {
                        let sent = field(&get, "etag");
                        let others = format!("\"x\", {sent}, W/\"y~doorward\"");
                        for tags in [sent.as_str(), others.as_str()].into_iter().filter(|_| has_tag) {
                            let fresh = ask(method, &[("if-none-match", tags)]).await;
                            assert_eq!(fresh.status(), StatusCode::NOT_MODIFIED, "{method} {tags} {what}");
                            assert_eq!(common(&fresh), common(&get), "{method} {tags} {what}");
                        }
                    }
                    let part = ask("GET", &[("range", "bytes=0-9")]).await;
                    if has_tag {
                        assert_eq!((part.status().as_u16(), field(&part, "content-encoding").as_str()), (206, ""), "{what}");
                        assert_eq!(field(&part, "vary"), vary, "{what}");
                        assert!(!field(&part, "etag").contains("doorward"), "a part is not compressed: {what}");
                        assert_eq!(content(part).await.len(), 10, "{what}");
                        // The rest of a compressed response is no part of the file.
                        let resumed = ask("GET", &[("range", "bytes=0-9"), ("if-range", &tag)]).await;
                        assert_eq!(resumed.status(), if coding.is_empty() { 206 } else { 200 }, "{what}");
                    }
                }
            }
        }
    });
}

#[test]
fn what_is_not_compressed_varies_by_nothing_and_keeps_its_tag() {
    run(async {
        let (h1, h2) = (backend_h1().await, backend_h2().await);
        for words in [format!("proxy {}", h1.addr), format!("proxy h2c://{}", h2.addr)] {
            let gateway = Gateway::start(&format!("a.test {{\n compress\n {words}\n}}"), Speaks::H1).await;
            for (path, method) in [("/small", "GET"), ("/small", "HEAD"), ("/picture", "GET"), ("/picture", "HEAD")] {
                let response = ask(&gateway, Version::HTTP_2, method, path, &[("accept-encoding", "gzip")]).await;
                assert_eq!(common(&response), [TAG, "Cookie", "max-age=60"], "{method} {path}");
                assert_eq!(field(&response, "content-encoding"), "", "{method} {path}");
            }
            // A tag that was sent as it is stays as it is.
            let fields = [("accept-encoding", "gzip"), ("if-none-match", TAG)];
            let fresh = ask(&gateway, Version::HTTP_11, "GET", "/small", &fields).await;
            assert_eq!((fresh.status().as_u16(), field(&fresh, "etag").as_str()), (304, TAG));
        }
    });
}

#[test]
fn a_client_may_change_what_it_got_compressed() {
    run(async {
        let (h1, h2) = (backend_h1().await, backend_h2().await);
        for words in [format!("proxy {}", h1.addr), format!("proxy h2c://{}", h2.addr)] {
            let gateway = Gateway::start(&format!("a.test {{\n compress\n {words}\n}}"), Speaks::H1).await;
            let get = ask(&gateway, Version::HTTP_11, "GET", "/text", &[("accept-encoding", "gzip")]).await;
            let tag = get.headers()["etag"].to_str().unwrap().to_owned();
            assert_eq!(tag, "W/\"v1~doorward\"");
            // A weak tag of somebody else proves nothing.
            for (sent, expected) in [
                (tag.as_str(), 204),
                ("\"v0\", W/\"v1~doorward\"", 204),
                (TAG, 204),
                ("*", 204),
                ("W/\"v1\"", 412),
                ("W/\"v2~doorward\"", 412),
                ("\"v1~doorward\"", 412),
            ] {
                let put = ask(&gateway, Version::HTTP_11, "PUT", "/text", &[("if-match", sent)]).await;
                assert_eq!(put.status(), expected, "{sent}");
            }
        }
    });
}

#[test]
fn a_head_ends_with_its_header_on_the_wire() {
    run(async {
        let backend = backend_h1().await;
        let gateway = Gateway::start(&format!("a.test {{\n compress\n proxy {}\n}}", backend.addr), Speaks::H1).await;
        let mut client = gateway.client().await;
        for _ in 0..2 {
            client.send("HEAD /text HTTP/1.1\r\nhost: a.test\r\naccept-encoding: gzip\r\n\r\n").await;
            let head = client.head().await;
            assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-encoding: gzip\r\n"), "{head}");
            assert!(!head.contains("content-length") && !head.contains("transfer-encoding"), "{head}");
        }
        assert_eq!(client.unread(), b"");
    });
}
