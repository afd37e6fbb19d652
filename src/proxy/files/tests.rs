use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use http_body_util::BodyExt;

use super::*;
use crate::config::settings::Cache;

/// A folder as sites have them, and a secret beside it.
fn world() -> tempfile::TempDir {
    let world = tempfile::tempdir().unwrap();
    let root = world.path().join("www");
    for folder in ["docs", ".git", ".well-known", "assets"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let write = |name: &str, text: &str| fs::write(root.join(name), text).unwrap();
    write("index.html", "<p>home");
    write("docs/index.html", "<p>docs");
    write("docs/a b.txt", "blank");
    write(".git/config", "secret");
    write(".env", "secret");
    write(".well-known/security.txt", "contact");
    write("assets/app.js", "let plain;");
    write("assets/app.js.gz", "gzipped");
    write("assets/app.js.zst", "zstandard");
    fs::write(world.path().join("secret.txt"), "secret").unwrap();
    symlink("../secret.txt", root.join("out.txt")).unwrap();
    symlink("..", root.join("up")).unwrap();
    symlink("docs", root.join("manual")).unwrap();
    symlink("index.html", root.join("start.html")).unwrap();
    world
}

fn settings(world: &Path) -> Settings {
    Settings { folder: world.join("www"), cache: None, fallback: None, follow: false, list: false }
}

async fn ask(files: &Files, method: &str, path: &str, fields: &[(&'static str, &str)]) -> Result<Response<Body>, Refusal> {
    let mut request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    for (name, value) in fields {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    files.answer(&request).await
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn check(files: &Files, path: &str, expected: Result<&str, Refusal>) {
    let seen = match ask(files, "GET", path, &[]).await {
        Ok(response) => Ok(text(response).await),
        Err(refusal) => Err(refusal),
    };
    assert_eq!(seen.as_deref().map_err(Clone::clone), expected, "for {path}");
}

#[tokio::test]
async fn files_are_served_and_nothing_that_is_hidden_or_elsewhere() {
    let world = world();
    let files = Files::new(&settings(world.path()), &Arc::default());
    check(&files, "/", Ok("<p>home")).await;
    check(&files, "/docs/", Ok("<p>docs")).await;
    check(&files, "/docs/a%20b.txt", Ok("blank")).await;
    check(&files, "/.well-known/security.txt", Ok("contact")).await;
    check(&files, "/manual/", Ok("<p>docs")).await;
    check(&files, "/start.html", Ok("<p>home")).await;
    for path in ["/.git/config", "/.env", "/%2eenv", "/%2Egit/config", "/out.txt", "/up/secret.txt", "/nothing", "/index.html/x"]
    {
        check(&files, path, Err(Refusal::NothingHere)).await;
    }
    for path in ["/../secret.txt", "/docs/..%2f..%2fsecret.txt", "/%2e%2e/secret.txt", "/a%00b", "/..%5csecret.txt"] {
        check(&files, path, Err(Refusal::Malformed(Malformed::Path))).await;
    }
}

#[tokio::test]
async fn links_that_lead_out_are_followed_where_the_site_says_so() {
    let world = world();
    let files = Files::new(&Settings { follow: true, ..settings(world.path()) }, &Arc::default());
    check(&files, "/out.txt", Ok("secret")).await;
    check(&files, "/.env", Err(Refusal::NothingHere)).await;
}

#[tokio::test]
async fn a_link_beside_a_file_does_not_lead_out_either() {
    let world = world();
    symlink("../../secret.txt", world.path().join("www/docs/index.html.gz")).unwrap();
    let files = Files::new(&settings(world.path()), &Arc::default());
    let seen = ask(&files, "GET", "/docs/", &[("accept-encoding", "gzip")]).await;
    assert_eq!(seen.map(|response| response.status()), Err(Refusal::NothingHere));
}

#[tokio::test]
async fn conditions_ranges_and_compressed_siblings_work() {
    let world = world();
    let files = Files::new(&settings(world.path()), &Arc::default());
    let first = ask(&files, "GET", "/assets/app.js", &[]).await.unwrap();
    assert_eq!(first.headers()["content-type"], "text/javascript; charset=utf-8");
    let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
    let again = ask(&files, "GET", "/assets/app.js", &[("if-none-match", &tag)]).await.unwrap();
    assert_eq!(again.status(), 304);
    let part = ask(&files, "GET", "/assets/app.js", &[("range", "bytes=4-8")]).await.unwrap();
    assert_eq!((part.status().as_u16(), text(part).await.as_str()), (206, "plain"));
    let packed = ask(&files, "GET", "/assets/app.js", &[("accept-encoding", "gzip, zstd")]).await.unwrap();
    assert_eq!(packed.headers()[header::CONTENT_ENCODING], "zstd");
    assert_eq!(text(packed).await, "zstandard");
    let head = ask(&files, "HEAD", "/assets/app.js", &[]).await.unwrap();
    assert_eq!(head.headers()[header::CONTENT_LENGTH], "10");
    assert_eq!(text(head).await, "");
    let posted = ask(&files, "POST", "/assets/app.js", &[]).await;
    assert_eq!(posted.map(|response| response.status()), Err(Refusal::ReadOnly));
}

#[tokio::test]
async fn a_folder_without_its_slash_is_sent_on_relative_to_the_client() {
    let world = world();
    let files = Files::new(&settings(world.path()), &Arc::default());
    let seen = ask(&files, "GET", "/docs?x=1", &[]).await.unwrap();
    assert_eq!((seen.status().as_u16(), seen.headers()[header::LOCATION].to_str().unwrap()), (308, "./docs/?x=1"));
}

#[tokio::test]
async fn pages_of_an_application_fall_back_and_missing_files_do_not() {
    let world = world();
    let files = Files::new(&Settings { fallback: Some("/index.html".into()), ..settings(world.path()) }, &Arc::default());
    check(&files, "/users/7", Ok("<p>home")).await;
    check(&files, "/docs/", Ok("<p>docs")).await;
    check(&files, "/assets/missing.js", Err(Refusal::NothingHere)).await;
    check(&files, "/.git/config", Err(Refusal::NothingHere)).await;
}

#[tokio::test]
async fn folders_are_listed_where_the_site_says_so_and_hide_what_is_hidden() {
    let world = world();
    let files = Files::new(&settings(world.path()), &Arc::default());
    check(&files, "/assets/", Err(Refusal::NothingHere)).await;
    fs::remove_file(world.path().join("www/index.html")).unwrap();
    let fallback = Some("/docs/index.html".into());
    let files = Files::new(&Settings { list: true, fallback, ..settings(world.path()) }, &Arc::default());
    let page = text(ask(&files, "GET", "/", &[]).await.unwrap()).await;
    for name in ["./assets/", "./docs/", "./manual/"] {
        assert!(page.contains(&format!("href=\"{name}\"")), "{name} in {page}");
    }
    for name in [".git", ".env", "out.txt", "up", "start.html", "secret"] {
        assert!(!page.contains(&format!(">{name}")), "{name} in {page}");
    }
    check(&files, "/docs/", Ok("<p>docs")).await;
    check(&files, "/users/7", Ok("<p>docs")).await;
    check(&files, "/.git/", Err(Refusal::NothingHere)).await;
    let bare = Files::new(&Settings { list: true, ..settings(world.path()) }, &Arc::default());
    check(&bare, "/up/", Err(Refusal::NothingHere)).await;
    let head = ask(&files, "HEAD", "/assets/", &[]).await.unwrap();
    assert_eq!(head.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(text(head).await, "");
}

#[tokio::test]
async fn files_are_kept_for_as_long_as_the_site_says_and_pages_are_asked_about() {
    let world = world();
    let cache = Some(Cache { age: Duration::from_secs(30 * 24 * 3600), immutable: true });
    let files = Files::new(&Settings { cache, fallback: Some("/index.html".into()), ..settings(world.path()) }, &Arc::default());
    let kept = |response: Response<Body>| response.headers()[header::CACHE_CONTROL].to_str().unwrap().to_owned();
    assert_eq!(kept(ask(&files, "GET", "/assets/app.js", &[]).await.unwrap()), "public, max-age=2592000, immutable");
    assert_eq!(kept(ask(&files, "GET", "/", &[]).await.unwrap()), "no-cache");
    assert_eq!(kept(ask(&files, "GET", "/users/7", &[]).await.unwrap()), "no-cache");
}

/// A site whose folder has in it what it must not serve, under several names.
fn careless_world() -> (tempfile::TempDir, Arc<Private>) {
    let world = world();
    let root = world.path().join("www");
    for (name, text) in
        [("doorward.conf", "secret"), ("part.conf", "secret"), ("site.key", "secret"), ("state/root.key", "secret")]
    {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), text).unwrap();
    }
    fs::hard_link(root.join("site.key"), root.join("hard.txt")).unwrap();
    symlink("site.key", root.join("soft.txt")).unwrap();
    symlink("state", root.join("aside")).unwrap();
    symlink("../site.key", root.join("docs/index.html.gz")).unwrap();
    let text = format!("state {0}/state\na.example {{\n tls {0}/site.pem {0}/site.key\n respond 200 a\n}}\n", root.display());
    let surroundings = crate::config::environment::Environment::default();
    let mut settings = crate::config::resolve::from_text("", &text, &surroundings).unwrap().settings;
    settings.sources = ["doorward.conf", "part.conf"].map(|name| root.join(name)).into();
    (world, Private::of(&settings))
}

#[tokio::test]
async fn the_state_the_configuration_and_keys_are_never_served() {
    let (world, private) = careless_world();
    for follow in [false, true] {
        let files = Files::new(&Settings { follow, list: true, ..settings(world.path()) }, &private);
        for path in
            ["/doorward.conf", "/part.conf", "/site.key", "/hard.txt", "/soft.txt", "/state", "/state/", "/state/root.key"]
        {
            check(&files, path, Err(Refusal::NothingHere)).await;
        }
        check(&files, "/aside/root.key", Err(Refusal::NothingHere)).await;
        let sibling = ask(&files, "GET", "/docs/", &[("accept-encoding", "gzip")]).await;
        assert_eq!(sibling.map(|response| response.status()), Err(Refusal::NothingHere), "a compressed sibling is a key");
        check(&files, "/assets/app.js", Ok("let plain;")).await;
        // A key that is replaced while the gateway runs.
        let key = world.path().join("www/site.key");
        fs::write(key.with_extension("new"), "secret").unwrap();
        fs::rename(key.with_extension("new"), &key).unwrap();
        check(&files, "/site.key", Err(Refusal::NothingHere)).await;
        fs::remove_file(world.path().join("www/hard.txt")).unwrap();
        fs::hard_link(&key, world.path().join("www/hard.txt")).unwrap();
    }
}

#[tokio::test]
async fn what_is_private_is_not_listed() {
    let (world, private) = careless_world();
    fs::remove_file(world.path().join("www/index.html")).unwrap();
    let files = Files::new(&Settings { follow: true, list: true, ..settings(world.path()) }, &private);
    let page = text(ask(&files, "GET", "/", &[]).await.unwrap()).await;
    for name in ["doorward.conf", "part.conf", "site.key", "hard.txt", "soft.txt", "state", "aside"] {
        assert!(!page.contains(&format!(">{name}")), "{name} in {page}");
    }
    assert!(page.contains("./assets/"), "{page}");
}

/// Conditions, ranges and negotiation (RFC 9110 sections 12.5.3, 13 and 14): what is asked, and status, body and fields.
#[tokio::test]
async fn conditions_and_ranges_mean_what_the_rfc_says() {
    let world = world();
    let files = Files::new(&settings(world.path()), &Arc::default());
    let whole = ask(&files, "GET", "/docs/a%20b.txt", &[]).await.unwrap();
    let etag = whole.headers()[header::ETAG].to_str().unwrap().to_owned();
    let date = whole.headers()[header::LAST_MODIFIED].to_str().unwrap().to_owned();
    let (weak, listed) = (format!("W/{etag}"), format!("\"x\", {etag}"));
    let (past, future) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 06 Nov 2105 08:49:37 GMT");
    let check = async |method: &str, fields: &[(&'static str, &str)], expected: (u16, &str)| {
        let response = ask(&files, method, "/docs/a%20b.txt", fields).await.unwrap();
        let status = response.status().as_u16();
        if matches!(status, 200 | 206 | 304) {
            assert_eq!(response.headers()[header::VARY], "accept-encoding", "{fields:?}");
            assert_eq!(response.headers()[header::ETAG], etag.as_str(), "{fields:?}");
        }
        let range = response.headers().get(header::CONTENT_RANGE).map(|range| range.to_str().unwrap().to_owned());
        match status {
            206 => assert!(range.is_some_and(|range| range.ends_with("/5")), "{fields:?}"),
            416 => assert_eq!(range.as_deref(), Some("bytes */5"), "{fields:?}"),
            _ => assert_eq!(range, None, "{fields:?}"),
        }
        assert_eq!((status, text(response).await.as_str()), expected, "for {method} {fields:?}");
    };
    // Precedence: If-Match before If-Unmodified-Since, If-None-Match before If-Modified-Since, If-Range last.
    check("GET", &[("if-match", &etag)], (200, "blank")).await;
    check("GET", &[("if-match", &weak)], (412, "")).await;
    check("GET", &[("if-match", &listed)], (200, "blank")).await;
    check("GET", &[("if-match", "*")], (200, "blank")).await;
    check("GET", &[("if-match", "\"x\"")], (412, "")).await;
    check("GET", &[("if-match", &etag), ("if-unmodified-since", past)], (200, "blank")).await;
    check("GET", &[("if-unmodified-since", past)], (412, "")).await;
    check("GET", &[("if-unmodified-since", &date)], (200, "blank")).await;
    check("GET", &[("if-none-match", &etag)], (304, "")).await;
    check("HEAD", &[("if-none-match", &etag)], (304, "")).await;
    check("GET", &[("if-none-match", &weak)], (304, "")).await;
    check("GET", &[("if-none-match", "*")], (304, "")).await;
    check("GET", &[("if-none-match", "\"x\""), ("if-modified-since", future)], (200, "blank")).await;
    check("GET", &[("if-modified-since", &date)], (304, "")).await;
    check("GET", &[("if-modified-since", past)], (200, "blank")).await;
    check("GET", &[("if-modified-since", "nonsense")], (200, "blank")).await;
    check("GET", &[("if-match", "\"x\""), ("if-none-match", &etag)], (412, "")).await;
    // Ranges.
    check("GET", &[("range", "bytes=1-2")], (206, "la")).await;
    check("GET", &[("range", "BYTES=1-2")], (206, "la")).await;
    check("GET", &[("range", "bytes=-2")], (206, "nk")).await;
    check("GET", &[("range", "bytes=3-99")], (206, "nk")).await;
    check("GET", &[("range", "bytes=5-")], (416, "")).await;
    check("GET", &[("range", "bytes=-5")], (206, "blank")).await;
    check("GET", &[("range", "bytes=-9")], (200, "blank")).await;
    check("GET", &[("range", "bytes=-99999999999999999999")], (200, "blank")).await;
    check("GET", &[("range", "bytes=-0")], (416, "")).await;
    check("GET", &[("range", "bytes=0-99999999999999999999")], (206, "blank")).await;
    check("GET", &[("range", "bytes=3-99999999999999999999")], (206, "nk")).await;
    check("GET", &[("range", "bytes=99999999999999999999-")], (416, "")).await;
    check("GET", &[("range", "bytes=0-1,3-99999999999999999999")], (200, "blank")).await;
    check("GET", &[("range", "bytes=2-1")], (416, "")).await;
    check("GET", &[("range", "bytes=01-2")], (206, "la")).await;
    check("GET", &[("range", "bytes=0-1,3-4")], (200, "blank")).await;
    check("GET", &[("range", "lines=0-1")], (200, "blank")).await;
    check("HEAD", &[("range", "bytes=1-2")], (200, "")).await;
    check("GET", &[("range", "bytes=1-2"), ("if-none-match", &etag)], (304, "")).await;
    // If-Range.
    check("GET", &[("range", "bytes=1-2"), ("if-range", &etag)], (206, "la")).await;
    for other in [weak.as_str(), "\"x\"", past, future, "nonsense"] {
        check("GET", &[("range", "bytes=1-2"), ("if-range", other)], (200, "blank")).await;
    }
    check("GET", &[("range", "bytes=9-"), ("if-range", "\"x\"")], (200, "blank")).await;
    check("GET", &[("if-range", "\"x\"")], (200, "blank")).await;
}

/// Part of an empty file there is none; Go answers the whole of it, too (pingora pull request 975, wai issue 346).
#[tokio::test]
async fn a_range_of_an_empty_file_is_the_empty_file() {
    let world = world();
    fs::write(world.path().join("www/assets/empty.js"), "").unwrap();
    let files = Files::new(&settings(world.path()), &Arc::default());
    for range in ["bytes=0-", "bytes=0-3", "bytes=-3", "bytes=2-3"] {
        let response = ask(&files, "GET", "/assets/empty.js", &[("range", range)]).await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers().get(header::CONTENT_RANGE)), (200, None), "{range}");
        assert_eq!(text(response).await, "", "{range}");
    }
}

#[tokio::test]
async fn each_coding_of_a_file_has_a_tag_of_its_own() {
    let world = world();
    fs::write(world.path().join("www/assets/app.js.gz"), "gzipped!!!!").unwrap();
    let files = Files::new(&settings(world.path()), &Arc::default());
    let check = async |accepted: &str, expected: &str| {
        let response = ask(&files, "GET", "/assets/app.js", &[("accept-encoding", accepted)]).await.unwrap();
        assert_eq!(response.headers()[header::VARY], "accept-encoding", "{accepted}");
        let etag = response.headers()[header::ETAG].to_str().unwrap().to_owned();
        assert_eq!(text(response).await, expected, "{accepted}");
        etag
    };
    let plain = check("", "let plain;").await;
    let gzip = check("gzip", "gzipped!!!!").await;
    let zstd = check("gzip;q=0.5, zstd", "zstandard").await;
    assert!(plain != gzip && plain != zstd && gzip != zstd, "{plain} {gzip} {zstd}");
    assert_eq!(check("gzip;q=0", "let plain;").await, plain);
    let fields = [("accept-encoding", "gzip"), ("range", "bytes=0-2"), ("if-range", plain.as_str())];
    let other = ask(&files, "GET", "/assets/app.js", &fields).await.unwrap();
    assert_eq!(other.status(), 200, "the tag is that of another coding");
}

/// A build that sets all times to one second and pads to one size leaves nothing but the coding to tell representations apart
/// (RFC 9110 section 8.8.3.3; h2o issue 2896, caddy issue 5849).
#[tokio::test]
async fn siblings_of_equal_size_and_time_have_different_strong_tags_and_the_same_vary() {
    let world = world();
    let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for (suffix, text) in [("", "plain"), (".gz", "gzip!"), (".br", "brotl"), (".zst", "zstd!")] {
        let path = world.path().join(format!("www/assets/same.css{suffix}"));
        fs::write(&path, text).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    }
    let files = Files::new(&settings(world.path()), &Arc::default());
    let ask = async |method: &str, coding: &str, fields: &[(&'static str, &str)]| {
        let fields = [&[("accept-encoding", coding)], fields].concat();
        let response = ask(&files, method, "/assets/same.css", &fields).await.unwrap();
        let field = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let seen = (response.status().as_u16(), field("etag"), field("vary"));
        (seen, text(response).await)
    };
    let vary = Some("accept-encoding".to_owned());
    let mut tags = Vec::new();
    for (coding, body) in
        [("", "plain"), ("gzip", "gzip!"), ("br", "brotl"), ("zstd", "zstd!"), ("*", "gzip!"), ("identity, *;q=0", "plain")]
    {
        let ((status, tag, varies), seen) = ask("GET", coding, &[]).await;
        assert_eq!((status, varies, seen.as_str()), (200, vary.clone(), body), "{coding}");
        let tag = tag.filter(|tag| tag.starts_with('"')).unwrap();
        let same = |status| (status, Some(tag.clone()), vary.clone());
        assert_eq!(ask("HEAD", coding, &[]).await, (same(200), String::new()), "{coding}");
        assert_eq!(ask("GET", coding, &[("if-none-match", &tag)]).await, (same(304), String::new()), "{coding}");
        assert_eq!(ask("HEAD", coding, &[("if-none-match", &format!("W/{tag}"))]).await, (same(304), String::new()), "{coding}");
        assert_eq!(ask("GET", coding, &[("if-modified-since", "Fri, 06 Nov 2105 08:49:37 GMT")]).await.0, same(304), "{coding}");
        assert_eq!(ask("GET", coding, &[("if-match", &tag)]).await, (same(200), body.to_owned()), "{coding}");
        let part = [("range", "bytes=0-1"), ("if-range", tag.as_str())];
        assert_eq!(ask("GET", coding, &part).await, (same(206), body[..2].to_owned()), "{coding}");
        assert_eq!(ask("GET", coding, &[("range", "bytes=9-")]).await.0, same(416), "{coding}");
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    assert_eq!(tags.len(), 4, "{tags:?}");
    // The tag of one coding is none of another.
    assert_eq!(ask("GET", "br", &[("if-none-match", &tags[1])]).await.1, "brotl");
    assert_eq!(ask("GET", "br", &[("if-match", &tags[1])]).await.0.0, 412);
    assert_eq!(ask("GET", "br", &[("range", "bytes=0-1"), ("if-range", &tags[0])]).await.1, "brotl");
}

/// The 304 to a file whose type the name does not say, and to a page whose name does not end in `.html`.
#[tokio::test]
async fn a_304_and_a_head_have_the_cache_control_of_the_200() {
    let world = world();
    for name in ["LICENSE", "old.htm"] {
        fs::write(world.path().join("www").join(name), "text").unwrap();
    }
    let cache = Some(Cache { age: Duration::from_secs(60), immutable: false });
    let files = Files::new(&Settings { cache, fallback: Some("/index.html".into()), ..settings(world.path()) }, &Arc::default());
    for (path, expected) in [
        ("/LICENSE", "public, max-age=60"),
        ("/old.htm", "no-cache"),
        ("/docs/", "no-cache"),
        ("/users/7", "no-cache"),
        ("/assets/app.js", "public, max-age=60"),
    ] {
        let first = ask(&files, "GET", path, &[]).await.unwrap();
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        for (method, fields, status) in [
            ("GET", vec![], 200),
            ("HEAD", vec![], 200),
            ("GET", vec![("if-none-match", tag.as_str())], 304),
            ("GET", vec![("range", "bytes=0-1")], 206),
        ] {
            let seen = ask(&files, method, path, &fields).await.unwrap();
            assert_eq!(
                (seen.status().as_u16(), &seen.headers()[header::CACHE_CONTROL]),
                (status, &HeaderValue::from_static(expected)),
                "{path}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_folder_whose_disk_hangs_is_refused_in_time_and_holds_up_no_other() {
    let world = world();
    let (hangs, other) =
        (Files::new(&settings(world.path()), &Arc::default()), Files::new(&settings(world.path()), &Arc::default()));
    let waiting = Arc::clone(&hangs.looks).acquire_many_owned(MAX_LOOKS.try_into().unwrap()).await.unwrap();
    check(&hangs, "/", Err(Refusal::FilesTimedOut)).await;
    check(&other, "/", Ok("<p>home")).await;
    drop(waiting);
    check(&hangs, "/", Ok("<p>home")).await;
}
