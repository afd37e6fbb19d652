//! The local authority's root goes into real browser databases and a pretended system store, and out of both again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use doorward::cli::trust::execute;
use doorward::cli::trust::inspect::{Machine, Person};
use doorward::cli::trust::plan::{Plan, Root, TrustRequest, plan};

const PATIENCE: Duration = crate::support::wait::LIMIT;

/// A machine of its own below `world`: the real `certutil`, a Chromium nobody has started yet, and a program that makes
/// a store of one file from the anchors.
fn machine(world: &Path) -> Machine {
    let (bin, anchors) = (world.join("bin"), world.join("usr/local/share/ca-certificates"));
    for folder in [&bin, &anchors, &world.join("home")] {
        fs::create_dir_all(folder).unwrap();
    }
    let script =
        format!("#!/bin/sh\ncat {}/*.crt > {}/store.pem 2>/dev/null || : > {1}/store.pem\n", anchors.display(), world.display());
    for (program, text) in [("update-ca-certificates", script.as_str()), ("chromium", "#!/bin/sh\n")] {
        fs::write(bin.join(program), text).unwrap();
        fs::set_permissions(bin.join(program), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = vec![bin, "/usr/bin".into()];
    Machine::look(world, &Person { path, home: Some(world.join("home")), is_root: true, sudo_user: None })
}

fn carry_out(plan: &Plan) {
    assert_eq!(plan.remarks, [""; 0]);
    for step in &plan.steps {
        execute::run(step, PATIENCE).unwrap();
    }
}

/// What the browser's database says of the root: its trust flags.
#[expect(clippy::disallowed_methods, reason = "the yard's own tool, which only lists")]
fn known(world: &Path, root: &Root) -> Option<String> {
    let database = format!("sql:{}", world.join("home/.pki/nssdb").display());
    let output = Command::new("certutil").args(["-L", "-d", &database]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| Some(line.strip_prefix(root.name.as_str())?.trim().to_owned()))
}

#[test]
fn trust_reaches_every_store_and_untrust_takes_it_back() {
    let world = tempfile::tempdir().unwrap();
    let world = world.path();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "a root for this test");
    let pem = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem();
    let root = Root { state: world.to_owned(), file: world.join("root.pem"), name: "doorward-local-authority-test".into() };
    fs::write(&root.file, &pem).unwrap();

    carry_out(&plan(TrustRequest::Trust, &root, &machine(world)));
    assert_eq!(fs::read_to_string(world.join("store.pem")).unwrap(), pem);
    assert_eq!(known(world, &root).as_deref(), Some("C,,"));

    // Once more changes nothing and harms nothing.
    carry_out(&plan(TrustRequest::Trust, &root, &machine(world)));
    assert_eq!(known(world, &root).as_deref(), Some("C,,"));

    carry_out(&plan(TrustRequest::Untrust, &root, &machine(world)));
    assert_eq!(fs::read_to_string(world.join("store.pem")).unwrap(), "");
    assert_eq!(known(world, &root), None);
}
