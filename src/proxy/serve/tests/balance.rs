//! Which backend a request goes to.

use std::collections::BTreeSet;

use super::harness::*;

/// Backends that answer with their number, and an upstream of them.
struct Group {
    backends: Vec<Backend>,
}

impl Group {
    async fn new(size: usize) -> Self {
        let mut backends = Vec::new();
        for answer in &ANSWERS[..size] {
            backends.push(Backend::says(answer).await);
        }
        Self { backends }
    }

    /// A gateway before all of them with these words.
    async fn gateway(&self, words: &str) -> Gateway {
        let targets: String = self.backends.iter().map(|backend| format!(" {}", backend.addr)).collect();
        Gateway::start(&format!("upstream u {{\n to{targets}\n {words}\n}}\na.test {{\n proxy u\n}}"), Speaks::H1).await
    }
}

const ANSWERS: [&str; 4] = [
    "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n0",
    "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1",
    "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n2",
    "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n3",
];

/// Who answered a request with these lines in its header.
async fn who(gateway: &Gateway, lines: &str) -> char {
    let answer = gateway.ask(&format!("GET / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer.chars().last().unwrap()
}

#[test]
fn what_is_alike_goes_to_the_same_backend() {
    run(async {
        let group = Group::new(4).await;
        for (words, line) in [("balance hash header X-User", "x-user: "), ("balance hash cookie sid", "cookie: a=b; sid=")] {
            let gateway = group.gateway(words).await;
            let mut seen = BTreeSet::new();
            for user in 0..20 {
                let lines = format!("{line}user{user}\r\n");
                let first = who(&gateway, &lines).await;
                assert_eq!(who(&gateway, &lines).await, first);
                seen.insert(first);
            }
            assert!(seen.len() == 4, "twenty users are spread over all: {seen:?}");
            // Who has none is served in turn.
            let strangers: BTreeSet<char> = [who(&gateway, "").await, who(&gateway, "").await].into();
            assert_eq!(strangers.len(), 2);
        }
        let gateway = group.gateway("balance hash ip").await;
        let first = who(&gateway, "").await;
        assert_eq!(who(&gateway, "x-forwarded-for: 192.0.2.9\r\n").await, first, "a stranger's word does not move it");
    });
}

#[test]
fn a_random_choice_reaches_everybody() {
    run(async {
        let gateway = Group::new(3).await;
        let gateway = gateway.gateway("balance random").await;
        let mut seen = BTreeSet::new();
        for _ in 0..60 {
            seen.insert(who(&gateway, "").await);
        }
        assert_eq!(seen.len(), 3);
    });
}
