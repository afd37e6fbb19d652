//! Programs of the operator's, run without a shell: bounded in time, in what they are told and in what they say.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::Instant;

use super::task;

/// What of our own environment a program sees. The rest may hold secrets, and systemd's words to us are not meant for it.
const INHERITED: &[&str] = &["HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"];
/// Bytes of its output that are kept: the last ones.
const KEPT: usize = 2_048;
/// Lines of its output that are told: the last ones.
const LINES: usize = 5;
/// For output that is still on its way when the program has ended, or that a child it left behind holds open.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Between two looks at a program that runs, at first and at most.
const POLL_INTERVALS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(100));

/// What is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The file.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Set besides the few variables it inherits.
    pub environment: Vec<(&'static str, String)>,
    /// Its standard input; at most 4 KiB, which every pipe takes at once.
    pub input: String,
    /// After this it is killed, with all that it started.
    pub limit: Duration,
}

/// How a program came out.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// The last lines of what it said on both of its outputs, in one line and without control characters.
    pub said: String,
}

/// How a program ended.
#[derive(Debug)]
pub enum End {
    /// By itself, with this status.
    Status(i32),
    /// By this signal, which was not ours.
    Signal(i32),
    /// It was killed after this time.
    TooSlow(Duration),
    /// It could not be started.
    NotStarted(io::Error),
}

impl End {
    /// Whether it did what it was asked.
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Status(0))
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(0) => f.write_str("it ended well"),
            Self::Status(status) => write!(f, "it ended with status {status}"),
            Self::Signal(signal) => write!(f, "it was ended by signal {signal}"),
            Self::TooSlow(limit) => write!(f, "it was killed because it ran longer than {} s", limit.as_secs()),
            Self::NotStarted(error) => write!(f, "it could not be started: {error}"),
        }
    }
}

/// Runs a program to its end. Dropping the future leaves it running.
pub async fn run(program: Program) -> Ran {
    let limit = program.limit;
    let started = task::blocking("program-start", move || start(&program)).await;
    let (mut child, output) = match started.unwrap_or_else(|| Err(io::Error::other("doorward itself failed"))) {
        Ok(started) => started,
        Err(error) => return Ran { end: End::NotStarted(error), said: String::new() },
    };
    let mut heard = VecDeque::new();
    let end = match pipe::Receiver::from_owned_fd(output) {
        Ok(mut output) => {
            let end = tokio::select! {
                end = until_ended(&mut child, limit) => end,
                // Its outputs may be closed long before it ends.
                never = hear_for_ever(&mut output, &mut heard) => match never {},
            };
            let _still_open = tokio::time::timeout(LAST_WORDS, hear(&mut output, &mut heard)).await;
            end
        }
        Err(_) => until_ended(&mut child, limit).await,
    };
    Ran { end, said: last_lines(&String::from_utf8_lossy(heard.make_contiguous())) }
}

/// Blocks for as long as the file system takes to find the program.
#[expect(clippy::disallowed_methods, reason = "the one place where the operator's programs are started; `run` bounds them")]
fn start(program: &Program) -> io::Result<(Child, OwnedFd)> {
    let (output, input) = io::pipe()?;
    let mut command = Command::new(&program.path);
    command.args(&program.arguments).env_clear();
    command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.envs(program.environment.iter().map(|(name, value)| (name, value)));
    command.stdout(input.try_clone()?).stderr(input).process_group(0);
    command.stdin(if program.input.is_empty() { Stdio::null() } else { Stdio::piped() });
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not want to read need not.
        let _unread = stdin.write_all(program.input.as_bytes());
    }
    Ok((child, output.into()))
}

async fn until_ended(child: &mut Child, limit: Duration) -> End {
    let (until, mut pause) = (Instant::now() + limit, POLL_INTERVALS.0);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return end_of(status),
            Ok(None) if Instant::now() >= until => return kill(child, limit),
            Ok(None) => tokio::time::sleep(pause).await,
            Err(error) => return End::NotStarted(error),
        }
        pause = (pause * 2).min(POLL_INTERVALS.1);
    }
}

/// The child was not waited for yet, so its number is still its own.
fn kill(child: &mut Child, limit: Duration) -> End {
    if let Ok(group) = i32::try_from(child.id()).map(Pid::from_raw)
        && let Some(group) = group
    {
        let _already_gone = kill_process_group(group, Signal::KILL);
    }
    // KILL is not refused; a process that hangs in the kernel is left to it.
    let _later = child.try_wait();
    End::TooSlow(limit)
}

