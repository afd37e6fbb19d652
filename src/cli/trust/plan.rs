//! Which commands make a machine trust a root, or forget it. Pure.

use std::path::{Path, PathBuf};

use super::inspect::{Machine, Store};

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustRequest {
    /// Believe what the root vouches for.
    Trust,
    /// No longer.
    Untrust,
}

/// The root as stores name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The state folder it belongs to.
    pub state: PathBuf,
    /// Its PEM file.
    pub file: PathBuf,
    /// Unlike that of another doorward's root on the same machine.
    pub name: String,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// For whom, in a few words.
    pub what: String,
    /// The program and its arguments.
    pub words: Vec<String>,
}

impl Step {
    /// As a shell would take it.
    pub fn line(&self) -> String {
        self.words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
}

/// The commands in order, and what cannot be done by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be run one after the other.
    pub steps: Vec<Step>,
    /// What a person must know or do by hand.
    pub remarks: Vec<String>,
    /// Where the root stands for everybody to read once the plan is carried out.
    pub installed: Option<PathBuf>,
}

impl Plan {
    /// The commands for another root after these.
    pub fn append(&mut self, other: Self) {
        self.steps.extend(other.steps);
        let new = other.remarks.into_iter().filter(|remark| !self.remarks.contains(remark)).collect::<Vec<_>>();
        self.remarks.extend(new);
    }
}

/// Decides from what the machine offers.
pub fn plan(wish: TrustRequest, root: &Root, machine: &Machine) -> Plan {
    let mut plan = Plan::default();
    system_store(wish, root, machine, &mut plan);
    browsers(wish, root, machine, &mut plan);
    plan
}

/// The store of OpenSSL, curl, Go and most other programs.
fn system_store(wish: TrustRequest, root: &Root, machine: &Machine, plan: &mut Plan) {
    let Some(Store { anchors, update }) = &machine.store else {
        plan.remarks.push(format!(
            "This machine has none of the stores doorward knows (update-ca-certificates, update-ca-trust). On Debian and Ubuntu \
             `apt install ca-certificates` brings one; elsewhere add {} by your system's own means.",
            root.file.display()
        ));
        return;
    };
    let mut rebuild = vec![shown(update)];
    if wish == TrustRequest::Untrust && update.ends_with("update-ca-certificates") {
        // Without it the links of a root that is gone would stay.
        rebuild.push("--fresh".into());
    }
    let file = anchors.join(format!("{}.crt", root.name));
    let first = match wish {
        TrustRequest::Trust => vec!["install".into(), "-m".into(), "0644".into(), shown(&root.file), shown(&file)],
        TrustRequest::Untrust => vec!["rm".into(), "-f".into(), shown(&file)],
    };
    let what = match wish {
        TrustRequest::Trust => "the system's store",
        TrustRequest::Untrust => "out of the system's store",
    };
    for words in [first, rebuild] {
        match as_root(words, machine) {
            Some(words) => plan.steps.push(Step { what: what.into(), words }),
            None => {
                let state = quoted(&shown(&root.state));
                plan.remarks.push(format!("The system's store belongs to root: run this again as root, with `--state {state}`."));
                return;
            }
        }
    }
    plan.installed = (wish == TrustRequest::Trust).then_some(file);
}

/// Chromium and Firefox on Linux keep databases of their own.
fn browsers(wish: TrustRequest, root: &Root, machine: &Machine, plan: &mut Plan) {
    let wanted = !machine.databases.is_empty() || machine.missing_database.is_some();
    let Some(certutil) = &machine.certutil else {
        if wanted {
            plan.remarks.push(format!(
                "Chromium and Firefox keep their own stores, and the tool for them is missing: on Debian and Ubuntu \
                 `apt install libnss3-tools`, then run this command again. Or import {} in the browser's settings, \
                 under certificates, authorities.",
                root.file.display()
            ));
        }
        return;
    };
    let mut folders: Vec<(&str, &Path)> = machine.databases.iter().map(|d| (d.browser, d.folder.as_path())).collect();
    if let (TrustRequest::Trust, Some(folder)) = (wish, &machine.missing_database) {
        let mut step = |words: Vec<String>| {
            plan.steps.push(Step { what: "a store for Chromium".into(), words: as_person(words, machine) });
        };
        step(vec!["mkdir".into(), "-p".into(), "-m".into(), "0700".into(), shown(folder)]);
        step(vec![shown(certutil), "-N".into(), "-d".into(), database(folder), "--empty-password".into()]);
        folders.push(("Chromium", folder));
    }
    // The state folder is closed to everybody but the gateway; the store's copy is not.
    let source = shown(plan.installed.as_ref().unwrap_or(&root.file));
    for (browser, folder) in folders {
        let mut words = vec![shown(certutil), "-d".into(), database(folder)];
        let rest: &[&str] = match wish {
            TrustRequest::Trust => &["-A", "-t", "C,,", "-n", &root.name, "-i", &source],
            TrustRequest::Untrust => &["-D", "-n", &root.name],
        };
        words.extend(rest.iter().map(ToString::to_string));
        plan.steps.push(Step { what: format!("{browser}, {}", folder.display()), words: as_person(words, machine) });
    }
}

