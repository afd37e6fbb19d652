//! `list`: what lies in a folder that has no page of its own, as a page of links. What the site would not serve is not
//! listed either: hidden names, links that lead out of it, and what is private.

use std::fmt::Write;
use std::fs::{self, DirEntry};
use std::path::Path;

use super::private::Private;
use super::resolve_path;

/// Entries that are listed; the names of more are no use in a page.
const MAX_ENTRIES: usize = 5_000;

/// One line.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    /// Folders come first.
    is_file: bool,
    name: String,
    bytes: u64,
}

/// The page for the folder that a decoded path leads to; `None` where that is no folder that can be read. Reads the file
/// system.
pub(super) fn page(folder: &Path, path: &str, follow: bool, private: &Private) -> Option<String> {
    let home = folder.canonicalize().ok()?;
    let place = folder.join(path.trim_start_matches('/'));
    let private = private.look();
    let inside = |place: &Path| follow || place.canonicalize().is_ok_and(|real| real.starts_with(&home));
    let seen = |place: &Path| inside(place) && !private.holds(place);
    if !seen(&place) {
        return None;
    }
    let entries = fs::read_dir(place).ok()?.flatten().filter(|entry| seen(&entry.path()));
    let mut lines: Vec<Line> = entries.filter_map(|entry| line(&entry)).take(MAX_ENTRIES).collect();
    lines.sort();
    Some(render(path, &lines))
}

fn line(entry: &DirEntry) -> Option<Line> {
    let name = entry.file_name().into_string().ok().filter(|name| !resolve_path::is_hidden(name))?;
    let facts = fs::metadata(entry.path()).ok()?;
    Some(Line { is_file: !facts.is_dir(), name, bytes: facts.len() })
}

fn render(path: &str, lines: &[Line]) -> String {
    let title = escaped(path);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title>\n<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;\
         color-scheme:light dark}}td{{padding-right:2rem}}</style>\n<h1>{title}</h1>\n<table>\n"
    );
    if path != "/" {
        page.push_str("<tr><td><a href=\"../\">../</a>\n");
    }
    for Line { is_file, name, bytes } in lines {
        let (slash, size) = if *is_file { ("", bytes.to_string()) } else { ("/", String::new()) };
        let (link, shown) = (encoded(name), escaped(name));
        let _ = writeln!(page, "<tr><td><a href=\"./{link}{slash}\">{shown}{slash}</a><td>{size}");
    }
    page.push_str("</table>\n");
    page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A name as a segment of a path (RFC 3986 section 3.3).
fn encoded(name: &str) -> String {
    let mut link = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            link.push(char::from(byte));
        } else {
            let _ = write!(link, "%{byte:02X}");
        }
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_first_and_no_name_is_more_than_a_name() {
        let line = |is_file, name: &str, bytes| Line { is_file, name: name.to_owned(), bytes };
        let page = render("/a/<b>/", &[line(false, "docs", 0), line(true, "\"><script>&.js", 7)]);
        assert!(page.contains("<title>/a/&lt;b&gt;/</title>") && page.contains("href=\"../\""), "{page}");
        let (docs, script) =
            (page.find("<a href=\"./docs/\">docs/</a>").unwrap(), page.find("%22%3E%3Cscript%3E%26.js").unwrap());
        assert!(docs < script && page.contains(">&quot;&gt;&lt;script&gt;&amp;.js</a><td>7\n"), "{page}");
        assert!(!render("/", &[]).contains("../"));
    }
}