fn end_of(status: ExitStatus) -> End {
    status.code().map_or_else(|| End::Signal(status.signal().unwrap_or_default()), End::Status)
}

async fn hear_for_ever(output: &mut pipe::Receiver, heard: &mut VecDeque<u8>) -> std::convert::Infallible {
    hear(output, heard).await;
    std::future::pending().await
}

/// Reads to the end, keeping the last of it.
async fn hear(output: &mut pipe::Receiver, heard: &mut VecDeque<u8>) {
    let mut piece = [0; 1_024];
    while let Ok(length @ 1..) = output.read(&mut piece).await {
        heard.extend(&piece[..length]);
        heard.drain(..heard.len().saturating_sub(KEPT));
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(LINES)..].join(" | ");
    last.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Why a file could not be run as a program, for a person; `None` when nothing speaks against it. Blocks.
pub fn obstacle(path: &std::path::Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some("there is no such file".to_owned()),
        Err(error) => Some(format!("this file cannot be looked at: {error}")),
        Ok(facts) if !facts.is_file() => Some("this is not a file".to_owned()),
        Ok(facts) if facts.permissions().mode() & 0o111 == 0 => Some("this file is not executable".to_owned()),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// Runs a script in a folder of its own and gives what came of it, and what it wrote to `$OUT`.
    fn check(script: &str, change: impl FnOnce(&mut Program)) -> (Ran, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("script");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let out = dir.path().join("out");
        let environment = vec![("OUT", out.display().to_string())];
        let limit = Duration::from_secs(10);
        let mut program = Program { path, arguments: Vec::new(), environment, input: String::new(), limit };
        change(&mut program);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ran = runtime.block_on(run(program));
        (ran, std::fs::read_to_string(out).unwrap_or_default())
    }

    #[test]
    fn a_program_gets_arguments_input_and_a_small_environment() {
        let (ran, out) = check(r#"{ echo "$1"; cat; env | grep -c ^CARGO; } > "$OUT""#, |program| {
            program.arguments.push("issued; rm".to_owned());
            program.input = "told\n".to_owned();
        });
        assert_eq!(out, "issued; rm\ntold\n0\n", "{ran:?}");
    }

    #[test]
    fn status_and_last_lines_are_told() {
        let (ran, _) = check("for n in 1 2 3 4 5 6 7; do echo line $n >&2; done; printf 'a\\033[1mb'; exit 3", |_| ());
        assert!(matches!(ran.end, End::Status(3)), "{ran:?}");
        assert_eq!(ran.said, "line 4 | line 5 | line 6 | line 7 | a\u{fffd}[1mb");
    }

    #[test]
    fn one_that_talks_without_end_is_killed_with_its_children_and_costs_no_memory() {
        let (ran, _) =
            check("sleep 100 & while :; do echo on and on; done", |program| program.limit = Duration::from_millis(300));
        assert!(matches!(ran.end, End::TooSlow(_)), "{ran:?}");
        assert!(ran.said.len() <= KEPT + 20 && ran.said.contains("on and on"), "{}", ran.said);
    }

    #[test]
    fn a_child_that_stays_behind_is_not_waited_for() {
        let (ran, _) = check("echo hello; sleep 3 & exit 0", |_| ());
        assert!(ran.end.is_success() && ran.said == "hello", "{ran:?}");
    }

    #[test]
    fn what_is_no_program_is_said_before_and_after() {
        let (ran, _) = check("", |program| program.path = PathBuf::from("/nonexistent/hook"));
        assert!(matches!(ran.end, End::NotStarted(_)), "{ran:?}");
        let dir = tempfile::tempdir().unwrap();
        let plain = dir.path().join("plain");
        std::fs::write(&plain, "").unwrap();
        assert_eq!(obstacle(dir.path()).as_deref(), Some("this is not a file"));
        assert_eq!(obstacle(&plain).as_deref(), Some("this file is not executable"));
        assert_eq!(obstacle(&dir.path().join("none")).as_deref(), Some("there is no such file"));
        assert_eq!(obstacle(std::path::Path::new("/bin/sh")), None);
    }
}
