//! A program of the yard: started, listened to, and ended with its guard.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::wait;

/// A command that is not started yet.
#[expect(clippy::disallowed_methods, reason = "tests start the real programs")]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// A running program whose output is kept.
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command` with its output caught.
    pub fn start(name: &str, command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{name} does not start: {error}: {command:?}"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let readers = vec![read_lines(stdout, &lines), read_lines(stderr, &lines)];
        Self { name: name.to_owned(), child, lines, readers }
    }

    /// Starts `command` with pipes that nothing reads as its output; they fill up.
    pub fn start_unread(name: &str, command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name} does not start: {error}: {command:?}"));
        Self { name: name.to_owned(), child, lines: Arc::default(), readers: Vec::new() }
    }

    /// Reads both pipes from now on.
    pub fn read_output(&mut self) {
        let stdout = self.child.stdout.take().expect("nothing read it");
        let stderr = self.child.stderr.take().expect("nothing read it");
        self.readers = vec![read_lines(stdout, &self.lines), read_lines(stderr, &self.lines)];
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Bytes of memory that it has now.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let found = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
        found.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
    }

    /// All that was written so far, to either stream.
    pub fn output(&self) -> String {
        self.lines.lock().expect("no reader panics").join("\n")
    }

    /// Waits until `text` was written, and gives its line.
    pub fn until_said(&mut self, text: &str, limit: Duration) -> String {
        let what = format!("{} says {text:?}", self.name);
        wait::until(&what, limit, || {
            let said = self.lines.lock().expect("no reader panics").iter().find(|line| line.contains(text)).cloned();
            assert!(
                said.is_some() || self.exit_status().is_none(),
                "{} ended before it said {text:?}:\n{}",
                self.name,
                self.output()
            );
            said.ok_or_else(|| self.output())
        })
    }

    /// How it ended, if it did.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// Waits until it ends.
    pub fn until_ended(&mut self, limit: Duration) -> ExitStatus {
        let status = wait::until(&format!("{} ends", self.name), limit, || {
            self.child.try_wait().expect("it is our child").ok_or("it runs")
        });
        self.readers.drain(..).for_each(|reader| reader.join().expect("a reader does not panic"));
        status
    }

    /// Sends a signal by its name (`TERM`, `HUP`).
    pub fn signal(&self, name: &str) {
        let status = command("kill").arg(format!("-{name}")).arg(self.id().to_string()).status().unwrap();
        assert!(status.success(), "{} takes no SIG{name}", self.name);
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let output = self.output();
            let from = output.len().saturating_sub(20_000);
            let from = (from..output.len()).find(|at| output.is_char_boundary(*at)).unwrap_or(0);
            eprintln!("---- {} said:\n{}", self.name, &output[from..]);
        }
    }
}

/// Runs a command to its end; one that takes longer than `limit` is killed and the test fails.
pub fn run(name: &str, command: &mut Command, limit: Duration) -> Output {
    run_with(name, command, Stdio::null(), limit)
}

/// As [`run`], for a command that ends when its input does: nothing is said to it, and it is not hung up on.
pub fn run_with_open_input(name: &str, command: &mut Command, limit: Duration) -> Output {
    run_with(name, command, Stdio::piped(), limit)
}

fn run_with(name: &str, command: &mut Command, input: Stdio, limit: Duration) -> Output {
    let child = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{name} does not start: {error}: {command:?}"));
    let stdout = read_all(child.stdout.take().expect("it is piped"));
    let stderr = read_all(child.stderr.take().expect("it is piped"));
    let mut guard = Ending(child);
    let status = wait::until(&format!("{name} ends"), limit, || guard.0.try_wait().expect("it is our child").ok_or("it runs"));
    Output {
        status,
        stdout: stdout.join().expect("a reader does not panic"),
        stderr: stderr.join().expect("a reader does not panic"),
    }
}

struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read_all(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

fn read_lines(stream: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            lines.lock().expect("no reader panics").push(text);
            line.clear();
        }
    })
}
