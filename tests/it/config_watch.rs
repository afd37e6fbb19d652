//! Files of the configuration that change while the gateway runs: half written, emptied, repaired, and those it names.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::{echo, process, wait};

/// Two looks, 2 s apart, and a reload; on a busy machine.
const SOON: Duration = wait::LIMIT;

fn site(host: &str, text: &str) -> String {
    format!("{host} {{\n    respond 200 {text}\n}}\n")
}

fn started(rest: &str) -> (Gateway, std::path::PathBuf) {
    Gateway::on_localhost(rest)
}

/// Waits until `host` answers `text`.
fn until_answers(gateway: &Gateway, host: &str, root: &Path, text: &str) {
    wait::until(&format!("{host} answers {text}"), SOON, || match gateway.get(host, "/", root) {
        Ok(seen) if seen.text() == text => Ok(()),
        Ok(seen) => Err(seen.text().to_owned()),
        Err(error) => Err(error.to_string()),
    });
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[test]
fn an_emptied_configuration_closes_no_site_until_an_operator_says_so() {
    let (mut gateway, root) = started(&site("localhost", "here"));
    let good = fs::read(gateway.config_file()).unwrap();
    fs::write(gateway.config_file(), "").unwrap();
    gateway.process().until_said("the new configuration has no site, and 1 site is served now", SOON);
    assert_eq!(gateway.get("localhost", "/", &root).unwrap().text(), "here");
    // The empty file no longer says where the socket is.
    let mut reload = process::command(env!("CARGO_BIN_EXE_doorward"));
    reload.args(["reload", "--socket"]).arg(gateway.config_file().with_file_name("admin.sock"));
    let refused = process::run("doorward reload", &mut reload, SOON);
    assert!(!refused.status.success() && said(&refused).contains("--allow-empty"), "{}", said(&refused));
    gateway.process().signal("HUP");
    // What was written meanwhile is taken.
    fs::write(gateway.config_file(), good).unwrap();
    gateway.process().until_said("\"reloaded\"", SOON);
    until_answers(&gateway, "localhost", &root, "here");
    // With the sites in a folder that is not mounted.
    let without = fs::read_to_string(gateway.config_file()).unwrap();
    let without = without.split("localhost").next().unwrap();
    fs::write(gateway.config_file(), format!("{without}import sites/*.conf\n")).unwrap();
    assert!(said(&gateway.run("reload")).contains("no site"));
    let allowed = gateway.run("reload --allow-empty");
    assert!(allowed.status.success(), "{}", said(&allowed));
    wait::until_true("the port is closed", SOON, || gateway.get("localhost", "/", &root).is_err());
    // And a gateway that serves none takes another one that has none.
    assert!(gateway.run("reload").status.success());
}

#[test]
fn a_refused_configuration_is_read_again_when_any_of_its_files_is_repaired() {
    let (mut gateway, root) = started(&site("localhost", "here"));
    let folder = gateway.config_file().parent().unwrap().to_owned();
    let write = |name: &str, text: &str| {
        fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        fs::write(folder.join(name), text).unwrap();
    };
    let imports = "import sites/*.conf\nimport apps/*/site.conf\nimport extra.conf\n";
    write("sites/b.conf", "b.localhost {\n repsond 200 b\n}\n");
    gateway.configure("", &[imports, &site("localhost", "here")].concat());
    gateway.process().until_said("repsond", SOON);
    // An imported file repaired in place, and a file that was named and not there.
    write("sites/b.conf", &site("b.localhost", "b"));
    write("extra.conf", &site("e.localhost", "e"));
    until_answers(&gateway, "b.localhost", &root, "b");
    until_answers(&gateway, "e.localhost", &root, "e");
    // A folder that a pattern wants to look into, and later its file.
    fs::create_dir_all(folder.join("apps/two")).unwrap();
    wait::until_true("the folder is seen", SOON, || gateway.output().matches("\"reloaded\"").count() >= 2);
    write("apps/two/site.conf", &site("two.localhost", "two"));
    until_answers(&gateway, "two.localhost", &root, "two");
}

#[test]
fn a_file_that_becomes_readable_is_read() {
    use std::os::unix::fs::PermissionsExt;
    let (mut gateway, root) = started(&site("localhost", "here"));
    let folder = gateway.config_file().parent().unwrap().to_owned();
    let chmod = |mode| fs::set_permissions(folder.join("more.conf"), fs::Permissions::from_mode(mode)).unwrap();
    fs::write(folder.join("more.conf"), site("more.localhost", "more")).unwrap();
    chmod(0o000);
    let is_everything_readable = fs::File::open(folder.join("more.conf")).is_ok();
    gateway.configure("", &["import more.conf\n", &site("localhost", "here")].concat());
    // The superuser reads all.
    if !is_everything_readable {
        gateway.process().until_said("cannot be imported", SOON);
    }
    chmod(0o644);
    until_answers(&gateway, "more.localhost", &root, "more");
}

#[test]
fn the_authorities_of_backends_and_clients_are_taken_over_when_their_files_change() {
    let backend = echo::start();
    let (mut gateway, root) = started(&site("localhost", "here"));
    let folder = gateway.config_file().parent().unwrap().to_owned();
    let ca = fs::read(&root).unwrap();
    for name in ["clients.pem", "backend.pem"] {
        fs::write(folder.join(name), &ca).unwrap();
    }
    let port = backend.address().port();
    let rest = format!(
        "upstream app {{\n to https://127.0.0.1:{port}\n tls {{\n  ca-file backend.pem\n }}\n}}\n\
         app.localhost {{\n client-certificates clients.pem optional\n proxy app\n}}\n{}",
        site("localhost", "here")
    );
    gateway.configure("", &rest);
    let reloaded = gateway.run("reload");
    assert!(reloaded.status.success(), "{}", said(&reloaded));
    for name in ["clients.pem", "backend.pem"] {
        let before = gateway.output().matches("\"reloaded\"").count();
        // Half a file is refused, and changes nothing.
        fs::write(folder.join(name), &ca[..ca.len() / 2]).unwrap();
        gateway.process().until_said(&format!("{name} holds no usable"), SOON);
        assert_eq!(gateway.get("localhost", "/", &root).unwrap().text(), "here");
        fs::write(folder.join(name), [ca.as_slice(), &ca].concat()).unwrap();
        wait::until_true(&format!("{name} is read"), SOON, || gateway.output().matches("\"reloaded\"").count() > before);
    }
}

/// Opening a pipe without a writer never returns.
#[test]
fn a_pipe_in_the_place_of_a_file_holds_nothing_up() {
    let (gateway, root) = started(&site("localhost", "here"));
    let folder = gateway.config_file().parent().unwrap().to_owned();
    fs::create_dir(folder.join("pages")).unwrap();
    for name in ["pipe", "pages/404.html"] {
        let made = process::command("mkfifo").arg(folder.join(name)).status().unwrap();
        assert!(made.success());
    }
    let check = |word: &str| {
        gateway.configure("", &format!("localhost {{\n {word}\n respond 200 here\n}}\n"));
        let refused = gateway.run("reload");
        assert!(!refused.status.success() && said(&refused).contains("it is not a file"), "{word}: {}", said(&refused));
        assert_eq!(gateway.get("localhost", "/", &root).unwrap().text(), "here", "{word}");
    };
    check("client-certificates pipe");
    check("errors pages");
    check("tls pipe pipe");
    gateway.configure("", "import pipe\n");
    assert!(said(&gateway.run("reload")).contains("it is not a file"));
    gateway.configure("", "upstream app {\n to https://a.example\n tls {\n  ca-file pipe\n }\n}\nlocalhost {\n proxy app\n}\n");
    assert!(said(&gateway.run("reload")).contains("it is not a file"));
}

/// A configuration through a pipe, as containers and scripts give it: it is read once.
#[test]
fn a_configuration_comes_through_standard_input_as_well() {
    let gateway = Gateway::prepare();
    gateway.configure("", &["import more.conf\n", &site("localhost", "here")].concat());
    let folder = gateway.config_file().parent().unwrap().to_owned();
    fs::write(folder.join("more.conf"), site("{$HOSTS}", "more")).unwrap();
    let text = fs::read(gateway.config_file()).unwrap();
    let start = |words: &[&str]| {
        let (reader, mut writer) = std::io::pipe().unwrap();
        std::io::Write::write_all(&mut writer, &text).unwrap();
        drop(writer);
        let mut command = process::command(env!("CARGO_BIN_EXE_doorward"));
        command.args(words).current_dir(&folder).env("HOSTS", "a.localhost, b.localhost").stdin(reader);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    for path in ["-", "/dev/stdin"] {
        let checked = start(&["check", "--config", path]).wait_with_output().unwrap();
        assert!(checked.status.success() && said(&checked).contains("is fine: 2 sites for 3 names"), "{}", said(&checked));
    }
    let mut running = start(&["run", "--config", "-"]);
    let root = gateway.local_root();
    for host in ["localhost", "a.localhost", "b.localhost"] {
        gateway.until_served(host, &root, SOON);
    }
    running.kill().unwrap();
    running.wait().unwrap();
    // What is broken in it is told with a place.
    let mut broken = process::command(env!("CARGO_BIN_EXE_doorward"));
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, b"localhost {\n proxxy 1\n}\n").unwrap();
    drop(writer);
    let output = broken.args(["check", "--config", "-"]).stdin(reader).output().unwrap();
    assert!(output.status.code() == Some(3) && said(&output).contains("proxxy"), "{}", said(&output));
}

/// What cannot be read for lack of descriptors is not damaged.
#[test]
fn a_gateway_without_descriptors_sets_nothing_aside() {
    let (mut gateway, root) = started(&site("localhost", "here"));
    assert!(gateway.stop().success());
    let before = fs::read(&root).unwrap();
    for limit in ["12", "16", "20", "24", "32"] {
        let mut command = process::command("sh");
        command.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_doorward")]);
        command.args(["run", "--config"]).arg(gateway.config_file());
        let mut short = process::Process::start("doorward", &mut command);
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], gateway.https));
        wait::until_true("it serves or ends", SOON, || {
            short.exit_status().is_some() || std::net::TcpStream::connect(address).is_ok()
        });
        short.kill();
        assert!(!gateway.state().join("damaged").exists(), "with {limit} descriptors:\n{}", short.output());
        assert_eq!(fs::read(&root).unwrap(), before, "with {limit} descriptors");
    }
}
