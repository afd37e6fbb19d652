//! Runs the commands of a plan, each within a deadline, and stops at the first that fails.

use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use super::plan::Step;

/// Long enough for a password to be typed and a store to be made.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(180);
/// Between two looks at a command that runs.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Why a command did not do its work. Those before it stay done.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It did not begin.
    #[error("`{line}` cannot be started")]
    Start {
        /// The command.
        line: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// It ended badly.
    #[error("`{line}` failed ({status}); what it said stands above")]
    Failed {
        /// The command.
        line: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// It did not end.
    #[error("`{line}` did not end within {} s and was stopped", after.as_secs())]
    Slow {
        /// The command.
        line: String,
        /// How long it was waited.
        after: Duration,
    },
}

/// Runs one command; it may ask for a password on the terminal.
#[expect(clippy::disallowed_methods, reason = "the trust store's own programs, shown before and bounded in time")]
pub fn run(step: &Step, patience: Duration) -> Result<(), StepError> {
    let line = || step.line();
    let (program, arguments) = step.words.split_first().expect("a step names its program");
    let mut child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::inherit())
        .spawn()
        .map_err(|source| StepError::Start { line: line(), source })?;
    match wait(&mut child, patience).map_err(|source| StepError::Start { line: line(), source })? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(StepError::Failed { line: line(), status }),
        None => Err(StepError::Slow { line: line(), after: patience }),
    }
}

/// `None` when it had to be stopped.
fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::park_timeout(POLL_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, patience: Duration) -> Result<(), StepError> {
        let words = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        run(&Step { what: "test".into(), words }, patience)
    }

    #[test]
    fn a_command_is_waited_for_but_not_forever() {
        let long = Duration::from_secs(20);
        assert!(sh("true", long).is_ok());
        assert!(matches!(sh("exit 3", long), Err(StepError::Failed { status, .. }) if status.code() == Some(3)));
        assert!(matches!(sh("exec sleep 60", Duration::from_millis(50)), Err(StepError::Slow { .. })));
        let missing = run(&Step { what: "test".into(), words: vec!["/nowhere/at all".into()] }, long).unwrap_err();
        assert_eq!(missing.to_string(), "`'/nowhere/at all'` cannot be started");
    }
}
