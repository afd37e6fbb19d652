//! Why a question to name servers has no answer.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::kind::Kind;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// It cannot be asked for.
    #[error("`{name}` is no name that DNS can be asked for")]
    BadName {
        /// As it was given.
        name: String,
    },
    /// Nobody is there to be asked.
    #[error("{file} names no name server; name some by `resolvers`")]
    NoServers {
        /// What was read.
        file: PathBuf,
    },
    /// The file that names them lies where nothing answers.
    #[error("{file} was not read within {} s; see whether its file system answers, or name name servers by `resolvers`", after.as_secs())]
    Unanswered {
        /// What was read.
        file: PathBuf,
        /// The bound.
        after: Duration,
    },
    /// The name does not exist (NXDOMAIN).
    #[error("{name} does not exist, says the name server {server}")]
    NoSuchName {
        /// The name, or what it is an alias of.
        name: String,
        /// Who said so.
        server: SocketAddr,
    },
    /// The name exists, or its aliases lead to one that does, without such a record.
    #[error("{name} has no {kind} record, says the name server {server}")]
    NoSuchRecord {
        /// The name, or what it is an alias of.
        name: String,
        /// What was asked for.
        kind: Kind,
        /// Who said so.
        server: SocketAddr,
    },
    /// The server answered that it cannot or will not say.
    #[error("the name server {server} did not tell the {kind} record of {name}: it answered {code}")]
    ServerFailed {
        /// The name that was asked for.
        name: String,
        /// What was asked for.
        kind: Kind,
        /// Who said so.
        server: SocketAddr,
        /// Its answer in words.
        code: String,
    },
    /// A server that was asked for what it knows itself points elsewhere.
    #[error("the name server {server} is not responsible for {name}")]
    NotResponsible {
        /// The name that was asked for.
        name: String,
        /// Who said so.
        server: SocketAddr,
    },
    /// No answer came.
    #[error("no answer about {name} ({kind}) from {} within {} s", whom(*server), after.as_secs())]
    TimedOut {
        /// The name that was asked for.
        name: String,
        /// What was asked for.
        kind: Kind,
        /// Who was asked; `None` when there was nobody.
        server: Option<SocketAddr>,
        /// How long was waited.
        after: Duration,
    },
    /// The server cannot be reached.
    #[error("the name server {server} cannot be asked")]
    Unreachable {
        /// Who was asked.
        server: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The answer is none.
    #[error("the name server {server} answered with something that is no DNS message")]
    Garbled {
        /// Who answered so.
        server: SocketAddr,
    },
    /// Aliases without an end.
    #[error("the aliases (CNAME) of {name} lead in a circle, or are more than can be followed")]
    Aliases {
        /// Where they start.
        name: String,
    },
}

impl DnsError {
    /// Whether it is an answer: there is no such thing.
    pub const fn is_absence(&self) -> bool {
        matches!(self, Self::NoSuchName { .. } | Self::NoSuchRecord { .. })
    }
}

fn whom(server: Option<SocketAddr>) -> String {
    server.map_or_else(|| "any name server".to_owned(), |server| format!("the name server {server}"))
}
