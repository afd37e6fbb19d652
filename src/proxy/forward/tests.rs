use super::*;

/// `name: value` lines; the names of the answer come in the order of the map.
fn headers(text: &str) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    map
}

fn print(map: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> = map.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines
}

const PROXY_PEER: Peer = Peer::Proxy { client: IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9)), is_secure: true };

fn lines(peer: Peer) -> HeaderLines {
    let value = HeaderValue::from_static;
    HeaderLines {
        chain: value("203.0.113.9"),
        client: value("203.0.113.9"),
        proto: value("https"),
        port: value("443"),
        host: value("a.test"),
        forwarded: value("for=203.0.113.9;host=a.test;proto=https"),
        id: value("id7"),
        peer,
    }
}

const TOLD: &str = "forwarded: for=203.0.113.9;host=a.test;proto=https
    host: a.test
    via: 1.1 doorward
    x-forwarded-for: 203.0.113.9
    x-forwarded-host: a.test
    x-forwarded-port: 443
    x-forwarded-proto: https
    x-real-ip: 203.0.113.9
    x-request-id: id7";

/// What is left of `sent`, besides what every backend is prebuilt of a stranger.
fn check(sent: &str, hop: Hop, left: &str) {
    let mut map = headers(sent);
    map.insert(header::HOST, HeaderValue::from_static("a.test"));
    towards_backend(&mut map, lines(Peer::Untrusted), Version::HTTP_11, Framing::AsSent, hop);
    let mut expected = headers(TOLD);
    for (name, value) in &headers(left) {
        expected.append(name, value.clone());
    }
    assert_eq!(print(&map), print(&expected), "for {sent}");
}

#[test]
fn an_ordinary_request_is_told_the_same_by_lines_as_by_fields() {
    for (sent, ordinary) in [
        ("accept: */*", true),
        ("cookie: a=1\nx_real_ip: 1.1.1.1\nx-forwarded-ssl: on\nclient-cert: x", true),
        ("via: 1.1 other", false),
        ("x-forwarded-for: 1.1.1.1", false),
        ("x-real-ip: 1.1.1.1", false),
        ("forwarded: for=1.1.1.1", false),
        ("x-request-id: mine", false),
    ] {
        let (mut by_fields, mut by_lines) = (headers(sent), headers(sent));
        towards_backend(&mut by_fields, lines(Peer::Untrusted), Version::HTTP_2, Framing::AsSent, Hop::Ends);
        let lines = lines(Peer::Untrusted);
        let found = clean(
            &mut by_lines,
            (&lines.host, Peer::Untrusted),
            (Version::HTTP_2, Framing::AsSent),
            Hop::Ends,
            &Guard::default(),
        )
        .is;
        assert_eq!(found.is_ordinary(), ordinary, "{sent}");
        let prebuilt = PrebuiltHeaders { lines: &lines.written(), version: Version::HTTP_2, id: &lines.id };
        if ordinary {
            let mut written = Vec::new();
            prebuilt.write(&mut written);
            assert!(written.len() <= prebuilt.lines.len() + PrebuiltHeaders::AROUND);
            let mut read = headers(str::from_utf8(&written).unwrap());
            read.extend(by_lines.clone());
            prebuilt.add_to(&mut by_lines);
            assert_eq!(print(&by_lines), print(&by_fields), "{sent}");
            assert_eq!(print(&read), print(&by_fields), "{sent}");
        } else {
            add(&mut by_lines, found, lines.clone(), Version::HTTP_2);
            assert_eq!(print(&by_lines), print(&by_fields), "{sent}");
        }
    }
}

#[test]
fn a_backend_is_told_who_asked() {
    check("accept: */*", Hop::Ends, "accept: */*");
}

#[test]
fn what_a_stranger_says_of_hops_is_replaced() {
    check(
        "x-forwarded-for: 6.6.6.6\nx-forwarded-proto: http\nx-forwarded-host: evil\nx-forwarded-port: 1\nx-real-ip: 6.6.6.6\n\
         forwarded: for=6.6.6.6\nx-forwarded-prefix: /evil\nx-forwarded-ssl: off\nx-request-id: evil",
        Hop::Ends,
        "",
    );
}

#[test]
fn fields_of_one_hop_end_here() {
    check(
        "connection: keep-alive, X-Mine, Upgrade\nx-mine: 1\nkeep-alive: timeout=5\nproxy-connection: close\nte: gzip\nupgrade: h2c\n\
         http2-settings: AAA\nproxy-authorization: Basic eA==\ntransfer-encoding: chunked",
        Hop::Ends,
        "",
    );
    check("connection: content-length, host\ncontent-length: 5", Hop::Ends, "content-length: 5");
    check("te: gzip, trailers;q=0.5", Hop::Ends, "te: trailers");
    check("trailer: x-sum", Hop::Ends, "trailer: x-sum");
    check("proxy: http://evil.test", Hop::Ends, "");
    check("early-data: 1", Hop::Ends, "early-data: 1");
}

#[test]
fn names_that_pass_for_others_are_dropped() {
    check("x_real_ip: 6.6.6.6\nx-plain: 1\nx_forwarded_for: 6.6.6.6", Hop::Ends, "x-plain: 1");
    check("x.real.ip: 6.6.6.6\nx-2: 1\nx!forwarded~for: 6.6.6.6", Hop::Ends, "x-2: 1");
    check("x-2: 1\nx_2: 2\napi_key: 3\nX.Y: 4", Hop::Ends, "x-2: 1\napi_key: 3\nx.y: 4");
}

