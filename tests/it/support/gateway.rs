//! The real program under test, as a person or systemd starts it.

use std::env;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use tempfile::TempDir;

use super::client::{self, Seen};
use super::process::{self, Process};
use super::{ports, wait};

/// A gateway with its configuration, ports and state; running or not.
pub struct Gateway {
    folder: TempDir,
    /// Where it answers challenges and redirects.
    pub http: u16,
    /// Where it serves https and wss.
    pub https: u16,
    state: PathBuf,
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
    umask: Option<&'static str>,
    process: Option<Process>,
}

const START: Duration = wait::LIMIT;
const STOP: Duration = wait::LIMIT;

impl Gateway {
    /// One with free ports and an empty state, not started.
    pub fn prepare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        // Another build of it, where somebody wants to see that one.
        let program = env::var_os("DOORWARD_BIN").map_or_else(|| env!("CARGO_BIN_EXE_doorward").into(), PathBuf::from);
        let (http, https) = (ports::free(), ports::free());
        Self { folder, http, https, state, program, environment: Vec::new(), umask: None, process: None }
    }

    /// One with this configuration that serves localhost, and the root of its local authority.
    pub fn on_localhost(rest: &str) -> (Self, PathBuf) {
        let mut gateway = Self::prepare();
        gateway.configure("", rest);
        gateway.start();
        let root = gateway.local_root();
        gateway.until_served("localhost", &root, START);
        (gateway, root)
    }

    /// Keeps its state at `path` from the next start on.
    pub fn keep_state_at(&mut self, path: &Path) {
        path.clone_into(&mut self.state);
    }

    /// Has this in its environment from the next start on.
    pub fn set_environment(&mut self, name: &'static str, value: impl Into<String>) {
        self.environment.push((name, value.into()));
    }

    /// Runs with this umask (octal) from the next start on.
    pub fn set_umask(&mut self, umask: &'static str) {
        self.umask = Some(umask);
    }

    /// Its state folder.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Its configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("doorward.conf")
    }

    /// Writes its configuration: ports, state and admin socket, what stands in the `acme` block, and the rest as given.
    pub fn configure(&self, acme: &str, rest: &str) {
        let acme = if acme.is_empty() { String::new() } else { format!("acme {{\n{acme}}}\n") };
        let text = format!(
            "bind 127.0.0.1\nhttp-port {}\nhttps-port {}\nstate {}\nadmin unix/{}\n{acme}{rest}\n",
            self.http,
            self.https,
            self.state.display(),
            self.folder.path().join("admin.sock").display(),
        );
        fs::write(self.config_file(), text).unwrap();
    }

    /// Starts it and waits until both ports are open.
    pub fn start(&mut self) {
        self.launch();
        for port in [self.http, self.https] {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            wait::until(&format!("the gateway listens at {address}"), START, || {
                let process = self.process.as_mut().expect("it was launched");
                assert!(process.exit_status().is_none(), "the gateway ended at once:\n{}", process.output());
                std::net::TcpStream::connect(address)
            });
        }
    }

    /// Starts it without waiting for anything.
    pub fn launch(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        self.process = Some(Process::start("doorward", &mut self.command()));
    }

    /// Starts it with pipes for its output that nothing reads, and waits for nothing.
    pub fn launch_unread(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        self.process = Some(Process::start_unread("doorward", &mut self.command()));
    }

    /// What starts it.
    pub fn command(&self) -> Command {
        let mut command = match self.umask {
            None => process::command(&self.program),
            Some(umask) => {
                let mut shell = process::command("sh");
                shell.args(["-c", &format!("umask {umask} && exec \"$0\" \"$@\"")]).arg(&self.program);
                shell
            }
        };
        command.arg("run").arg("--config").arg(self.config_file()).current_dir(self.folder.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The running program.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the gateway runs")
    }

    /// All it said since it was started last.
    pub fn output(&self) -> String {
        self.process.as_ref().expect("the gateway runs").output()
    }

    /// Waits until its output contains `text`. Lines are written by a thread of their own, after what they speak of.
    pub fn until_logged(&self, text: &str) {
        wait::until_true(&format!("the log says `{text}`"), wait::LIMIT, || self.output().contains(text));
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process().kill();
        self.process = None;
    }

    /// SIGTERM, and the end.
    pub fn stop(&mut self) -> ExitStatus {
        self.process().signal("TERM");
        let status = self.process().until_ended(STOP);
        self.process = None;
        status
    }

    /// Another command of the program, with this gateway's configuration: `doorward COMMAND --config FILE`. The command's
    /// words stand between single spaces.
    pub fn run(&self, subcommand: &str) -> Output {
        let mut command = process::command(&self.program);
        command.args(subcommand.split(' ')).arg("--config").arg(self.config_file()).current_dir(self.folder.path());
        process::run(&format!("doorward {subcommand}"), &mut command, STOP)
    }

    /// One GET over https.
    pub fn get(&self, name: &str, path: &str, roots: &Path) -> io::Result<Seen> {
        client::get(name, self.https, path, roots)
    }

    /// Waits until `name` is answered with a certificate that `roots` vouch for.
    pub fn until_served(&self, name: &str, roots: &Path, limit: Duration) -> Seen {
        wait::until(&format!("{name} is served over https"), limit, || self.get(name, "/", roots))
    }

    /// The local authority's root, as soon as it is there.
    pub fn local_root(&self) -> PathBuf {
        Self::local_root_in(&self.state)
    }

    /// As [`Gateway::local_root`], for a state folder.
    pub fn local_root_in(state: &Path) -> PathBuf {
        let root = state.join("authorities/local/root.pem");
        wait::until("the local authority writes its root", START, || fs::metadata(&root));
        root
    }
}
