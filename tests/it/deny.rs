//! `.deny.toml` kept without `cargo deny`, which takes longer to build than the gateway: bans, licences and sources of
//! what the gateway is built from, by cargo's own resolution.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::support::{process, yard};

#[test]
fn banned_crates_stay_out_and_stacks_come_once() {
    let rules = Rules::read();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        versions.entry(package.name).or_default().insert(package.version);
    }
    let mut wrong: Vec<String> =
        rules.banned.iter().filter(|name| versions.contains_key(*name)).map(|name| format!("{name} is banned")).collect();
    for name in &rules.once {
        let found =
            versions.get(name).unwrap_or_else(|| panic!("{name} may come once, says .deny.toml, and does not come at all"));
        if found.len() > 1 {
            wrong.push(format!("{name} comes in several versions: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_licence_is_on_the_list() {
    let rules = Rules::read();
    let refused: Vec<_> = packages().into_iter().filter(|package| !allows(&rules.licences, &package.licence)).collect();
    let lines: Vec<_> = refused.iter().map(|package| format!("{}: {:?}", package.name, package.licence)).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn everything_comes_from_the_one_registry() {
    let strangers: Vec<_> =
        packages().into_iter().filter_map(|package| Some(format!("{} from {}", package.name, package.elsewhere?))).collect();
    assert!(strangers.is_empty(), "{}", strangers.join("\n"));
}

#[test]
fn an_expression_is_allowed_when_one_way_through_it_is() {
    let list = ["MIT".to_owned(), "ISC".to_owned()];
    let check = |expression: &str, expected: bool| assert_eq!(allows(&list, expression), expected, "{expression}");
    check("MIT", true);
    check("GPL-3.0", false);
    check("Apache-2.0 OR MIT", true);
    check("Apache-2.0/MIT", true);
    check("ISC AND (Apache-2.0 OR ISC)", true);
    check("MIT AND GPL-3.0", false);
    check("Apache-2.0 WITH LLVM-exception OR MIT", true);
    check("(MIT OR Apache-2.0) AND Unicode-3.0", false);
    check("", false);
}

/// What `.deny.toml` says, as far as it is kept here.
struct Rules {
    banned: Vec<String>,
    once: Vec<String>,
    licences: Vec<String>,
}

impl Rules {
    /// Reads our own file, one entry a line; it is no general reader of TOML.
    fn read() -> Self {
        let file = fs::read_to_string(yard::repository().join(".deny.toml")).unwrap();
        let bans = list(&file, "[bans]", "deny = [");
        let (once, banned): (Vec<_>, Vec<_>) = bans.iter().partition(|line| line.contains("deny-multiple-versions = true"));
        let quoted = |lines: Vec<String>| lines.iter().filter_map(|line| first_quoted(line)).collect::<Vec<_>>();
        let rules = Self {
            banned: banned.into_iter().filter_map(|line| first_quoted(line)).collect(),
            once: once.into_iter().filter_map(|line| first_quoted(line)).collect(),
            licences: quoted(list(&file, "[licenses]", "allow = [")),
        };
        assert!(!rules.banned.is_empty() && !rules.once.is_empty() && !rules.licences.is_empty());
        rules
    }
}

/// The lines of the list that `key` opens in `section`.
fn list(file: &str, section: &str, key: &str) -> Vec<String> {
    let mut lines = file
        .lines()
        .skip_while(|line| *line != section)
        .skip(1)
        .take_while(|line| !line.starts_with("[") || line.starts_with("[["));
    let opening = lines.find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{section} has no `{key}`"));
    assert!(!opening.trim_end().ends_with(']'), "one entry a line, please: {opening}");
    lines.take_while(|line| *line != "]").filter(|line| !line.trim_start().starts_with('#')).map(str::to_owned).collect()
}

fn first_quoted(line: &str) -> Option<String> {
    line.split('"').nth(1).map(str::to_owned)
}

/// Whether an SPDX expression can be met with `list` alone.
fn allows(list: &[String], expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    any_of(list, &mut words)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(list: &[String], words: &mut Words<'_>) -> bool {
    let mut allowed = all_of(list, words);
    while words.next_if_eq(&"OR").is_some() {
        allowed |= all_of(list, words);
    }
    allowed
}

fn all_of(list: &[String], words: &mut Words<'_>) -> bool {
    let mut allowed = one(list, words);
    while words.next_if_eq(&"AND").is_some() {
        allowed &= one(list, words);
    }
    allowed
}

fn one(list: &[String], words: &mut Words<'_>) -> bool {
    match words.next() {
        Some("(") => {
            let allowed = any_of(list, words);
            words.next_if_eq(&")").is_some() && allowed
        }
        Some(name) => {
            let excepted = words.next_if_eq(&"WITH").is_some() && words.next().is_some();
            !excepted && list.iter().any(|known| known == name)
        }
        None => false,
    }
}

/// A crate that is linked into the gateway, its build or its tests.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    licence: String,
    /// Where it comes from when that is not the registry.
    elsewhere: Option<String>,
}

/// All of them but the gateway itself. `cargo metadata` would also list what an optional feature of a dependency names
/// and nobody turns on; the tree has what is compiled.
fn packages() -> BTreeSet<Package> {
    let mut cargo = process::command(env!("CARGO"));
    cargo.args(["tree", "--locked", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}|{l}|"]);
    let output = process::run("cargo tree", cargo.current_dir(yard::repository()), crate::support::wait::LIMIT);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let packages: BTreeSet<_> =
        text.lines().filter(|line| !line.is_empty()).map(package).filter(|package| package.name != "doorward").collect();
    assert!(packages.len() > 50, "cargo tree was not understood:\n{text}");
    packages
}

fn package(line: &str) -> Package {
    let mut columns = line.split('|');
    let (what, licence) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
    let mut words = what.split_whitespace();
    let (name, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let elsewhere = words.find(|word| *word != "(proc-macro)");
    Package {
        name: name.to_owned(),
        version: version.to_owned(),
        licence: licence.to_owned(),
        elsewhere: elsewhere.map(str::to_owned),
    }
}
