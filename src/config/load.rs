//! The only file of this layer that touches the disk: the configuration's files and imports, secrets in files, and
//! the facts about the process that a configuration's meaning depends on.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostics, Report};
use super::environment::Environment;
use super::resolve;
use super::settings::Settings;
use crate::base::file_watch::Looked;

mod glob;
mod import;
mod text;
mod warnings;

use text::{LARGEST, LARGEST_SECRET, read_text, text_of};
use warnings::{served_secrets, unreadable_files, unrunnable_programs};

/// The file beside the user, then the machine's.
const SEARCHED: [&str; 2] = ["doorward.conf", "/etc/doorward/doorward.conf"];

/// A configuration that may run, and what it was read from.
#[derive(Debug)]
pub struct Loaded {
    /// What it means.
    pub settings: Settings,
    /// Every file whose change changes the meaning, the first one first. Certificates are not among them.
    pub files_read: Vec<PathBuf>,
    /// Folders in which a new file would change the meaning: those an `import` with a star looked into.
    pub folders_listed: Vec<PathBuf>,
    /// What is perhaps not as meant.
    pub warnings: Report,
    /// The first file's text.
    pub text: String,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// None was named, and none was found.
    #[error("there is no configuration: neither {} exists; name one by --config", SEARCHED.join(" nor "))]
    NotFound,
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is read, and refused.
    #[error("{0}")]
    Refused(Report),
}

/// Loads the file of this path, or the first of those that are looked for.
pub fn load(path: Option<&Path>, surroundings: &Environment) -> Result<Loaded, LoadError> {
    load_looking(path, surroundings, &mut Looked::default())
}

/// As [`load`], and puts into `looked` what the result depends on, loaded or refused: every file that was read or would have
/// been, and every folder that a pattern looked into or would have.
pub fn load_looking(path: Option<&Path>, surroundings: &Environment, looked: &mut Looked) -> Result<Loaded, LoadError> {
    let path = match path {
        Some(path) => path.to_owned(),
        None => {
            SEARCHED.iter().for_each(|path| looked.look(&surroundings.folder.join(path)));
            search(surroundings).ok_or(LoadError::NotFound)?
        }
    };
    looked.look(&surroundings.folder.join(&path));
    let unreadable = |source| LoadError::Unreadable { path: path.clone(), source };
    let text = read_text(&surroundings.folder.join(&path), LARGEST).map_err(unreadable)?;
    load_text(&path, text, surroundings, looked)
}

/// As [`load_looking`], for a text that came through a pipe; paths in it start from the working folder.
pub fn load_piped(text: String, surroundings: &Environment, looked: &mut Looked) -> Result<Loaded, LoadError> {
    let name = Path::new("standard input");
    let mut loaded = load_text(name, text, surroundings, looked)?;
    // There is no such file.
    if let Some(first) = loaded.files_read.first_mut() {
        name.clone_into(first);
    }
    Ok(loaded)
}

fn load_text(path: &Path, text: String, surroundings: &Environment, looked: &mut Looked) -> Result<Loaded, LoadError> {
    let mut files = import::Files::new(surroundings, looked);
    let tree = files.first(path, &text);
    let import::Files { sources, findings, mut read, listed, looked, .. } = files;
    let (secrets, looked) = (RefCell::new(Vec::new()), RefCell::new(looked));
    let secret = |path: &Path| {
        secrets.borrow_mut().push(path.to_owned());
        looked.borrow_mut().look(path);
        read_text(path, LARGEST_SECRET).map_err(|error| error.to_string())
    };
    let resolved = resolve::finish(tree, sources, surroundings, &secret, findings).map_err(LoadError::Refused)?;
    read.append(&mut secrets.borrow_mut());
    let resolve::Resolved { mut settings, mut warnings } = resolved;
    settings.sources.clone_from(&read);
    served_secrets(&settings).for_each(|problem| warnings.add(problem));
    unreadable_files(&settings).for_each(|problem| warnings.add(problem));
    unrunnable_programs(&settings).for_each(|problem| warnings.add(problem));
    Ok(Loaded { settings, files_read: read, folders_listed: listed, warnings, text })
}

/// The text of a configuration that comes through a pipe and can be read only once: `-`, `/dev/stdin`, `<(...)` of a shell.
/// `None` where `path` is anything else. Waits for the end of the pipe.
pub fn read_pipe(path: &Path) -> Option<Result<String, LoadError>> {
    let unreadable = |source| LoadError::Unreadable { path: path.to_owned(), source };
    let read = |input: &mut dyn Read| {
        let mut bytes = Vec::new();
        input.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        text_of(bytes, LARGEST).map_err(unreadable)
    };
    if path == Path::new("-") {
        return Some(read(&mut io::stdin().lock()));
    }
    let is_of_a_descriptor = ["/dev/stdin", "/dev/fd", "/proc/self/fd"].iter().any(|folder| path.starts_with(folder));
    if !is_of_a_descriptor || std::fs::metadata(path).is_ok_and(|facts| facts.is_file()) {
        return None;
    }
    Some(File::open(path).map_err(unreadable).and_then(|mut file| read(&mut file)))
}

