use super::*;
use crate::config::environment::Environment;
use crate::config::resolve::from_text;

const NOW: &str = "2026-11-21T00:00:00Z";

fn banner(text: &str, certs: Vec<CertLine>) -> Banner {
    let settings = from_text("", text, &Environment::default()).unwrap().settings;
    let status = StatusReport {
        version: "1.2.3".into(),
        config: "/etc/doorward/doorward.conf".into(),
        state: "/var/lib/doorward".into(),
        listens: vec!["port 443 of every address (https, wss)".into(), "port 80 of every address (http)".into()],
        ..StatusReport::default()
    };
    let certs = CertsReport { certs };
    Banner::new(BannerInputs { settings: &settings, status: &status, certs: &certs, now: Timestamp::parse(NOW).unwrap() })
}

fn held(names: &[&str], issuer: &str, expires: &str) -> CertLine {
    CertLine {
        names: names.iter().map(ToString::to_string).collect(),
        state: "valid".into(),
        issuer: issuer.into(),
        expires: Some(expires.into()),
        ..CertLine::default()
    }
}

fn wanted(name: &str, state: &str, last_error: Option<&str>) -> CertLine {
    let last_error = last_error.map(str::to_owned);
    CertLine { names: vec![name.into()], state: state.into(), issuer: "Let's Encrypt".into(), last_error, ..CertLine::default() }
}

fn check(text: &str, certs: Vec<CertLine>, expected: &str) {
    assert_eq!(banner(text, certs).to_string(), expected);
}

#[test]
fn a_chat_behind_a_public_name() {
    check(
        "chat.example.com {\n proxy 127.0.0.1:8000\n}\n",
        vec![held(&["chat.example.com"], "Let's Encrypt E7", "2027-02-17T04:00:00Z")],
        "\
doorward 1.2.3

  https://chat.example.com  to 127.0.0.1:8000
  wss://chat.example.com    to 127.0.0.1:8000
      certificate: by Let's Encrypt E7, until 2027-02-17 (88d 4h)

  listens on     port 443 of every address (https, wss)
  listens on     port 80 of every address (http)
  configuration  /etc/doorward/doorward.conf
  state          /var/lib/doorward
  authority      Let's Encrypt, production (https://acme-v02.api.letsencrypt.org/directory)

  Ordering certificates means agreeing to the authority's terms of service, which its directory names.
",
    );
}

#[test]
fn a_local_name_on_another_port_hints_at_trust() {
    check(
        "https-port 8443\nlocalhost {\n proxy 3000\n}\n",
        vec![held(&["localhost"], "doorward local authority", "2026-11-21T12:00:00Z")],
        "\
doorward 1.2.3

  https://localhost:8443  to 127.0.0.1:3000
  wss://localhost:8443    to 127.0.0.1:3000
      certificate: by doorward local authority, until 2026-11-21T12:00:00Z (12h)

  listens on     port 443 of every address (https, wss)
  listens on     port 80 of every address (http)
  configuration  /etc/doorward/doorward.conf
  state          /var/lib/doorward

  The local authority vouches for local names; run `doorward trust` once so that this machine believes it.
",
    );
}

#[test]
fn urls_have_the_public_port() {
    let top = "http-port 8080\nhttps-port 8443\npublic-http-port 80\npublic-https-port 443\n";
    let shown = |site: &str| banner(&format!("{top}{site} {{\n redirect https://b.example 301\n}}\n"), Vec::new()).to_string();
    assert!(shown("a.example").contains("  https://a.example  redirect"), "{}", shown("a.example"));
    assert!(shown("a.example:9443").contains("  https://a.example:9443  redirect"), "{}", shown("a.example:9443"));
    assert!(shown("http://a.example").contains("  http://a.example  redirect"), "{}", shown("http://a.example"));
}

#[test]
fn staging_and_what_is_still_to_come_are_said() {
    let text = "\
acme {
    staging
}
upstream app {
    to 10.0.0.1:8000 10.0.0.2:8000
}
www.example.com {
    redirect https://example.com
}
example.com {
    /ws/* {
        proxy app
    }
    /* {
        respond 200 hello
    }
}
http://status.example.com {
    respond 200 fine
}
";
    check(
        text,
        vec![wanted("www.example.com", "being obtained", None), wanted("example.com", "paused", Some("DNS has no address"))],
        "\
doorward 1.2.3

  https://www.example.com    redirect 308 to https://example.com
      certificate: being obtained (Let's Encrypt)

  https://example.com/ws/*   to app (10.0.0.1:8000, 10.0.0.2:8000)
  wss://example.com/ws/*     to app (10.0.0.1:8000, 10.0.0.2:8000)
  https://example.com        answers 200
      certificate: paused (Let's Encrypt); the last attempt failed: DNS has no address

  http://status.example.com  answers 200
      plain http, no certificate

  listens on     port 443 of every address (https, wss)
  listens on     port 80 of every address (http)
  configuration  /etc/doorward/doorward.conf
  state          /var/lib/doorward
  authority      Let's Encrypt, staging (https://acme-staging-v02.api.letsencrypt.org/directory)

  Staging: browsers do not trust these certificates. Take `staging` away once everything else works.

  Ordering certificates means agreeing to the authority's terms of service, which its directory names.
",
    );
}

#[test]
fn ten_thousand_names_stay_readable() {
    let many: String = (0..100).map(|n| format!("s{n}.example.com {{\n proxy 3000\n}}\n")).collect();
    let text = banner(&many, Vec::new()).to_string();
    assert!(text.lines().count() < 200);
    assert!(text.contains("and 60 more names; `doorward certs` lists them"));
}

#[test]
fn an_expired_certificate_is_shouted() {
    let text = banner("a.example {\n proxy 3000\n}\n", vec![held(&["a.example"], "X", "2026-11-20T00:00:00Z")]).to_string();
    assert!(text.contains("by X, EXPIRED on 2026-11-20T00:00:00Z; valid"), "{text}");
}
