//! Private keys stay private: on the disk, in what the gateway says, and when it crashes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::issuance::{ISSUE, Issuance};
use crate::support::pebble::Options;

const SITE: &str = "door.example.test";
const EAB: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

#[test]
fn keys_are_for_their_owner_alone_whatever_the_umask() {
    for umask in ["000", "0277"] {
        let mut all = Issuance::new(&Options::default());
        all.configure("", &[SITE, "localhost"]);
        all.gateway.set_umask(umask);
        all.gateway.start();
        all.until_served(&[SITE]);
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(all.gateway.state()), 0o700, "umask {umask}");
        let found = files(all.gateway.state());
        assert!(found.iter().any(|file| file.ends_with("key.pem")));
        for file in found {
            assert_eq!(mode(&file) & 0o077, 0, "umask {umask}: {} is open to others", file.display());
        }
    }
}

#[test]
fn no_key_appears_in_what_the_gateway_says_and_none_in_a_crash() {
    let mut all = Issuance::new(&Options { eab: Some(("kid-1", EAB)), ..Options::default() });
    all.configure(&format!("eab kid-1 {EAB}\n"), &[SITE, "localhost"]);
    all.gateway.set_environment("DOORWARD_LOG", "trace");
    all.gateway.start();
    all.until_served(&[SITE]);
    let mut said = String::new();
    let mut hear = |output: std::process::Output| {
        said.push_str(&String::from_utf8_lossy(&output.stdout));
        said.push_str(&String::from_utf8_lossy(&output.stderr));
    };
    for words in ["certs --json", "status --json", "renew door.example.test", "reload", "adapt", "check"] {
        hear(all.gateway.run(words));
    }
    all.gateway.process().until_said("certificate_in_service", ISSUE);
    let id = all.gateway.process().id();
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert!(core.split_whitespace().nth(4).is_some_and(|most| most.parse::<u32>().is_ok_and(|most| most <= 1)), "{core}");
    said.push_str(&all.gateway.output());
    let keys = files(all.gateway.state()).into_iter().filter(|file| is_key(file));
    let secrets: Vec<String> = keys.flat_map(|file| lines_of(&file)).chain([EAB.to_owned()]).collect();
    assert!(secrets.len() >= 4, "{secrets:?}");
    for secret in secrets {
        assert!(!said.contains(&secret), "a secret was said");
    }
}

fn is_key(file: &Path) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.contains("PRIVATE KEY"))
}

/// The lines between the marks of a PEM file.
fn lines_of(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().filter(|line| line.len() > 20 && !line.starts_with("-----")).map(str::to_owned).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}
