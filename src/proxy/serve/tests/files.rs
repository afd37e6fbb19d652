//! Files, error pages and maintenance over the whole way of a request.

use std::fs;

use super::harness::*;

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: a.test\r\n{fields}connection: close\r\n\r\n")
}

/// A folder with files and one with error pages.
fn world() -> tempfile::TempDir {
    let world = tempfile::tempdir().unwrap();
    for folder in ["www/docs", "errors"] {
        fs::create_dir_all(world.path().join(folder)).unwrap();
    }
    for (name, text) in [
        ("www/index.html", "<p>home"),
        ("www/app.js", "let x;"),
        ("www/docs/index.html", "<p>docs"),
        ("errors/404.html", "<h1>lost"),
        ("errors/5xx.html", "<h1>sorry"),
    ] {
        fs::write(world.path().join(name), text).unwrap();
    }
    world
}

#[test]
fn files_lie_under_their_prefix_and_what_is_missing_gets_the_sites_page() {
    run(async {
        let world = world();
        let folder = |name: &str| world.path().join(name).display().to_string();
        let text = format!(
            "a.test {{\n security-headers\n errors {}\n /static/* {{\n strip-prefix /static\n files {} {{\n cache 30d immutable\n }}\n }}\n \
             respond 200 x\n}}",
            folder("errors"),
            folder("www")
        );
        let gateway = Gateway::start(&text, Speaks::H1).await;
        let script = gateway.ask(&get("/static/app.js", "")).await;
        assert!(script.starts_with("HTTP/1.1 200") && script.ends_with("\r\n\r\nlet x;"), "{script}");
        for line in ["cache-control: public, max-age=2592000, immutable", "x-content-type-options: nosniff", "server: doorward"] {
            assert!(script.contains(&format!("\r\n{line}\r\n")), "{line} in {script}");
        }
        let sent_on = gateway.ask(&get("/static/docs", "")).await;
        assert!(sent_on.starts_with("HTTP/1.1 308") && sent_on.contains("\r\nlocation: ./docs/\r\n"), "{sent_on}");
        let lost = gateway.ask(&get("/static/none.js", "accept: text/html\r\n")).await;
        assert!(lost.starts_with("HTTP/1.1 404") && lost.ends_with("\r\n\r\n<h1>lost"), "{lost}");
        assert!(lost.contains("\r\nx-content-type-options: nosniff\r\n"), "{lost}");
        let program = gateway.ask(&get("/static/none.js", "accept: application/json\r\n")).await;
        assert!(program.contains("application/problem+json"), "{program}");
        assert!(gateway.ask(&get("/static/../../errors/404.html", "")).await.starts_with("HTTP/1.1 400"));
        let records = gateway.records().await;
        let seen: Vec<_> =
            records.iter().map(|record| (record["status"].as_u64().unwrap(), record["by"].as_str().unwrap())).collect();
        assert_eq!(seen, [(200, "gateway"), (308, "gateway"), (404, "gateway"), (404, "gateway"), (400, "gateway")]);
    });
}

#[test]
fn a_site_that_is_worked_on_says_when_to_come_again_and_asks_nobody() {
    run(async {
        let world = world();
        let backend = Backend::mirror().await;
        let errors = world.path().join("errors");
        let text = format!("a.test {{\n maintenance 10min\n errors {}\n proxy {}\n}}", errors.display(), backend.addr);
        let gateway = Gateway::start(&text, Speaks::H1).await;
        let answer = gateway.ask(&get("/", "")).await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("\r\nretry-after: 600\r\n"), "{answer}");
        assert!(answer.ends_with("<h1>sorry"), "{answer}");
        assert_eq!(backend.connections.get(), 0);
        assert_eq!(gateway.records().await[0]["reason"], "maintenance");
    });
}
