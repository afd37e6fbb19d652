//! What a machine offers for trusting a root: programs, folders, browsers' databases. Only looks; decides nothing.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Facts about the machine and whoever sits before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The system's store; `None` when it is none of the kinds we know.
    pub store: Option<Store>,
    /// `certutil` of NSS, for the databases of browsers.
    pub certutil: Option<PathBuf>,
    /// `sudo`, for who is not root.
    pub sudo: Option<PathBuf>,
    /// Databases that exist, each named by its browser.
    pub databases: Vec<Database>,
    /// A Chromium is installed whose database nobody has made yet.
    pub missing_database: Option<PathBuf>,
    /// Whether this process is root.
    pub is_root: bool,
    /// Who called `sudo`, and to whom the databases belong.
    pub behind_sudo: Option<String>,
}

/// How the system's store is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The folder of the roots somebody added.
    pub anchors: PathBuf,
    /// The program that makes the store from it.
    pub update: PathBuf,
}

/// A browser's database of roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Whose.
    pub browser: &'static str,
    /// Where its `cert9.db` is.
    pub folder: PathBuf,
}

/// What is read of the process, as facts.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// Where programs are looked for, from `PATH`.
    pub path: Vec<PathBuf>,
    /// The home folder of whoever uses the browsers.
    pub home: Option<PathBuf>,
    /// Whether this process is root.
    pub is_root: bool,
    /// `SUDO_USER`, when root was reached by sudo.
    pub sudo_user: Option<String>,
}

impl Person {
    /// The one who runs this process.
    pub fn here() -> Self {
        let text = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let mut path: Vec<PathBuf> = text("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
        // A plain user's PATH often lacks the folders of the programs that make the store.
        path.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
        let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        let sudo_user =
            text("SUDO_USER").filter(|_| is_root).and_then(|user| user.into_string().ok()).filter(|user| user != "root");
        let home = match &sudo_user {
            Some(user) => home_of(user, Path::new("/etc/passwd")),
            None => text("HOME").map(PathBuf::from),
        };
        Self { path, home, is_root, sudo_user }
    }
}

impl Machine {
    /// Looks around below `root`, which is `/` but for tests.
    pub fn look(root: &Path, person: &Person) -> Self {
        let program = |name: &str| person.path.iter().map(|folder| folder.join(name)).find(|path| is_program(path));
        let below = |path: &str| root.join(path.trim_start_matches('/'));
        let store = STORES.iter().find_map(|(anchors, update)| {
            let anchors = Some(below(anchors)).filter(|folder| folder.is_dir())?;
            Some(Store { anchors, update: program(update)? })
        });
        let databases = person.home.as_deref().map(databases_of).unwrap_or_default();
        let chromium = CHROMIUMS.iter().any(|name| program(name).is_some());
        let usual = person.home.as_ref().map(|home| home.join(".pki/nssdb"));
        Self {
            store,
            certutil: program("certutil"),
            sudo: program("sudo"),
            missing_database: usual.filter(|folder| chromium && !folder.join("cert9.db").exists()),
            databases,
            is_root: person.is_root,
            behind_sudo: person.sudo_user.clone(),
        }
    }
}

/// Folders whose files become the system's store, and the program that does it: Fedora and its kin, Arch, SUSE, and
/// Debian, Ubuntu and Alpine.
const STORES: [(&str, &str); 4] = [
    ("/etc/pki/ca-trust/source/anchors", "update-ca-trust"),
    ("/etc/ca-certificates/trust-source/anchors", "update-ca-trust"),
    ("/etc/pki/trust/anchors", "update-ca-certificates"),
    ("/usr/local/share/ca-certificates", "update-ca-certificates"),
];

const CHROMIUMS: [&str; 6] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "brave-browser", "microsoft-edge"];

/// Databases of Chromium's kin (one for all of them) and of every Firefox profile, also those inside snaps.
fn databases_of(home: &Path) -> Vec<Database> {
    let fixed = [".pki/nssdb", "snap/chromium/current/.pki/nssdb"].map(|path| ("Chromium", home.join(path)));
    let profiles = [".mozilla/firefox", "snap/firefox/common/.mozilla/firefox", ".config/mozilla/firefox"]
        .into_iter()
        .flat_map(|path| folders(&home.join(path)))
        .map(|folder| ("Firefox", folder));
    fixed
        .into_iter()
        .chain(profiles)
        .filter(|(_, folder)| folder.join("cert9.db").is_file())
        .map(|(browser, folder)| Database { browser, folder })
        .collect()
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(parent).into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// The sixth field of a user's line (passwd(5)).
fn home_of(user: &str, passwd: &Path) -> Option<PathBuf> {
    let text = fs::read(passwd).ok()?;
    let line = text.split(|byte| *byte == b'\n').find(|line| line.split(|byte| *byte == b':').next() == Some(user.as_bytes()))?;
    let home = line.split(|byte| *byte == b':').nth(5).filter(|home| !home.is_empty())?;
    Some(PathBuf::from(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found_and_nothing_else() {
        let world = tempfile::tempdir().unwrap();
        let root = world.path();
        for folder in [
            "bin",
            "usr/local/share/ca-certificates",
            "home/.pki/nssdb",
            "home/.mozilla/firefox/x.default",
            "home/.mozilla/firefox/y",
        ] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for (file, mode) in [
            ("bin/update-ca-certificates", 0o755),
            ("bin/certutil", 0o644),
            ("home/.pki/nssdb/cert9.db", 0o600),
            ("home/.mozilla/firefox/x.default/cert9.db", 0o600),
        ] {
            fs::write(root.join(file), "").unwrap();
            fs::set_permissions(root.join(file), fs::Permissions::from_mode(mode)).unwrap();
        }
        let person = Person { path: vec![root.join("bin")], home: Some(root.join("home")), ..Person::default() };
        let machine = Machine::look(root, &person);
        assert_eq!((machine.certutil, machine.missing_database), (None, None));
        let (anchors, update) = (root.join("usr/local/share/ca-certificates"), root.join("bin/update-ca-certificates"));
        assert_eq!(machine.store, Some(Store { anchors, update }));
        let browsers: Vec<&str> = machine.databases.iter().map(|database| database.browser).collect();
        assert_eq!(browsers, ["Chromium", "Firefox"]);
    }

    #[test]
    fn behind_sudo_the_databases_are_those_of_the_caller() {
        let world = tempfile::tempdir().unwrap();
        let passwd = world.path().join("passwd");
        fs::write(&passwd, "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n").unwrap();
        assert_eq!(home_of("ann", &passwd), Some("/home/ann".into()));
        assert_eq!(home_of("an", &passwd), None);
    }
}
