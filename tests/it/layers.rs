//! The rules of the code that the compiler does not check: which layer imports which, and what is named in one place only.
//! `DOORWARD_BLESS=1` writes the two lists of what is still to be mended, `cycles.txt` and `glossary.txt`, as they are now.

mod glossary;
mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A layer and the layers of ours it may import.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("config", &["base"]),
    ("telemetry", &["base"]),
    ("state", &["base"]),
    ("net", &["base", "telemetry"]),
    ("certs", &["base", "config", "state", "telemetry", "net"]),
    ("proxy", &["base", "config", "telemetry", "net"]),
    ("listeners", &["base", "config", "telemetry", "net", "certs", "proxy"]),
    ("server", &["base", "config", "telemetry", "state", "net", "certs", "proxy", "listeners"]),
    ("admin", &["base", "config", "telemetry", "state", "net", "certs", "proxy", "listeners", "server"]),
    ("diagnostics", &["base", "config", "telemetry", "state", "net", "certs", "proxy", "listeners", "admin"]),
    ("cli", &["base", "config", "telemetry", "server", "admin", "diagnostics"]),
];

/// A crate and the beginning of the only paths below `src/` that may name it.
const WALLED_IN: &[(&str, &str)] = &[
    ("sled", "state/journal"),
    ("instant_acme", "certs/issuer"),
    ("hickory_proto", "net/dns"),
    ("dns_update", "certs/challenge/dns01/provider"),
    ("quinn", "listeners/quic"),
];