#[test]
fn an_upgrade_reaches_the_backend_as_it_was_sent() {
    let sent = "connection: keep-alive, Upgrade\nupgrade: websocket\nsec-websocket-key: k\nsec-websocket-extensions: permessage-deflate\n\
                cookie: a=1";
    check(sent, Hop::Upgrades, sent);
    let listing = "connection: Upgrade, X-Mine\nx-mine: 1\nupgrade: websocket";
    check(listing, Hop::Upgrades, "connection: Upgrade\nupgrade: websocket");
}

#[test]
fn what_a_trusted_proxy_says_besides_stays() {
    let mut map =
        headers("host: a.test\nx-forwarded-for: 1.1.1.1\nx-forwarded-prefix: /p\nforwarded: for=1.1.1.1\nx-real-ip: 6.6.6.6");
    towards_backend(&mut map, lines(PROXY_PEER), Version::HTTP_11, Framing::AsSent, Hop::Ends);
    let expected = headers(&format!("{TOLD}\nx-forwarded-prefix: /p"));
    assert_eq!(print(&map), print(&expected));
}

/// What is left of each field where a client sends it, where a trusted proxy says the same by it as the gateway does, and where
/// such a proxy says something else.
#[test]
fn fields_that_state_a_fact_of_the_client_never_contradict_one_another() {
    let left = |sent: &str, peer: Peer, guard: &Guard| {
        let mut map = headers(sent);
        let host = HeaderValue::from_static("a.test");
        clean(&mut map, (&host, peer), (Version::HTTP_11, Framing::AsSent), Hop::Ends, guard);
        map.remove(header::HOST);
        print(&map)
    };
    let none = Guard::default();
    for (name, same, other) in [
        ("x-forwarded-ssl", "on", "off"),
        ("x-forwarded-scheme", "https", "http"),
        ("x-forwarded-protocol", "ssl", "http"),
        ("x-url-scheme", "HTTPS", "http"),
        ("x-scheme", "https", "ftp"),
        ("front-end-https", "On", "no"),
        ("x-client-ip", "203.0.113.9", "6.6.6.6"),
        ("client-ip", "203.0.113.9", "6.6.6.6"),
        ("true-client-ip", "::ffff:203.0.113.9", "6.6.6.6"),
        ("cf-connecting-ip", "203.0.113.9", "6.6.6.6"),
        ("cf-connecting-ipv6", "::ffff:203.0.113.9", "2001:db8::1"),
        ("x-cluster-client-ip", "203.0.113.9", "203.0.113.9, 6.6.6.6"),
        ("fastly-client-ip", "203.0.113.9", "unknown"),
        ("fly-client-ip", "203.0.113.9", "6.6.6.6"),
    ] {
        let (same, other) = (format!("{name}: {same}"), format!("{name}: {other}"));
        for sent in [&same, &other] {
            assert_eq!(left(sent, Peer::Untrusted, &none), Vec::<String>::new(), "{sent} of a client");
        }
        assert_eq!(left(&same, PROXY_PEER, &none), std::slice::from_ref(&same));
        assert_eq!(left(&other, PROXY_PEER, &none), Vec::<String>::new(), "{other} of a proxy");
        assert_eq!(left(&format!("{same}\n{other}"), PROXY_PEER, &none), Vec::<String>::new(), "{name} twice");
    }
    // These state nothing of that, and only a proxy may say them.
    for sent in ["x-forwarded-server: lb1", "x-forwarded-prefix: /p", "x-original-forwarded-for: 6.6.6.6"] {
        assert_eq!(left(sent, Peer::Untrusted, &none), Vec::<String>::new());
        assert_eq!(left(sent, PROXY_PEER, &none), [sent]);
    }
}

#[test]
fn http_2_pieces_become_one_message() {
    let mut map = headers("cookie: a=1\ncookie: b=2\nvia: 1.1 cdn");
    towards_backend(&mut map, lines(Peer::Untrusted), Version::HTTP_2, Framing::Chunked, Hop::Ends);
    assert_eq!(map[header::COOKIE], "a=1; b=2");
    assert_eq!(map[header::HOST], "a.test");
    assert_eq!(map[header::TRANSFER_ENCODING], "chunked");
    let via: Vec<_> = map.get_all(header::VIA).iter().collect();
    assert_eq!(via, ["1.1 cdn", "2.0 doorward"]);
}

#[test]
fn an_answer_loses_its_hop_and_keeps_the_rest() {
    let mut map = headers(
        "server: uvicorn\nconnection: close, x-hop\nx-hop: 1\nkeep-alive: timeout=5\nalt-svc: h3=\":443\"\ntransfer-encoding: chunked\n\
         set-cookie: a=1\nset-cookie: b=2\nproxy-authenticate: Basic",
    );
    towards_client(&mut map, Version::HTTP_11, Hop::Ends);
    assert_eq!(print(&map), ["server: uvicorn", "set-cookie: a=1", "set-cookie: b=2", "via: 1.1 doorward"]);
}

#[test]
fn a_forwarded_element_quotes_what_is_no_token() {
    let check = |hops: &[&str], authority: &str, expected: &str| {
        let hops: Vec<IpAddr> = hops.iter().map(|hop| hop.parse().unwrap()).collect();
        assert_eq!(forwarded(&hops, authority.as_bytes(), "https"), expected);
    };
    check(&["192.0.2.1"], "a.test", "for=192.0.2.1;host=a.test;proto=https");
    check(&["2001:db8::1"], "a.test:8443", "for=\"[2001:db8::1]\";host=\"a.test:8443\";proto=https");
    check(&["192.0.2.1", "10.0.0.1"], "a.test", "for=192.0.2.1;host=a.test;proto=https, for=10.0.0.1");
}
