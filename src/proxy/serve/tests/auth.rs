//! Who may pass: passwords, another service's word, tokens.

use std::cell::RefCell;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

use super::harness::*;
use crate::base::time::{Clock, SystemClock};

async fn gateway(words: &str, backend: &Backend) -> Gateway {
    Gateway::start(&format!("a.test {{\n {words}\n proxy {}\n}}", backend.addr), Speaks::H1).await
}

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: a.test\r\n{fields}connection: close\r\n\r\n")
}

const OPEN: &str = "upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n";

fn status(answer: &str) -> &str {
    &answer[9..12]
}

#[test]
fn a_name_and_its_password_pass_and_guesses_are_events() {
    run(async {
        let backend = Backend::mirror().await;
        let words = format!("auth basic {{\n alice {}\n}}", bcrypt::hash("wonderland", 4).unwrap());
        let gateway = gateway(&words, &backend).await;
        let asked = gateway.ask(&get("/", "")).await;
        assert_eq!(status(&asked), "401");
        assert!(asked.contains("\r\nwww-authenticate: Basic realm=\"restricted\", charset=\"UTF-8\"\r\n"), "{asked}");
        let with = |text: &str| format!("authorization: Basic {}\r\n", STANDARD.encode(text));
        for (text, expected) in [("alice:wonderland", "200"), ("alice:wonderland", "200"), ("alice:x", "401"), ("bob:x", "401")] {
            assert_eq!(status(&gateway.ask(&get("/", &with(text))).await), expected, "for {text}");
        }
        let socket = gateway.ask(&get("/ws", OPEN).replace("connection: close", "connection: upgrade")).await;
        assert_eq!(status(&socket), "401");
        assert_eq!(backend.connections.get(), 1, "nothing of the others reached the backend");
        assert_eq!(gateway.metrics.proxy.auth_failed.read(), 2);
        let records = gateway.records().await;
        let reasons: Vec<_> = records.iter().map(|record| record["reason"].as_str().unwrap_or("")).collect();
        assert_eq!(reasons, ["password-missing", "", "", "password-wrong", "password-wrong", "password-missing"]);
    });
}

#[test]
fn another_service_decides_and_names_the_user() {
    run(async {
        let questions = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&questions);
        let service = Backend::start(move |mut peer, _| {
            let seen = Rc::clone(&seen);
            async move {
                loop {
                    let head = peer.head().await;
                    if head.is_empty() {
                        return;
                    }
                    let answer = if head.contains("cookie: good") {
                        "HTTP/1.1 200 OK\r\nremote-user: alice\r\nx-more: no\r\ncontent-length: 2\r\n\r\nok"
                    } else {
                        "HTTP/1.1 302 Found\r\nlocation: https://login.test/\r\nset-cookie: state=1\r\ncontent-length: 0\r\n\r\n"
                    };
                    seen.borrow_mut().push(head);
                    peer.send(answer).await;
                }
            }
        })
        .await;
        let backend = Backend::mirror().await;
        let words = format!("auth forward http://{}/check?x=1 {{\n copy Remote-User Remote-Groups\n}}", service.addr);
        let gateway = gateway(&words, &backend).await;
        let conditions = "if-none-match: *\r\nif-match: \"x\"\r\nif-modified-since: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        let forged = format!("remote-user: root\r\nremote-groups: wheel\r\ncookie: good\r\n{conditions}");
        let body =
            format!("POST /secret?q=1 HTTP/1.1\r\nhost: a.test\r\n{forged}content-length: 2\r\nconnection: close\r\n\r\nhi");
        let passed = gateway.ask(&body).await;
        assert_eq!(status(&passed), "200");
        assert!(
            passed.contains("\r\nremote-user: alice\r\n") && !passed.contains("wheel") && !passed.contains("root"),
            "{passed}"
        );
        assert!(!passed.contains("x-more"), "{passed}");
        let question = questions.borrow()[0].clone();
        assert!(question.starts_with("GET /check?x=1 HTTP/1.1\r\n"), "{question}");
        for line in
            ["x-forwarded-method: POST", "x-forwarded-uri: /secret?q=1", "x-forwarded-host: a.test", "x-forwarded-proto: https"]
        {
            assert!(question.contains(&format!("\r\n{line}\r\n")), "{line} in {question}");
        }
        assert!(
            question.contains(&format!("\r\nhost: {}\r\n", service.addr)) && !question.contains("content-length"),
            "{question}"
        );
        assert!(!question.contains("\r\nif-") && passed.contains("\r\nif-none-match: *\r\n"), "{question}{passed}");
        let refused = gateway.ask(&get("/ws", OPEN).replace("connection: close", "connection: upgrade")).await;
        assert_eq!(status(&refused), "302");
        assert!(refused.contains("\r\nlocation: https://login.test/\r\n") && refused.contains("set-cookie"), "{refused}");
        assert!(!questions.borrow()[1].contains("upgrade"), "{}", questions.borrow()[1]);
        assert_eq!((backend.connections.get(), service.connections.get()), (1, 1));
        assert_eq!(gateway.records().await[1]["reason"], "auth-service-refused");
    });
}

