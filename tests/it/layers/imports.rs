//! The import graph of `src/`: which file imports which, and which files import one another in a cycle. A file stands for
//! the module it defines; a name that a front module only re-exports counts as an import of the file that defines it.
//! Test modules are left out.

use std::collections::{BTreeMap, BTreeSet};

use super::Source;

/// Imports between the files below `src/`.
pub(super) struct ImportGraph {
    /// Module paths (`proxy/cluster`) in order.
    modules: Vec<String>,
    edges: Vec<BTreeSet<usize>>,
}

impl ImportGraph {
    /// Reads the imports of `sources`, whose paths are relative to `src/`.
    pub(super) fn of(sources: &[Source]) -> Self {
        let mut files: BTreeMap<String, String> =
            sources.iter().map(|source| (source.path.trim_end_matches(".rs").to_owned(), shipped_code(&source.text))).collect();
        for module in test_modules(sources) {
            files.retain(|path, _| path != &module && !path.starts_with(&format!("{module}/")));
        }
        let modules: Vec<String> = files.keys().cloned().collect();
        let at: BTreeMap<&str, usize> = modules.iter().enumerate().map(|(at, path)| (path.as_str(), at)).collect();
        let uses: BTreeMap<&str, Uses> = files.iter().map(|(path, code)| (path.as_str(), Uses::read(path, code))).collect();
        let edges = modules
            .iter()
            .enumerate()
            .map(|(own, path)| {
                let targets = uses[path.as_str()].imports.iter().filter_map(|import| resolve(import, &at, &uses, 0));
                targets.filter(|target| *target != own).collect()
            })
            .collect();
        Self { modules, edges }
    }

    /// The groups of files that import one another in a cycle, each in order.
    pub(super) fn cycles(&self) -> Vec<Vec<&str>> {
        let reaches: Vec<BTreeSet<usize>> = (0..self.modules.len()).map(|from| self.reachable(from)).collect();
        let mut grouped = BTreeSet::new();
        let mut cycles = Vec::new();
        for from in 0..self.modules.len() {
            if !reaches[from].contains(&from) || grouped.contains(&from) {
                continue;
            }
            let group: Vec<usize> = reaches[from].iter().copied().filter(|to| reaches[*to].contains(&from)).collect();
            grouped.extend(group.iter().copied());
            cycles.push(group.into_iter().map(|at| self.modules[at].as_str()).collect());
        }
        cycles
    }

    /// The imports inside a group, as `from -> to` lines.
    pub(super) fn ties(&self, group: &[&str]) -> Vec<String> {
        let inside = |at: &usize| group.contains(&self.modules[*at].as_str());
        let from = (0..self.modules.len()).filter(inside);
        from.flat_map(|from| self.edges[from].iter().filter(|to| inside(to)).map(move |to| (from, *to)))
            .map(|(from, to)| format!("{} -> {}", self.modules[from], self.modules[to]))
            .collect()
    }

    fn reachable(&self, from: usize) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<usize> = self.edges[from].iter().copied().collect();
        while let Some(at) = open.pop() {
            if seen.insert(at) {
                open.extend(self.edges[at].iter().copied());
            }
        }
        seen
    }
}

/// What one file names of ours, as absolute module paths.
struct Uses {
    imports: BTreeSet<Vec<String>>,
    /// A re-exported name and the path that it stands for.
    exports: BTreeMap<String, Vec<String>>,
}

impl Uses {
    fn read(path: &str, code: &str) -> Self {
        let (mut imports, mut exports) = (BTreeSet::new(), BTreeMap::new());
        let mut rest = String::new();
        for statement in code.split_inclusive([';', '}']) {
            // A statement ends at `;`; a brace list inside `use` is put together again here.
            rest.push_str(statement);
            let Some(start) = use_start(&rest) else {
                inline_paths(path, &rest, &mut imports);
                rest.clear();
                continue;
            };
            if !statement.ends_with(';') {
                continue;
            }
            let is_export = is_public(&rest[..start]);
            for leaf in leaves(rest[start..].trim_end_matches(';').trim()) {
                let (leaf, name) =
                    leaf.split_once(" as ").map_or((leaf.as_str(), None), |(leaf, name)| (leaf, Some(name.trim())));
                let Some(absolute) = absolute(path, leaf) else { continue };
                if is_export {
                    let name = name.or_else(|| absolute.last().map(String::as_str)).unwrap_or_default().to_owned();
                    exports.insert(name, absolute);
                } else {
                    imports.insert(absolute);
                }
            }
            rest.clear();
        }
        Self { imports, exports }
    }
}

/// Where the tree of a `use` statement starts in `text`, if its last statement is one.
fn use_start(text: &str) -> Option<usize> {
    text.match_indices("use ")
        .map(|(at, _)| at)
        .find(|at| {
            let before = text[..*at].trim_end();
            before.is_empty() || before.ends_with(['\n', ';', '{', '}', ')', ']']) || before.ends_with("pub")
        })
        .map(|at| at + "use ".len())
}

fn is_public(before: &str) -> bool {
    before.trim_end().rsplit(['\n', ';', '}', '{']).next().is_some_and(|head| head.trim_start().starts_with("pub"))
}

