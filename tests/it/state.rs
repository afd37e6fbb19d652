//! The state folder damaged, gone or full: what is served is served on, and it heals.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::disk::Disk;
use crate::support::fault::{FaultProxy, Kind};
use crate::support::gateway::Gateway;
use crate::support::pebble::{Options, Pebble};
use crate::support::server::Server;
use crate::support::{echo, wait};

const NAMES: [&str; 2] = ["one.example.test", "two.example.test"];
const ISSUE: Duration = wait::LIMIT;

struct Scene {
    gateway: Gateway,
    proxy: FaultProxy,
    root: PathBuf,
    _pebble: Pebble,
    backend: Server,
}

impl Scene {
    fn new(state: Option<&Path>) -> Self {
        let mut gateway = Gateway::prepare();
        if let Some(state) = state {
            gateway.keep_state_at(state);
        }
        let pebble = Pebble::start(gateway.http, gateway.https, &Options::default());
        let proxy = FaultProxy::start(&pebble);
        let backend = echo::start();
        let scene = Self { gateway, proxy, root: pebble.issued_root(), _pebble: pebble, backend };
        scene.configure(&NAMES);
        scene
    }

    fn configure(&self, names: &[&str]) {
        let site = format!("{} {{\n    proxy {}\n}}", names.join(" "), self.backend.address().port());
        self.gateway.configure(&self.proxy.acme_lines(), &site);
    }

    fn until_all_served(&self) -> Vec<String> {
        NAMES.iter().map(|name| self.gateway.until_served(name, &self.root, ISSUE).serial()).collect()
    }

    fn orders(&self) -> usize {
        self.proxy.answered(Kind::NewOrder, 201)
    }
}

#[test]
fn any_damaged_file_costs_at_most_one_order_for_its_name() {
    let mut scene = Scene::new(None);
    scene.gateway.start();
    let before = scene.until_all_served();
    assert!(scene.gateway.stop().success());
    let whole = scene.gateway.state().with_extension("whole");
    copy(scene.gateway.state(), &whole);
    for (number, file) in files(&whole).into_iter().enumerate() {
        fs::remove_dir_all(scene.gateway.state()).unwrap();
        copy(&whole, scene.gateway.state());
        let victim = scene.gateway.state().join(&file);
        damage(&victim, number);
        let orders = scene.orders();
        scene.gateway.start();
        let after = scene.until_all_served();
        let changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        assert!(
            changed <= 1 && scene.orders() - orders <= 1,
            "{}: {changed} changed, {} orders",
            file.display(),
            scene.orders() - orders
        );
        scene.gateway.kill();
    }
    assert_eq!(scene.proxy.answered(Kind::NewAccount, 201) - 1, 0, "the account was found again by its key or not needed");
}

#[test]
fn a_state_that_is_gone_is_made_again_with_one_order_for_each_name() {
    let mut scene = Scene::new(None);
    scene.gateway.start();
    scene.until_all_served();
    assert!(scene.gateway.stop().success());
    fs::remove_dir_all(scene.gateway.state()).unwrap();
    scene.gateway.start();
    scene.until_all_served();
    assert_eq!((scene.orders(), scene.proxy.answered(Kind::NewAccount, 201)), (2 * NAMES.len(), 2));
}

#[test]
fn a_full_disk_is_said_aloud_and_certificates_are_served_from_memory_until_there_is_room() {
    let disk = Disk::mount("2m");
    let state = disk.path().join("state");
    let mut scene = Scene::new(Some(&state));
    scene.configure(&NAMES[..1]);
    scene.gateway.start();
    let first = scene.gateway.until_served(NAMES[0], &scene.root, ISSUE).serial();
    disk.fill();
    scene.configure(&NAMES);
    assert!(scene.gateway.run("reload").status.success(), "a full disk is no reason to refuse a configuration");
    scene.gateway.process().until_said("space", ISSUE);
    assert_eq!(scene.gateway.get(NAMES[0], "/", &scene.root).unwrap().serial(), first, "what was served is served on");
    disk.free();
    let second = scene.gateway.until_served(NAMES[1], &scene.root, 3 * ISSUE).serial();
    wait::until_true("it is written down by itself", 3 * ISSUE, || {
        files(&state).iter().any(|file| file.to_string_lossy().contains(NAMES[1]) && file.ends_with("cert.pem"))
    });
    scene.gateway.kill();
    scene.gateway.start();
    assert_eq!(scene.gateway.until_served(NAMES[1], &scene.root, ISSUE).serial(), second);
    assert_eq!(scene.orders(), 2);
}

#[test]
fn a_disk_that_is_full_from_the_start_stops_nobody_who_has_a_certificate() {
    let disk = Disk::mount("2m");
    let mut scene = Scene::new(Some(&disk.path().join("state")));
    scene.gateway.start();
    let before = scene.until_all_served();
    scene.gateway.kill();
    disk.fill();
    let orders = scene.orders();
    scene.gateway.start();
    assert_eq!(scene.until_all_served(), before);
    assert_eq!(scene.orders(), orders);
}

#[test]
fn keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mut scene = Scene::new(None);
    scene.gateway.start();
    scene.until_all_served();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(scene.gateway.state()), 0o700);
    for file in files(scene.gateway.state()) {
        let path = scene.gateway.state().join(file);
        assert_eq!(mode(&path) & 0o077, 0, "{} is open to others", path.display());
    }
}

/// Three ways to damage a file, in turn: empty it, halve it, change bytes in its middle.
fn damage(file: &Path, number: usize) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    match number % 3 {
        0 => bytes.clear(),
        1 => bytes.truncate(middle),
        _ => bytes.iter_mut().skip(middle).take(16).for_each(|byte| *byte ^= 0x55),
    }
    fs::write(file, bytes).unwrap();
}

/// Files below `folder`, by their paths from there; links are not followed.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path().strip_prefix(folder).expect("it was found there").to_owned());
            }
        }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    let mut command = crate::support::process::command("cp");
    let status = command.arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "cp -a {} {}", from.display(), to.display());
}