#[test]
fn without_a_decision_nobody_passes() {
    run(async {
        let backend = Backend::mirror().await;
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        for words in [format!("auth forward http://{gone}/"), format!("auth jwt {{\n keys http://{gone}/\n algorithms HS256\n}}")]
        {
            let gateway = gateway(&words, &backend).await;
            let answer = gateway.ask(&get("/", &format!("authorization: Bearer {}\r\n", token(b"secret", "k1", 60)))).await;
            assert_eq!(status(&answer), "503");
            assert!(answer.contains("\r\nretry-after: 5\r\n"), "{answer}");
            assert_eq!(gateway.records().await[0]["reason"], "auth-service-failed");
        }
        assert_eq!(backend.connections.get(), 0);
    });
}

/// A token that is good for so many seconds.
fn token(secret: &[u8], key: &str, seconds: i64) -> String {
    let claims =
        serde_json::json!({ "sub": "alice", "aud": "api", "iss": "https://id.test", "exp": SystemClock.now().unix() + seconds });
    let header = Header { kid: Some(key.to_owned()), ..Header::new(Algorithm::HS256) };
    encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn key_set(keys: &[(&str, &[u8])]) -> String {
    let key = |(id, secret): &(&str, &[u8])| serde_json::json!({ "kty": "oct", "kid": id, "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(secret) });
    serde_json::json!({ "keys": keys.iter().map(key).collect::<Vec<_>>() }).to_string()
}

/// Serves a key set.
async fn issuer(keys: Rc<RefCell<String>>) -> Backend {
    Backend::start(move |mut peer, _| {
        let keys = Rc::clone(&keys);
        async move {
            peer.head().await;
            let text = keys.borrow().clone();
            peer.send(&format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}", text.len())).await;
        }
    })
    .await
}

#[test]
fn a_token_passes_wherever_the_site_looks_for_it_and_no_backend_sees_it() {
    run(async {
        let issuer = issuer(Rc::new(RefCell::new(key_set(&[("k1", b"secret")])))).await;
        let backend = Backend::mirror().await;
        let words = format!(
            "auth jwt {{\n keys http://{}/jwks.json\n algorithms HS256\n issuer https://id.test\n audience api\n token bearer\n token cookie session\n \
             token query token\n strip\n}}",
            issuer.addr
        );
        let gateway = gateway(&words, &backend).await;
        let good = token(b"secret", "k1", 60);
        for request in [
            get("/a?b=1", &format!("authorization: Bearer {good}\r\n")),
            get("/a?b=1", &format!("cookie: x=1; session={good}\r\n")),
            get(&format!("/a?token={good}&b=1"), ""),
        ] {
            let answer = gateway.ask(&request).await;
            assert_eq!(status(&answer), "200", "{answer}");
            assert!(answer.contains("GET /a?b=1 HTTP/1.1\r\n") && !answer.contains(&good), "{answer}");
        }
        for (bad, reason) in [
            (token(b"other", "k1", 60), "token-wrong"),
            (token(b"secret", "k2", 60), "token-wrong"),
            (token(b"secret", "k1", -120), "token-expired"),
            ("nonsense".to_owned(), "token-wrong"),
        ] {
            let answer = gateway.ask(&get("/", &format!("authorization: Bearer {bad}\r\n"))).await;
            assert_eq!(status(&answer), "401", "{reason}");
            assert!(answer.contains("error=\"invalid_token\""), "{answer}");
        }
        let records = gateway.records().await;
        let reasons: Vec<_> = records.iter().skip(3).map(|record| record["reason"].as_str().unwrap()).collect();
        assert_eq!(reasons, ["token-wrong", "token-wrong", "token-expired", "token-wrong"]);
        assert!(!records.iter().any(|record| record.to_string().contains(&good)), "a token is in no log");
    });
}

#[test]
fn keys_are_fetched_once_and_again_when_a_token_has_a_new_one() {
    run(async {
        let keys = Rc::new(RefCell::new(key_set(&[("k1", b"one")])));
        let issuer = issuer(Rc::clone(&keys)).await;
        let backend = Backend::mirror().await;
        let words = format!("auth jwt {{\n keys http://{}/jwks.json\n algorithms HS256\n}}", issuer.addr);
        let gateway = gateway(&words, &backend).await;
        let ask = |token: String| {
            let gateway = &gateway;
            async move { status(&gateway.ask(&get("/", &format!("authorization: Bearer {token}\r\n"))).await).to_owned() }
        };
        assert_eq!(ask(token(b"one", "k1", 60)).await, "200");
        assert_eq!(ask(token(b"one", "k1", 60)).await, "200");
        assert_eq!(issuer.connections.get(), 1);
        *keys.borrow_mut() = key_set(&[("k1", b"one"), ("k2", b"two")]);
        assert_eq!(ask(token(b"two", "k2", 60)).await, "401", "not more often than every half minute");
        assert_eq!(issuer.connections.get(), 1);
    });
}
