//! Which backend a request goes to.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

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
            for user in 0..60 {
                let lines = format!("{line}user{user}\r\n");
                let first = who(&gateway, &lines).await;
                assert_eq!(who(&gateway, &lines).await, first);
                seen.insert(first);
            }
            assert!(seen.len() == 4, "sixty users are spread over all: {seen:?}");
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

#[test]
fn a_backend_that_keeps_failing_is_asked_no_more_and_nobody_notices() {
    run(async {
        let requests = Rc::new(Cell::new(0));
        let count = Rc::clone(&requests);
        // A connection without a request is the one that finds out whether this is a server of TLS.
        let failing = Backend::start(move |mut peer, _| {
            let count = Rc::clone(&count);
            async move {
                if peer.head().await.starts_with("GET") {
                    count.set(count.get() + 1);
                }
            }
        })
        .await;
        let group = Group::new(1).await;
        let targets = format!("{} {}", failing.addr, group.backends[0].addr);
        let text = format!("upstream u {{\n to {targets}\n max-fails 2\n}}\na.test {{\n proxy u\n}}");
        let gateway = Gateway::start(&text, Speaks::H1).await;
        for _ in 0..12 {
            assert_eq!(who(&gateway, "").await, '0');
        }
        assert_eq!(requests.get(), 2, "the third request in its turn went elsewhere at once");
        assert_eq!(gateway.metrics.proxy.targets_down.read(), 1);
    });
}

#[test]
fn what_a_backend_may_have_acted_on_goes_to_no_other() {
    run(async {
        let failing = Backend::start(|mut peer, _| async move { drop(peer.head().await) }).await;
        let group = Group::new(1).await;
        let (first, backup) = (failing.addr, group.backends[0].addr);
        let text = format!("upstream u {{\n to {first}\n to {backup} backup\n}}\na.test {{\n proxy u\n}}");
        let gateway = Gateway::start(&text, Speaks::H1).await;
        for request in
            ["POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx", "PATCH / HTTP/1.1\r\nHost: a.test\r\n\r\n"]
        {
            let answer = gateway.ask(request).await;
            assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
        }
        assert_eq!(who(&gateway, "").await, '0');
    });
}

/// The value of the cookie that an answer sets.
fn cookie_of(answer: &str) -> Option<String> {
    let line = answer.lines().find_map(|line| line.strip_prefix("set-cookie: lb="))?;
    Some(line.split(';').next().unwrap_or_default().to_owned())
}

#[test]
fn a_client_with_our_cookie_comes_to_the_same_backend_and_one_with_another_does_not() {
    run(async {
        let group = Group::new(3).await;
        let gateway = group.gateway("sticky cookie lb").await;
        let get = |cookie: &str| format!("GET / HTTP/1.1\r\nHost: a.test\r\ncookie: a=b; lb={cookie}; c=d\r\n\r\n");
        let first = gateway.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
        assert!(first.contains("; Path=/; HttpOnly; Secure; SameSite=Lax\r\n"), "{first}");
        let cookie = cookie_of(&first).unwrap();
        for _ in 0..5 {
            let again = gateway.ask(&get(&cookie)).await;
            assert!(again.ends_with(first.chars().last().unwrap()) && cookie_of(&again).is_none(), "{again}");
        }
        let address = group.backends[0].addr.to_string();
        for forged in [address.as_str(), "", "0", &cookie[1..], &cookie.replace(|c: char| c.is_ascii_digit(), "f")] {
            let answer = gateway.ask(&get(forged)).await;
            assert!(cookie_of(&answer).is_some(), "{forged} is not believed: {answer}");
        }
    });
}

#[test]
fn a_sticky_client_moves_when_its_backend_is_gone() {
    run(async {
        let group = Group::new(1).await;
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let both = format!(
            "upstream u {{\n to {} {}\n sticky cookie lb\n max-fails 1\n}}\na.test {{\n proxy u\n}}",
            gone.local_addr().unwrap(),
            group.backends[0].addr
        );
        let gateway = Gateway::start(&both, Speaks::H1).await;
        drop(gone);
        let first = gateway.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
        let cookie = cookie_of(&first).unwrap();
        assert!(first.ends_with('0'), "{first}");
        // The same cookie is right after the group was built again, too, and of the other target's nobody has one.
        gateway.reload(&both.replace("max-fails 1", "max-fails 2"));
        let again = gateway.ask(&format!("GET / HTTP/1.1\r\nHost: a.test\r\ncookie: lb={cookie}\r\n\r\n")).await;
        assert!(again.ends_with('0') && cookie_of(&again).is_none(), "{again}");
        let other = Group::new(2).await;
        gateway.reload(&both.replace(&group.backends[0].addr.to_string(), &other.backends[1].addr.to_string()));
        let moved = gateway.ask(&format!("GET / HTTP/1.1\r\nHost: a.test\r\ncookie: lb={cookie}\r\n\r\n")).await;
        assert!(moved.ends_with('1') && cookie_of(&moved).is_some_and(|new| new != cookie), "{moved}");
    });
}
