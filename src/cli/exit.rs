//! How the program ends, for scripts and service managers. These numbers are part of the interface.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked is done.
    Done,
    /// It could not be done: a port in use, a state folder in another's hands, a refusing gateway.
    Failed,
    /// The command line makes no sense; clap uses this number, too.
    Usage,
    /// The configuration has problems; nothing was started, nothing changed.
    BadConfig,
    /// No gateway runs where one was looked for.
    NotRunning,
    /// A certificate that was asked about ends within the time, or is not there.
    Expiring,
}

/// The same as text, for `--help`.
pub const HELP: &str = "\
Exit codes:
  0  done
  1  it could not be done; standard error says why
  2  the command line makes no sense
  3  the configuration has problems; nothing was started, nothing changed
  4  no gateway runs where one was looked for
  5  a certificate ends within the time that `certs --expires-within` names, or is not there";

impl Exit {
    /// The number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::BadConfig => 3,
            Self::NotRunning => 4,
            Self::Expiring => 5,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_documented() {
        for exit in [Exit::Done, Exit::Failed, Exit::Usage, Exit::BadConfig, Exit::NotRunning, Exit::Expiring] {
            assert!(HELP.contains(&format!("\n  {}  ", exit.number())), "{exit:?}");
        }
    }
}
