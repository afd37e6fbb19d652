//! What the gateway says of a client reaches the backend whatever the client sends, and is one truth.

use super::harness::*;

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: a.test\r\n{fields}\r\n")
}

/// A service that lets everybody pass as `alice` of the group `users`.
async fn service() -> Backend {
    Backend::says("HTTP/1.1 200 OK\r\nremote-user: alice\r\nremote-groups: users\r\ncontent-length: 0\r\n\r\n").await
}

const ADDED: [&str; 9] = [
    "remote-user: alice",
    "remote-groups: users",
    "x-tenant: t1",
    "x-real-ip: 127.0.0.1",
    "x-forwarded-for: 127.0.0.1",
    "x-forwarded-proto: https",
    "x-forwarded-host: a.test",
    "forwarded: for=127.0.0.1;host=a.test;proto=https",
    "via: 1.1 doorward",
];

#[test]
fn a_client_can_neither_remove_nor_set_what_is_added_to_its_request() {
    run(async {
        let (service, backend) = (service().await, Backend::mirror().await);
        for edits in ["request-headers set X-Tenant t1", ""] {
            let text = format!(
                "a.test {{\n {edits}\n auth forward http://{}/ {{\n copy Remote-User Remote-Groups\n }}\n proxy {}\n}}",
                service.addr, backend.addr
            );
            let gateway = Gateway::start(&text, Speaks::H1).await;
            let names = "remote-user, Remote-Groups, x-tenant, x-real-ip, x-forwarded-for, x-forwarded-proto, x-forwarded-host, \
                         forwarded, via, x-request-id, keep-alive";
            let own = "remote_user: root\r\nremote-user: root\r\nx_tenant: t2\r\nx.real.ip: 6.6.6.6\r\nx-request-id: mine\r\n";
            for fields in [format!("connection: {names}\r\n"), own.to_owned(), format!("{own}connection: {names}\r\n")] {
                let seen = gateway.ask(&get(&fields)).await;
                for line in ADDED.iter().filter(|line| !edits.is_empty() || !line.starts_with("x-tenant")) {
                    assert!(seen.contains(&format!("\r\n{line}\r\n")), "{line} for {fields}: {seen}");
                }
                assert!(!seen.contains("root") && !seen.contains("6.6.6.6") && !seen.contains("mine"), "{fields}: {seen}");
                assert!(edits.is_empty() || !seen.contains("t2"), "{fields}: {seen}");
                assert!(seen.contains("\r\nx-request-id: "), "{fields}: {seen}");
            }
        }
    });
}

#[test]
fn an_upgrade_does_not_ask_the_backend_to_remove_fields() {
    run(async {
        let (service, backend) = (service().await, Backend::mirror().await);
        let text = format!(
            "a.test {{\n auth forward http://{}/ {{\n copy Remote-User Remote-Groups\n }}\n proxy {}\n}}",
            service.addr, backend.addr
        );
        let gateway = Gateway::start(&text, Speaks::H1).await;
        let fields = "connection: Upgrade, Remote-Groups\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                      sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let seen = gateway.ask(&get(fields)).await.to_lowercase();
        assert!(seen.contains("\r\nconnection: upgrade\r\n") && seen.contains("\r\nupgrade: websocket\r\n"), "{seen}");
        assert!(seen.contains("\r\nremote-groups: users\r\n"), "{seen}");
    });
}

#[test]
fn a_service_that_sets_a_field_of_the_gateway_does_not_double_it() {
    run(async {
        let service =
            Backend::says("HTTP/1.1 200 OK\r\nx-real-ip: 6.6.6.6\r\nx-request-id: theirs\r\ncontent-length: 0\r\n\r\n").await;
        let backend = Backend::mirror().await;
        let text = format!(
            "a.test {{\n auth forward http://{}/ {{\n copy X-Real-IP X-Request-Id\n }}\n proxy {}\n}}",
            service.addr, backend.addr
        );
        let seen = Gateway::start(&text, Speaks::H1).await.ask(&get("")).await.to_lowercase();
        assert_eq!(seen.matches("\r\nx-real-ip: ").count(), 1, "{seen}");
        assert!(seen.contains("\r\nx-real-ip: 127.0.0.1\r\n") && !seen.contains("theirs"), "{seen}");
    });
}