fn database(folder: &Path) -> String {
    format!("sql:{}", folder.display())
}

/// `None` when we are not root and cannot become it.
fn as_root(words: Vec<String>, machine: &Machine) -> Option<Vec<String>> {
    if machine.is_root {
        return Some(words);
    }
    let sudo = machine.sudo.as_ref()?;
    Some(std::iter::once(shown(sudo)).chain(words).collect())
}

/// A database written by root would lock its owner out.
fn as_person(words: Vec<String>, machine: &Machine) -> Vec<String> {
    match (&machine.behind_sudo, &machine.sudo) {
        (Some(user), Some(sudo)) => [shown(sudo), "-u".into(), user.clone()].into_iter().chain(words).collect(),
        _ => words,
    }
}

fn shown(path: impl AsRef<Path>) -> String {
    path.as_ref().display().to_string()
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::super::inspect::Database;
    use super::*;

    fn check(wish: TrustRequest, machine: &Machine, expected: &[&str]) -> Plan {
        let root =
            Root { state: "/state".into(), file: "/state/authorities/local/root.pem".into(), name: "doorward-1a2b".into() };
        let plan = plan(wish, &root, machine);
        assert_eq!(plan.steps.iter().map(Step::line).collect::<Vec<_>>(), expected);
        plan
    }

    fn debian() -> Machine {
        let (anchors, update) = ("/usr/local/share/ca-certificates".into(), "/usr/sbin/update-ca-certificates".into());
        let database = Database { browser: "Firefox", folder: "/home/ann/.mozilla/firefox/a b".into() };
        Machine {
            store: Some(Store { anchors, update }),
            sudo: Some("/usr/bin/sudo".into()),
            certutil: Some("/usr/bin/certutil".into()),
            databases: vec![database],
            ..Machine::default()
        }
    }

    #[test]
    fn a_plain_user_needs_sudo_for_the_system_and_nothing_for_browsers() {
        let plan = check(
            TrustRequest::Trust,
            &debian(),
            &[
                "/usr/bin/sudo install -m 0644 /state/authorities/local/root.pem /usr/local/share/ca-certificates/doorward-1a2b.crt",
                "/usr/bin/sudo /usr/sbin/update-ca-certificates",
                "/usr/bin/certutil -d 'sql:/home/ann/.mozilla/firefox/a b' -A -t C,, -n doorward-1a2b -i \
                 /usr/local/share/ca-certificates/doorward-1a2b.crt",
            ],
        );
        assert_eq!(plan.installed, Some("/usr/local/share/ca-certificates/doorward-1a2b.crt".into()));
        assert_eq!(plan.remarks, [""; 0]);
    }

    #[test]
    fn untrust_takes_back_each_step() {
        check(
            TrustRequest::Untrust,
            &debian(),
            &[
                "/usr/bin/sudo rm -f /usr/local/share/ca-certificates/doorward-1a2b.crt",
                "/usr/bin/sudo /usr/sbin/update-ca-certificates --fresh",
                "/usr/bin/certutil -d 'sql:/home/ann/.mozilla/firefox/a b' -D -n doorward-1a2b",
            ],
        );
    }

    #[test]
    fn root_behind_sudo_writes_databases_as_their_owner() {
        let machine = Machine {
            is_root: true,
            behind_sudo: Some("ann".into()),
            databases: Vec::new(),
            missing_database: Some("/home/ann/.pki/nssdb".into()),
            ..debian()
        };
        check(
            TrustRequest::Trust,
            &machine,
            &[
                "install -m 0644 /state/authorities/local/root.pem /usr/local/share/ca-certificates/doorward-1a2b.crt",
                "/usr/sbin/update-ca-certificates",
                "/usr/bin/sudo -u ann mkdir -p -m 0700 /home/ann/.pki/nssdb",
                "/usr/bin/sudo -u ann /usr/bin/certutil -N -d sql:/home/ann/.pki/nssdb --empty-password",
                "/usr/bin/sudo -u ann /usr/bin/certutil -d sql:/home/ann/.pki/nssdb -A -t C,, -n doorward-1a2b -i \
                 /usr/local/share/ca-certificates/doorward-1a2b.crt",
            ],
        );
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let poor = Machine { databases: debian().databases, ..Machine::default() };
        let remarks = check(TrustRequest::Trust, &poor, &[]).remarks;
        assert!(remarks[0].contains("apt install ca-certificates") && remarks[1].contains("apt install libnss3-tools"));
        let without_sudo = Machine { sudo: None, databases: Vec::new(), ..debian() };
        assert!(check(TrustRequest::Trust, &without_sudo, &[]).remarks[0].contains("as root, with `--state /state`"));
    }
}
