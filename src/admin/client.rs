//! The asking half of the admin socket, for the command line: one question, and patience until the true answer.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::api::{self, Answer, Ask, Reply, Request};

/// A list of many thousand certificates still fits.
const MAX_ANSWER: u64 = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody is there.
    #[error(
        "no gateway answers at {}; start one with `doorward run`, or name its configuration with `--config` so that its \
         socket is found",
        path.display()
    )]
    NotRunning {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It is another user's.
    #[error("the gateway's admin socket {} is not open to this user; ask as the gateway's user, or with sudo", path.display())]
    NotAllowed {
        /// Where.
        path: PathBuf,
    },
    /// It took too long.
    #[error("the gateway at {} gave no answer within {} s; its log tells what it is doing", path.display(), waited.as_secs())]
    Silent {
        /// Where.
        path: PathBuf,
        /// How long it was waited.
        waited: Duration,
    },
    /// It hung up.
    #[error("the gateway at {} hung up without an answer; its log tells why", path.display())]
    HungUp {
        /// Where.
        path: PathBuf,
    },
    /// It speaks other words.
    #[error("the gateway at {} answers in words unknown here; use the same version of doorward on both sides", path.display())]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// What is wrong with them.
        #[source]
        source: serde_json::Error,
    },
    /// The conversation broke.
    #[error("the conversation with the gateway at {} broke", path.display())]
    Broken {
        /// Where.
        path: PathBuf,
        /// How.
        #[source]
        source: io::Error,
    },
}

/// Asks the gateway whose socket is `path`, waiting at most `patience` for each piece of its answer.
pub fn ask(path: &Path, request: Request, patience: Duration) -> Result<Reply, AskError> {
    let owned = || path.to_owned();
    let mut stream = UnixStream::connect(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NotRunning { path: owned() },
        io::ErrorKind::PermissionDenied => AskError::NotAllowed { path: owned() },
        _ => AskError::Broken { path: owned(), source },
    })?;
    let text = converse(&mut stream, request, patience).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => AskError::Silent { path: owned(), waited: patience },
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => AskError::HungUp { path: owned() },
        _ => AskError::Broken { path: owned(), source },
    })?;
    if text.is_empty() {
        return Err(AskError::HungUp { path: owned() });
    }
    let answer: Answer = serde_json::from_slice(&text).map_err(|source| AskError::Unreadable { path: owned(), source })?;
    Ok(answer.reply)
}

fn converse(stream: &mut UnixStream, request: Request, patience: Duration) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(&api::line(&Ask { version: api::VERSION, request }))?;
    let mut text = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut text)?;
    Ok(text)
}