#[test]
fn a_backend_that_lists_fields_of_the_gateway_in_connection_does_not_remove_them() {
    run(async {
        let answer = "HTTP/1.1 200 OK\r\nconnection: set-cookie, x-frame-options, x-own, via\r\nx-frame-options: DENY\r\n\
                      set-cookie: theirs=1\r\ncontent-length: 2\r\n\r\nhi";
        let backend = Backend::says(answer).await;
        let text = format!(
            "upstream app {{\n to {}\n sticky cookie lb\n}}\na.test {{\n security-headers\n headers set X-Own 1\n proxy app\n}}",
            backend.addr
        );
        let seen = Gateway::start(&text, Speaks::H1).await.ask(&get("")).await;
        for line in ["x-frame-options: SAMEORIGIN", "x-own: 1", "via: 1.1 doorward"] {
            assert!(seen.contains(&format!("\r\n{line}\r\n")), "{line}: {seen}");
        }
        assert!(seen.contains("\r\nset-cookie: lb=") && !seen.contains("theirs"), "{seen}");
    });
}

#[test]
fn fields_with_signs_in_their_names_pass_unless_they_read_as_another() {
    run(async {
        let backend = Backend::mirror().await;
        let check = async |words: &str, name: &str, expected: bool| {
            let text = format!("a.test {{\n {words}\n proxy {}\n}}", backend.addr);
            let gateway = Gateway::start(&text, Speaks::H1).await;
            let seen = gateway.ask(&get(&format!("{name}: 6.6.6.6\r\n"))).await;
            assert_eq!(seen.contains("6.6.6.6"), expected, "{name} with {words:?}: {seen}");
        };
        check("", "api_key", true).await;
        check("", "X-Trace.Id", true).await;
        check("", "x_real_ip", false).await;
        check("", "Proxy", false).await;
        check("keep-headers x_real_ip", "X_Real_IP", true).await;
    });
}

#[test]
fn a_second_authorization_is_refused() {
    run(async {
        let backend = Backend::mirror().await;
        let gateway = Gateway::before(&backend).await;
        let seen = gateway.ask(&get("authorization: Bearer a\r\nauthorization: Bearer b\r\n")).await;
        assert!(seen.starts_with("HTTP/1.1 400 "), "{seen}");
        assert_eq!(backend.connections.get(), 0);
        assert_eq!(gateway.records().await[0]["reason"], "bad-authorization-count");
    });
}