#[test]
fn imports_point_downward_only() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| *layer == source.layer()) else { continue };
        for (line, head) in source.code().flat_map(|(line, code)| heads(&code).into_iter().map(move |head| (line, head))) {
            if LAYERS.iter().any(|(layer, _)| *layer == head) && head != source.layer() && !allowed.contains(&head.as_str()) {
                wrong.push(format!("src/{}:{line}: `{}` may not import `{head}`", source.path, source.layer()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_folder_of_the_source_is_a_known_layer() {
    for source in sources("src").iter().filter(|source| !["lib", "main"].contains(&source.layer().as_str())) {
        assert!(LAYERS.iter().any(|(layer, _)| *layer == source.layer()), "src/{} is in no layer of the table", source.path);
    }
}

/// A file in an import cycle cannot be moved, tested or understood alone. The list holds the files that are in one today: it
/// only gets shorter.
#[test]
fn files_import_one_another_in_no_other_cycles_than_the_listed_ones() {
    let sources = sources("src");
    let graph = imports::ImportGraph::of(&sources);
    let cycles = graph.cycles();
    let in_cycles: BTreeSet<&str> = cycles.iter().flatten().copied().collect();
    let listed = listed("cycles.txt", in_cycles.iter().map(|file| (*file).to_owned()));
    let listed: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    let mut wrong = Vec::new();
    for group in &cycles {
        if let Some(new) = group.iter().find(|file| !listed.contains(*file)) {
            let ties = graph.ties(group);
            wrong.push(format!("src/{new}.rs is in an import cycle; move what its files share into a file of its own:"));
            wrong.extend(ties.iter().filter(|tie| tie.contains(new)).map(|tie| format!("    {tie}")));
        }
    }
    let gone = listed.difference(&in_cycles);
    wrong.extend(gone.map(|file| format!("{file} is in no cycle any more: delete its line from tests/it/layers/cycles.txt")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The glossary is in the crate documentation. `glossary.txt` counts what is still written in words that it replaces: the
/// counts only get lower.
#[test]
fn identifiers_use_the_words_of_the_glossary() {
    let sources = sources("src");
    let crate_docs = &sources.iter().find(|source| source.path == "lib.rs").expect("src/lib.rs is there").text;
    let found = glossary::count_replaced_words(crate_docs, &sources);
    let counts: BTreeMap<String, usize> = listed("glossary.txt", found.iter().map(|(word, count)| format!("{word} {count}")))
        .iter()
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(word, count)| (word.to_owned(), count.parse().expect("a count stands behind each word")))
        .collect();
    let mut wrong = Vec::new();
    for (word, count) in &found {
        let listed = counts.get(word).copied().unwrap_or_default();
        if *count > listed {
            wrong.push(format!(
                "`{word}` is in {count} identifiers, {listed} are listed: use the word of the glossary (src/lib.rs)"
            ));
        }
    }
    for (word, listed) in &counts {
        let count = found.get(word).copied().unwrap_or_default();
        if count < *listed {
            wrong.push(format!(
                "`{word}` is in {count} identifiers, {listed} are listed: lower the number in tests/it/layers/glossary.txt"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn risky_crates_are_named_in_their_own_files_only() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        for (line, code) in source.code() {
            for (name, home) in WALLED_IN {
                if names_crate(&code, name) && !source.path.starts_with(home) {
                    wrong.push(format!("src/{}:{line}: `{name}` belongs into src/{home}* alone", source.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_unsafe_ignored_or_left_undone() {
    // Written apart, so that this file does not find itself.
    let words =
        [["un", "safe {"], ["un", "safe fn"], ["un", "safe impl"], ["#[ig", "nore"], ["to", "do!("], ["unimplem", "ented!("]]
            .map(|word| word.concat());
    let mut wrong = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests/it")) {
        for (line, code) in source.code() {
            wrong.extend(
                words.iter().filter(|word| code.contains(word.as_str())).map(|word| format!("{}:{line}: {word}", source.path)),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn heads_are_found_however_they_are_written() {
    let check = |code: &str, expected: &[&str]| assert_eq!(heads(code), expected, "{code}");
    check("use crate::base::name::HostName;", &["base"]);
    check("use crate::{base::time, config};", &["base", "config"]);
    check("pub(in crate::proxy) fn f(x: crate::certs::Catalog) {}", &["proxy", "certs"]);
    check("use crate::{", &[]);
    check("let x = my_crate::base;", &[]);
}

/// The lines of a list beside this file, which `DOORWARD_BLESS=1` replaces by `now` first.
fn listed(name: &str, now: impl Iterator<Item = String>) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/layers").join(name);
    if std::env::var_os("DOORWARD_BLESS").is_some() {
        fs::write(&path, now.map(|line| line + "\n").collect::<String>()).unwrap();
    }
    fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect()
}

struct Source {
    /// Below the folder that was walked.
    path: String,
    text: String,
}

impl Source {
    fn layer(&self) -> String {
        self.path.split(['/', '.']).next().expect("a split has a first piece").to_owned()
    }

    /// Numbered lines without their comments. A brace list after `use crate::` is drawn together into its first line.
    fn code(&self) -> impl Iterator<Item = (usize, String)> {
        let mut lines: Vec<(usize, String)> = Vec::new();
        for (number, line) in self.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default().trim_end();
            match lines.last_mut() {
                Some((_, open)) if open.contains("crate::{") && !open.contains(';') => open.push_str(code),
                _ => lines.push((number + 1, code.to_owned())),
            }
        }
        lines.into_iter()
    }
}

/// The first word after each `crate::`.
fn heads(code: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut heads = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => heads.push(word(rest)),
            Some(list) => heads.extend(top_level_items(list).map(|item| word(item.trim()))),
        }
    }
    heads.retain(|head| !head.is_empty());
    heads
}

/// The items of a brace list whose opening brace is gone, without looking into inner braces.
fn top_level_items(list: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut start, mut items) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(&list[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => (),
        }
    }
    items.into_iter()
}

fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + name.len()..];
        let starts = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '"');
        starts && (after.starts_with("::") || (code.trim_start().starts_with("use ") && after.starts_with(';')))
    })
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).expect("it was found below the root").to_string_lossy().into_owned();
                found.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {folder}");
    found
}
