//! `Location` and `Content-Location`: those of a backend pass as they came, whatever becomes of the path in front of it, and those
//! that the gateway writes itself lead to where the configuration says, whatever a client asks for.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use doorward::base::task;

use crate::support::gateway::Gateway;
use crate::support::line::Line;
use crate::support::server::Server;
use crate::support::wait;

const SOON: Duration = wait::LIMIT;

/// What a backend sends, which clients take for a page of the site, of another one, or for none.
const SENT: [&str; 22] = [
    "",
    "next",
    "./next?a=b#c",
    "../up",
    "?a=b",
    "#part",
    "/api/next",
    "/next",
    "//other.test/next",
    "///other.test/next",
    "/\\other.test/next",
    "\\\\other.test/next",
    "https://localhost/next",
    "http://localhost:8000/api/next",
    "http://127.0.0.1:8000/next",
    "https://other.test/next",
    "https://user:word@localhost/next",
    "https://localhost@other.test/next",
    "https://localhost:65536/next",
    "/next%0d%0aSet-Cookie:%20a=b",
    "/%2e%2e/%2f%2fother.test",
    "javascript:alert(1)",
];

/// A backend that answers `/.../NUMBER` with what stands there, in both fields.
fn backend() -> Server {
    Server::start("a backend", ([127, 0, 0, 1], 0).into(), |listener| async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let serving = task::spawn("a connection", async move {
                let mut asked = vec![0; 8_192];
                let read = socket.read(&mut asked).await.unwrap_or(0);
                let text = String::from_utf8_lossy(&asked[..read]).into_owned();
                let last = text.split(' ').nth(1).and_then(|path| path.rsplit('/').next()).unwrap_or_default();
                let to = match last {
                    "cr" => "/a\rSet-Cookie: a=b",
                    "nul" => "/a\0b",
                    number => number.parse::<usize>().map_or("/", |number| SENT[number]),
                };
                let answer = format!(
                    "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Location: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let _ = socket.write_all(answer.as_bytes()).await;
                let _ = socket.shutdown().await;
                while socket.read(&mut [0; 8_192]).await.is_ok_and(|read| read > 0) {}
            });
            drop(serving);
        }
    })
}

struct Scene {
    gateway: Gateway,
    root: PathBuf,
}

impl Scene {
    fn new(rest: &str) -> Self {
        let (gateway, root) = Gateway::on_localhost(rest);
        Self { gateway, root }
    }

    /// The head of the answer to a request line's target.
    fn head(&self, host: &str, method: &str, target: &str) -> String {
        let mut line = Line::open(host, self.gateway.https, &self.root);
        let host = format!("{host}:{}", self.gateway.https);
        line.say(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes());
        line.head()
    }

