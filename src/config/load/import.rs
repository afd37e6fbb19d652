//! `import PATH`: the files a configuration is made of, put together into one tree. Symbolic links are followed,
//! circles refused, and everything is counted.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::glob;
use super::text::{LARGEST, read_text};
use crate::base::file_watch::Looked;
use crate::config::diagnostic::{Diagnostic, Diagnostics, quote};
use crate::config::environment::Environment;
use crate::config::resolve;
use crate::config::source::Sources;
use crate::config::tree::{Node, Word};

/// One file a site, for ten thousand sites.
const MAX_FILES: usize = 10_000;
/// All of them together.
const MAX_BYTES: usize = 64 << 20;
/// Files that import files; two levels are common.
const DEEPEST: usize = 8;

/// What was read so far.
pub(super) struct Files<'a> {
    surroundings: &'a Environment,
    pub(super) looked: &'a mut Looked,
    pub(super) sources: Sources,
    pub(super) findings: Diagnostics,
    pub(super) read: Vec<PathBuf>,
    pub(super) listed: Vec<PathBuf>,
    /// The files whose imports are being read, outermost first.
    chain: Vec<PathBuf>,
    bytes: usize,
}

impl<'a> Files<'a> {
    pub(super) fn new(surroundings: &'a Environment, looked: &'a mut Looked) -> Self {
        Self {
            surroundings,
            looked,
            sources: Sources::default(),
            findings: Diagnostics::default(),
            read: Vec::new(),
            listed: Vec::new(),
            chain: Vec::new(),
            bytes: 0,
        }
    }

    /// The tree of the first file with everything it imports.
    pub(super) fn first(&mut self, path: &Path, text: &str) -> Vec<Node> {
        let whole = self.surroundings.folder.join(path);
        self.file(&path.display().to_string(), &whole, text)
    }

    fn file(&mut self, name: &str, path: &Path, text: &str) -> Vec<Node> {
        self.bytes += text.len();
        self.read.push(path.to_owned());
        self.chain.push(path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        let folder = path.parent().unwrap_or_else(|| Path::new("/")).to_owned();
        let nodes = resolve::read(name, text, folder, &mut self.sources, self.surroundings, &mut self.findings);
        let mut tree = Vec::new();
        for node in nodes {
            match node.words.as_slice() {
                [name, path] if name.text == "import" && node.block.is_none() => tree.extend(self.import(path)),
                // Anything else that begins so is a misuse, which the next floor explains.
                _ => tree.push(node),
            }
        }
        self.chain.pop();
        tree
    }

    fn import(&mut self, word: &Word) -> Vec<Node> {
        let pattern = self.sources.path(word.span, &word.text);
        let paths = match self.list(&pattern) {
            Ok(paths) => paths,
            Err(error) => {
                self.refuse(
                    word,
                    format!("{} cannot be looked for: {error}", quote(&word.text)),
                    "write a path that the gateway's user may read",
                );
                return Vec::new();
            }
        };
        if paths.is_empty() {
            let problem = Diagnostic::at(word.span, format!("no file is called {}", quote(&word.text)));
            self.findings.warn(problem.hint("this is well while there are none yet"));
        }
        paths.iter().flat_map(|path| self.imported(word, path)).collect()
    }

    fn imported(&mut self, word: &Word, path: &Path) -> Vec<Node> {
        let shown = path.strip_prefix(&self.surroundings.folder).unwrap_or(path).display().to_string();
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if self.chain.contains(&real) {
            self.refuse(word, format!("{} is imported by itself", quote(&shown)), "remove one import of the circle");
            return Vec::new();
        }
        if self.chain.len() >= DEEPEST || self.read.len() >= MAX_FILES || self.bytes >= MAX_BYTES {
            let what = format!("too much is imported: at most {DEEPEST} levels, {MAX_FILES} files and {} MiB", MAX_BYTES >> 20);
            // Said once; a circle through thousands of names would repeat it for each.
            if !self.findings.problems.iter().any(|problem| problem.what == what) {
                self.refuse(word, what, "import fewer files");
            }
            return Vec::new();
        }
        self.looked.look(path);
        match read_text(path, LARGEST) {
            Ok(text) => self.file(&shown, path, &text),
            Err(error) => {
                self.refuse(word, format!("{} cannot be imported: {error}", quote(&shown)), "check the path and who may read it");
                Vec::new()
            }
        }
    }

    fn refuse(&mut self, word: &Word, what: String, hint: &str) {
        self.findings.push(Diagnostic::at(word.span, what).hint(hint));
    }

    /// The files a pattern means, sorted by name; for a path without stars just that path, there or not.
    fn list(&mut self, pattern: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = vec![PathBuf::new()];
        let mut components = pattern.components().peekable();
        let mut starred = false;
        while let Some(component) = components.next() {
            let last = components.peek().is_none();
            match component {
                Component::Normal(name) if name.to_str().is_some_and(glob::has_wildcard) => {
                    starred = true;
                    let name = name.to_string_lossy();
                    let mut next = Vec::new();
                    for folder in &paths {
                        next.extend(self.entries(folder, &name, last)?);
                    }
                    paths = next;
                }
                other => paths.iter_mut().for_each(|path| path.push(other)),
            }
        }
        if starred {
            // A file that is not there yet counts once it is.
            paths.iter().filter(|path| !path.is_file()).for_each(|path| self.looked.look(path));
            paths.retain(|path| path.is_file());
        }
        Ok(paths)
    }

    /// What in a folder fits; nothing when it is no folder.
    fn entries(&mut self, folder: &Path, pattern: &str, last: bool) -> io::Result<Vec<PathBuf>> {
        self.looked.look(folder);
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        self.listed.push(folder.to_owned());
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)?.take(MAX_FILES * 2) {
            let name = entry?.file_name();
            if name.to_str().is_some_and(|name| glob::matches(pattern, name)) {
                names.push(folder.join(name));
            }
        }
        names.sort();
        if !last {
            names.retain(|path| path.is_dir());
        }
        Ok(names)
    }
}