/// Where the operator's socket of a configuration is, `None` when it is switched off. Whatever is wrong with the rest of
/// the text does not matter: a gateway goes on serving while its file is broken, and must still be found.
pub fn admin(path: Option<&Path>, surroundings: &Environment) -> Result<Option<PathBuf>, LoadError> {
    let path = match path {
        Some(path) => path.to_owned(),
        None => search(surroundings).ok_or(LoadError::NotFound)?,
    };
    let text = read_text(&surroundings.folder.join(&path), LARGEST)
        .map_err(|source| LoadError::Unreadable { path: path.clone(), source })?;
    let mut looked = Looked::default();
    let mut files = import::Files::new(surroundings, &mut looked);
    let tree = files.first(&path, &text);
    let tree = tree.into_iter().filter(|node| matches!(node.name().text.as_str(), "admin" | "state")).collect();
    let no_secret = |_: &Path| Err("no secret is needed here".to_owned());
    let resolved = resolve::finish(tree, files.sources, surroundings, &no_secret, Diagnostics::default());
    Ok(resolved.map_err(LoadError::Refused)?.settings.admin)
}

/// Files that settings name and that are read when they are put to work: certificates that backends are trusted by or see of
/// us, the authorities of clients, and the folders of error pages. Certificates that are served are not among them: those
/// are taken over by themselves.
pub fn named_files(settings: &Settings) -> impl Iterator<Item = &PathBuf> {
    let upstreams = settings.upstreams.iter().flat_map(|group| {
        let client = group.tls.client.iter().flat_map(|(chain, key)| [chain, key]);
        group.tls.ca_file.iter().chain(client)
    });
    let sites = settings.sites.iter().flat_map(|site| {
        let pages = site.blocks.iter().filter_map(|block| block.policy.errors.as_ref());
        site.client_certificates.iter().map(|asked| &asked.ca_file).chain(pages)
    });
    let mut seen = BTreeSet::new();
    upstreams.chain(sites).filter(move |path| seen.insert(*path))
}

fn search(surroundings: &Environment) -> Option<PathBuf> {
    SEARCHED.iter().map(PathBuf::from).find(|path| surroundings.folder.join(path).is_file())
}

