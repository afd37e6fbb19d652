//! Words for whoever sits before the terminal: results on standard output, complaints on standard error.

use std::error::Error;
use std::io::{self, Write};

use serde::Serialize;

use super::exit::Exit;
use crate::base::error_chain::ErrorChain;

/// A result. A reader that is gone (`| head`) is no failure of ours.
pub fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// A report for programs.
pub fn json(report: &impl Serialize) {
    line(&serde_json::to_string_pretty(report).expect("reports have text keys only"));
}

/// A part of a line.
pub fn part(text: &str) {
    let _ = write!(io::stdout(), "{text}");
}

/// A report, as JSON for programs or in the words that `human` makes.
pub fn report(as_json: bool, report: &impl Serialize, human: impl FnOnce() -> String) -> Exit {
    if as_json {
        json(report);
    } else {
        part(&human());
    }
    Exit::Done
}

/// A complaint, without which nobody would know why.
pub fn complaint(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// An error with all its causes; ends the program with [`Exit::Failed`].
pub fn failure(error: &(dyn Error + 'static)) -> Exit {
    complaint(&failed(error));
    Exit::Failed
}

/// An error with all its causes, as [`failure`] writes it.
pub fn failed(error: &(dyn Error + 'static)) -> String {
    format!("doorward: {}", ErrorChain(error))
}