#[test]
fn what_a_trusted_proxy_says_in_one_way_is_said_in_every_way() {
    run(async {
        let backend = Backend::mirror().await;
        let check = async |proxies: &str, sent: &str, client: &str, chain: &str, scheme: &str, host: &str, port: &str| {
            let text = format!("{proxies}\na.test {{\n proxy {}\n}}", backend.addr);
            let gateway = Gateway::start(&text, Speaks::H1).await;
            let seen = gateway.ask(&get(sent)).await.to_lowercase();
            let quoted = |ip: &str| if ip.contains(':') { format!("\"[{ip}]\"") } else { ip.to_owned() };
            let written = if host.contains(':') { format!("\"{host}\"") } else { host.to_owned() };
            let mut elements = chain.split(", ").map(|ip| format!("for={}", quoted(ip)));
            let first = format!("{};host={written};proto={scheme}", elements.next().unwrap());
            let forwarded = std::iter::once(first).chain(elements).collect::<Vec<_>>().join(", ");
            for (name, value) in [
                ("x-forwarded-for", chain),
                ("x-real-ip", client),
                ("x-forwarded-proto", scheme),
                ("x-forwarded-host", host),
                ("x-forwarded-port", port),
                ("forwarded", &forwarded),
            ] {
                assert_eq!(seen.matches(&format!("\r\n{name}: ")).count(), 1, "{name} for {sent}: {seen}");
                assert!(seen.contains(&format!("\r\n{name}: {value}\r\n")), "{name}: {value} for {sent}: {seen}");
            }
            assert_eq!(gateway.records().await[0]["client"], client, "{sent}");
        };
        const PROXY: &str = "trusted-proxies 127.0.0.0/8 10.0.0.0/8";
        let all = "x-forwarded-for: 6.6.6.6\r\nx-real-ip: 6.6.6.6\r\nx-forwarded-proto: http\r\nx-forwarded-host: evil.test\r\n\
                   x-forwarded-port: 1\r\nforwarded: for=6.6.6.6;proto=http;host=evil.test\r\n";
        check("", all, "127.0.0.1", "127.0.0.1", "https", "a.test", "443").await;
        check(PROXY, "", "127.0.0.1", "127.0.0.1", "https", "a.test", "443").await;
        let both = "1.1.1.1, 127.0.0.1";
        check(PROXY, "x-forwarded-for: 1.1.1.1\r\n", "1.1.1.1", both, "https", "a.test", "443").await;
        check(PROXY, "x-real-ip: 1.1.1.1\r\n", "1.1.1.1", both, "https", "a.test", "443").await;
        check(PROXY, "forwarded: for=1.1.1.1\r\n", "1.1.1.1", both, "https", "a.test", "443").await;
        check(PROXY, "forwarded: For=\"1.1.1.1:4711\";by=x\r\n", "1.1.1.1", both, "https", "a.test", "443").await;
        check(PROXY, "forwarded: for=\"[2001:db8::1]\"\r\n", "2001:db8::1", "2001:db8::1, 127.0.0.1", "https", "a.test", "443")
            .await;
        // What X-Forwarded-For says wins over what a proxy may have passed on from its client.
        let contradiction =
            "x-forwarded-for: 1.1.1.1\r\nx-real-ip: 6.6.6.6\r\nforwarded: for=6.6.6.6;proto=http;host=evil.test\r\n";
        check(PROXY, contradiction, "1.1.1.1", both, "https", "a.test", "443").await;
        // What stands before the client in the list was written by the client.
        check(PROXY, "x-forwarded-for: 6.6.6.6, 1.1.1.1\r\n", "1.1.1.1", both, "https", "a.test", "443").await;
        check(
            PROXY,
            "x-forwarded-for: 6.6.6.6, 1.1.1.1, 10.0.0.9\r\n",
            "1.1.1.1",
            "1.1.1.1, 10.0.0.9, 127.0.0.1",
            "https",
            "a.test",
            "443",
        )
        .await;
        check(PROXY, "x-forwarded-for: unknown\r\n", "127.0.0.1", "127.0.0.1", "https", "a.test", "443").await;
        check(PROXY, "forwarded: for=unknown;proto=http\r\n", "127.0.0.1", "127.0.0.1", "https", "a.test", "443").await;
        // How the client came to the first proxy.
        check(PROXY, "x-forwarded-for: 1.1.1.1\r\nx-forwarded-proto: http\r\n", "1.1.1.1", both, "http", "a.test", "80").await;
        check(PROXY, "x-forwarded-proto: HTTP\r\n", "127.0.0.1", "127.0.0.1", "http", "a.test", "80").await;
        check(PROXY, "x-forwarded-proto: gopher\r\n", "127.0.0.1", "127.0.0.1", "https", "a.test", "443").await;
        check(
            PROXY,
            "forwarded: for=1.1.1.1;proto=http;host=\"b.test:8080\"\r\n",
            "1.1.1.1",
            both,
            "http",
            "b.test:8080",
            "8080",
        )
        .await;
        check(
            PROXY,
            "x-forwarded-for: 1.1.1.1\r\nforwarded: for=1.1.1.1;proto=http;host=b.test\r\n",
            "1.1.1.1",
            both,
            "http",
            "b.test",
            "80",
        )
        .await;
        check(PROXY, "x-forwarded-host: b.test:8443\r\n", "127.0.0.1", "127.0.0.1", "https", "b.test:8443", "8443").await;
        check(
            PROXY,
            "x-forwarded-host: b.test\r\nx-forwarded-port: 8443\r\n",
            "127.0.0.1",
            "127.0.0.1",
            "https",
            "b.test",
            "8443",
        )
        .await;
        check(
            PROXY,
            "x-forwarded-host: b.test/x\r\nx-forwarded-port: 99999\r\n",
            "127.0.0.1",
            "127.0.0.1",
            "https",
            "a.test",
            "443",
        )
        .await;
    });
}