impl Environment {
    /// The facts about this process, read once.
    pub fn of_process() -> io::Result<Self> {
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let folder = std::env::current_dir()?;
        // systemd gives a list when the unit names several.
        let runtime = std::env::var("RUNTIME_DIRECTORY").ok();
        let runtime_folder = runtime.and_then(|list| list.split(':').find(|path| !path.is_empty()).map(PathBuf::from));
        Ok(Self {
            environment: environment.collect(),
            has_state_folder: folder.join("state").is_dir(),
            folder,
            runtime_folder,
            staging: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::SiteTls;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn load_in(folder: &Path) -> Result<Loaded, LoadError> {
        load(None, &Environment { folder: folder.to_owned(), ..Environment::default() })
    }

    #[test]
    fn the_operators_socket_is_found_in_a_broken_configuration() {
        let check = |text: &str, expected: Option<&str>| {
            let folder = folder(&[("doorward.conf", text)]);
            let surroundings = Environment { folder: folder.path().to_owned(), ..Environment::default() };
            let socket = admin(None, &surroundings).unwrap();
            let expected = expected.map(|path| folder.path().join(path));
            assert_eq!(socket, expected, "for {text:?}");
        };
        check("admin unix/a.sock\nlocalhost {\n proxxy 3000\n", Some("a.sock"));
        check("state here\nlocalhost {\n nonsense\n}\n", Some("here/admin.sock"));
        check("admin off\n}\n", None);
        check("localhost {\n nonsense\n}\n", Some("/var/lib/doorward/admin.sock"));
    }

    fn refused(folder: &Path) -> String {
        load_in(folder).unwrap_err().to_string()
    }

    #[test]
    fn imports_are_followed_in_order_through_links_and_stars() {
        let folder = folder(&[
            ("doorward.conf", "import sites/*.conf\n"),
            ("sites/b.conf", "b.example {\n proxy 2\n}\n"),
            ("sites/a.conf", "a.example {\n tls cert.pem key.pem\n proxy 1\n}\n"),
            ("sites/.c.conf", "c.example {\n}\n"),
            ("elsewhere/d.conf", "d.example {\n proxy 4\n}\n"),
        ]);
        std::os::unix::fs::symlink("../elsewhere/d.conf", folder.path().join("sites/d.conf")).unwrap();
        let loaded = load_in(folder.path()).unwrap();
        let hosts: Vec<String> = loaded.settings.sites.iter().map(|site| site.hosts[0].pattern.to_string()).collect();
        assert_eq!(hosts, ["a.example", "b.example", "d.example"]);
        assert_eq!(loaded.files_read.len(), 4);
        assert_eq!(loaded.folders_listed, [folder.path().join("sites")]);
        let SiteTls::Files { chain, .. } = &loaded.settings.sites[0].tls else { panic!("no files") };
        assert_eq!(*chain, folder.path().join("sites/cert.pem"), "a path starts from the file it is written in");
        let warned = loaded.warnings.to_string();
        assert!(warned.contains("warning: the site at sites/a.conf:1 names the file"), "{warned}");
        assert_eq!(loaded.warnings.list().len(), 2, "the certificate and its key are missing");
    }

    #[test]
    fn imports_in_a_circle_and_missing_files_are_refused_with_their_place() {
        let folder = folder(&[("doorward.conf", "import a.conf\n"), ("a.conf", "\nimport doorward.conf\nimport none.conf\n")]);
        let problems = refused(folder.path());
        assert!(problems.contains("error: `doorward.conf` is imported by itself\n --> a.conf:2:8"), "{problems}");
        assert!(problems.contains("error: `none.conf` cannot be imported: No such file"), "{problems}");
        assert!(problems.ends_with("2 problems"), "{problems}");
    }

    #[test]
    fn a_star_without_a_file_is_only_a_warning() {
        let folder = folder(&[("doorward.conf", "import sites/*.conf\nlocalhost {\n proxy 1\n}\n")]);
        assert_eq!(load_in(folder.path()).unwrap().warnings.list().len(), 1);
    }

    #[test]
    fn what_is_no_text_file_is_refused() {
        let nothing = folder(&[]);
        let error = load(Some(Path::new("none.conf")), &Environment { folder: nothing.path().into(), ..Environment::default() });
        assert_eq!(error.unwrap_err().to_string(), "cannot read the configuration none.conf");
        std::fs::write(nothing.path().join("doorward.conf"), b"a\nb \xff\n").unwrap();
        let LoadError::Unreadable { source, .. } = load_in(nothing.path()).unwrap_err() else { panic!("it was read") };
        assert_eq!(source.to_string(), "line 2 is not UTF-8");
    }

    #[test]
    fn a_program_that_cannot_be_run_is_warned_of_once() {
        let text = "acme {\n hook deploy\n}\na.example {\n tls acme {\n  key p384\n }\n proxy 1\n}\n";
        let folder = folder(&[("doorward.conf", text), ("deploy", "#!/bin/sh\n")]);
        let warned = load_in(folder.path()).unwrap().warnings;
        assert_eq!(warned.list().len(), 1, "{warned}");
        assert!(warned.to_string().contains("which cannot be run: this file is not executable"), "{warned}");
    }

    #[test]
    fn what_is_private_in_a_served_folder_is_warned_of() {
        let text = "state www/state\nimport www/part.conf\nb.example {\n files www/state/public\n}\n";
        let part = "a.example {\n tls site.pem site.key\n files .\n}\n";
        let folder = folder(&[("doorward.conf", text), ("www/part.conf", part), ("www/site.pem", ""), ("www/site.key", "")]);
        std::fs::create_dir_all(folder.path().join("www/state/public")).unwrap();
        let loaded = load_in(folder.path()).unwrap();
        let warned = loaded.warnings.to_string();
        for what in [
            "www/part.conf lies in the folder of `files",
            "www/site.key lies in the folder of `files",
            "www/state lies in the folder of `files",
            "www/state/public` lies in the state folder",
        ] {
            assert!(warned.contains(what), "{what:?} is missing: {warned}");
        }
        assert_eq!(loaded.warnings.list().len(), 4, "{warned}");
    }

    #[test]
    fn secrets_come_from_files_and_are_watched() {
        let folder =
            folder(&[("doorward.conf", "acme {\n eab file eab\n}\nexample.com {\n proxy 1\n}\n"), ("eab", "kid-1 Zm9v\n")]);
        let loaded = load_in(folder.path()).unwrap();
        let eab = loaded.settings.acme.eab.clone().unwrap();
        assert_eq!((eab.key_id.as_str(), eab.hmac_key.expose().as_slice()), ("kid-1", b"foo".as_slice()));
        assert!(loaded.files_read.contains(&folder.path().join("eab")));
    }
}