/// The paths of a `use` tree, one for each leaf.
fn leaves(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else { return vec![tree.to_owned()] };
    let prefix = &tree[..open];
    super::top_level_items(&tree[open + 1..])
        .filter(|item| !item.trim().is_empty())
        .flat_map(|item| leaves(item.trim()).into_iter().map(move |leaf| format!("{prefix}{leaf}")))
        .collect()
}

/// Paths that are written where they are used: `crate::…`, `super::…`, `child::…`.
fn inline_paths(path: &str, code: &str, into: &mut BTreeSet<Vec<String>>) {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = code.split(|c: char| !is_path(c)).filter(|word| word.contains("::"));
    into.extend(words.filter_map(|word| absolute(path, word.trim_matches(':'))));
}

/// The path below the crate that `leaf` means in the file `path`. Another crate's name is read as a child module, which
/// resolves to the file itself.
fn absolute(path: &str, leaf: &str) -> Option<Vec<String>> {
    let mut words = leaf.split("::").map(str::trim).peekable();
    let mut base: Vec<String> = match words.peek()? {
        &"crate" => Vec::new(),
        _ if path == "lib" || path == "main" => Vec::new(),
        _ => path.split('/').map(str::to_owned).collect(),
    };
    for word in words {
        match word {
            "crate" | "self" => (),
            "super" => drop(base.pop()?),
            "*" => (),
            word => base.push(word.to_owned()),
        }
    }
    Some(base)
}

/// The file that defines what `path` names.
fn resolve(path: &[String], at: &BTreeMap<&str, usize>, uses: &BTreeMap<&str, Uses>, depth: usize) -> Option<usize> {
    const MAX_REEXPORTS: usize = 8;
    let (module, found) = (1..=path.len()).rev().find_map(|length| {
        let module = path[..length].join("/");
        at.get(module.as_str()).map(|found| (length, *found))
    })?;
    let name = path[..module].join("/");
    match path.get(module).and_then(|name_in| uses[name.as_str()].exports.get(name_in)) {
        Some(defined) if depth < MAX_REEXPORTS => {
            let mut whole = defined.clone();
            whole.extend_from_slice(&path[module + 1..]);
            resolve(&whole, at, uses, depth + 1)
        }
        _ => Some(found),
    }
}

/// Code without comments, and without what follows `#[cfg(test)] mod … {`.
fn shipped_code(text: &str) -> String {
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).fold(String::new(), |mut all, line| {
            all.push_str(line);
            all.push('\n');
            all
        });
    let code = without_visibility(&code);
    let tests = code.match_indices("#[cfg(test)]\nmod ").find(|(at, _)| {
        let line = code[*at..].lines().nth(1).unwrap_or_default();
        line.ends_with('{')
    });
    match tests {
        Some((at, _)) => code[..at].to_owned(),
        None => code,
    }
}

/// `pub(in …)` says who may use an item, and imports nothing: it becomes `pub`.
fn without_visibility(code: &str) -> String {
    let mut parts = code.split("pub(in ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |all, part| all + "pub" + part.split_once(')').map_or(part, |(_, rest)| rest))
}

/// Modules that are compiled for tests only.
fn test_modules(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let folder = match source.path.trim_end_matches(".rs") {
            "lib" | "main" => String::new(),
            path => format!("{path}/"),
        };
        let mut lines = source.text.lines();
        while let Some(line) = lines.next() {
            if line.trim() != "#[cfg(test)]" {
                continue;
            }
            let module = lines.next().unwrap_or_default().trim();
            if let Some(name) = module.strip_suffix(';').and_then(|module| module.rsplit_once("mod ")).map(|(_, name)| name) {
                found.push(format!("{folder}{name}"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let sources: Vec<Source> =
            files.iter().map(|(path, text)| Source { path: format!("{path}.rs"), text: (*text).to_owned() }).collect();
        let graph = ImportGraph::of(&sources);
        graph.cycles().into_iter().map(|group| group.into_iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn files_that_import_one_another_are_a_cycle() {
        let files = [
            ("lib", "mod a; mod b;"),
            ("a", "use crate::b::{\n    One,\n    two::Three,\n};\nfn f() {}"),
            ("b", "fn f(x: super::a::A) {}\nmod two;"),
            ("b/two", "use super::One;"),
        ];
        assert_eq!(graph(&files), [["a", "b", "b/two"]]);
    }

    #[test]
    fn a_reexport_is_no_import_and_stands_for_the_file_that_defines_the_name() {
        let files = [("a", "mod x;\nmod y;\npub use x::X;"), ("a/x", "pub struct X;"), ("a/y", "use super::X;")];
        assert!(graph(&files).is_empty());
        let files = [("a", "mod x;\nmod y;\npub use self::x::X;\nuse self::y::Y;"), ("a/x", ""), ("a/y", "use super::X;")];
        assert!(graph(&files).is_empty());
    }

    #[test]
    fn a_visibility_is_no_import() {
        let files = [
            ("a", "mod x;\nuse x::X;"),
            ("a/x", "pub(in crate::a) struct X;\npub(in super::super) use y::Y;\nmod y;"),
            ("a/x/y", "pub(in crate::a) struct Y;"),
        ];
        assert!(graph(&files).is_empty());
    }

    #[test]
    fn tests_and_comments_import_nothing() {
        let files = [
            ("a", "// use crate::b::B;\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n"),
            ("b", "use crate::a::A;\n#[cfg(test)]\nmod testing;"),
            ("b/testing", "use crate::b::B;"),
        ];
        assert!(graph(&files).is_empty());
    }
}