    /// The same by the port in the clear.
    fn plain(&self, host: &str, method: &str, target: &str) -> String {
        let mut line = Line::open_plain(self.gateway.http);
        line.say(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes());
        line.head()
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn what_a_backend_sends_passes_as_it_came_with_and_without_a_prefix_that_is_cut_off() {
    let backend = backend();
    let port = backend.address().port();
    let scene = Scene::new(&format!(
        "localhost {{\n    /api/* {{\n        strip-prefix /api\n        proxy {port}\n    }}\n    /new/* {{\n        rewrite /x\n        respond 200 here\n    }}\n    /* {{\n        proxy {port}\n    }}\n}}"
    ));
    for (number, sent) in SENT.iter().enumerate() {
        for path in [format!("/{number}"), format!("/api/{number}")] {
            let head = scene.head("localhost", "GET", &path);
            assert_eq!(status(&head), "302", "{sent}: {head}");
            for name in ["location", "content-location"] {
                assert_eq!(field(&head, name), Some(*sent), "{path}: {head}");
            }
        }
    }
    // What would be two fields to some clients is no answer.
    for path in ["/cr", "/api/cr", "/nul"] {
        let head = scene.head("localhost", "GET", path);
        assert!(status(&head) == "502" && field(&head, "set-cookie").is_none() && field(&head, "location").is_none(), "{head}");
    }
}

#[test]
fn what_the_gateway_writes_leads_where_the_configuration_says() {
    let scene = Scene::new(
        "localhost www.localhost {\n    canonical localhost\n    /api/* {\n        strip-prefix /api\n        respond 200 here\n    }\n    \
         /go/* {\n        redirect https://other.test\n    }\n    /fixed/* {\n        redirect /login 303\n    }\n    \
         /* {\n        respond 200 here\n    }\n}\nmoved.localhost {\n    redirect https://other.test:8443\n}",
    );
    wait::until_true("all hosts are served", SOON, || {
        ["www.localhost", "moved.localhost"].iter().all(|host| scene.gateway.get(host, "/", &scene.root).is_ok())
    });
    let (own, https) = (format!("https://localhost:{}", scene.gateway.https), scene.gateway.https);
    let check = |(host, method, target): (&str, &str, &str), expected: Option<&str>| {
        let head = scene.head(host, method, target);
        let refused = matches!(status(&head), "200" | "400" | "404" | "405" | "421");
        match expected {
            Some(to) => assert_eq!(field(&head, "location"), Some(to), "{host} {target}: {head}"),
            None => assert!(refused && field(&head, "location").is_none(), "{host} {target}: {head}"),
        }
        assert!(field(&head, "set-cookie").is_none(), "{target}: {head}");
    };
    // A prefix that is cut off: a path of this host, with one slash in front.
    check(("localhost", "GET", "/api"), Some("/api/"));
    check(("localhost", "GET", "/api?to=//other.test"), Some("/api/?to=//other.test"));
    check(("localhost", "HEAD", "/api?%0d%0aSet-Cookie:a"), Some("/api/?%0d%0aSet-Cookie:a"));
    check(("localhost", "POST", "/api"), None);
    // Another origin: what is appended stays behind its authority.
    check(("localhost", "GET", "/go/x?a=b"), Some("https://other.test/go/x?a=b"));
    check(("localhost", "GET", "/go//evil.test"), Some("https://other.test/go//evil.test"));
    check(("localhost", "GET", "/go/@evil.test"), Some("https://other.test/go/@evil.test"));
    check(("localhost", "GET", "/go/%0d%0aSet-Cookie:a"), None);
    check(("localhost", "GET", "/fixed//evil.test"), Some("/login"));
    check(("moved.localhost", "GET", "//evil.test/"), Some("https://other.test:8443//evil.test/"));
    check(("moved.localhost", "GET", "/%2f%2fevil.test"), Some("https://other.test:8443/%2f%2fevil.test"));
    check(("moved.localhost", "OPTIONS", "*"), Some("https://other.test:8443/"));
    // Another host of the site.
    check(("www.localhost", "GET", "//evil.test/a?b"), Some(&format!("{own}//evil.test/a?b")));
    check(("www.localhost", "GET", "/@evil.test"), Some(&format!("{own}/@evil.test")));
    check(("www.localhost", "OPTIONS", "*"), Some(&format!("{own}/")));
    // Targets that are none.
    check(("localhost", "GET", "/go/\tx"), None);
    check(("localhost", "GET", "evil.test"), None);
    check(("moved.localhost", "GET", "https://user@moved.localhost/"), None);

    // The port in the clear: the same host, behind TLS.
    let check = |host: &str, method: &str, target: &str, expected: Option<String>| {
        let head = scene.plain(host, method, target);
        assert_eq!(field(&head, "location"), expected.as_deref(), "{host} {target}: {head}");
        assert!(expected.is_some() || status(&head).starts_with('4'), "{head}");
    };
    check("localhost", "GET", "/a?b=c", Some(format!("{own}/a?b=c")));
    check("LOCALHOST:80", "GET", "//evil.test", Some(format!("{own}//evil.test")));
    check("localhost", "OPTIONS", "*", Some(format!("{own}/")));
    check("localhost", "GET", "/%0d%0aSet-Cookie:a", Some(format!("{own}/%0d%0aSet-Cookie:a")));
    check("localhost", "GET", &format!("http://www.localhost:{https}/x"), None);
    check("evil.test", "GET", "/", None);
    check("localhost@evil.test", "GET", "/", None);
    check("evil.test\\localhost", "GET", "/", None);
    check("localhost", "GET", "http://localhost@evil.test/", None);
    check("localhost", "GET", "http://evil.test/", None);
}
