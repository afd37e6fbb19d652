//! Why a record could not be set, or was not seen.

use std::path::PathBuf;
use std::time::Duration;

use crate::certs::issuer::order_store::LedgerError;
use crate::net::dns::DnsError;
use crate::net::dns::update::UpdateError;

/// A record of dns-01 or dns-persist-01 is not there, or not gone.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The configuration says nothing.
    #[error("nothing says how dns-01 sets its record; add `dns PROVIDER {{ }}` or `dns-hook PATH` to `acme`")]
    NoWay,
    /// Nobody is there to be asked.
    #[error("no name server can be asked")]
    NoResolver(#[source] DnsError),
    /// Its place is unknown.
    #[error("cannot find out where the record {name} belongs")]
    Lookup {
        /// The record's name.
        name: String,
        /// Why.
        #[source]
        source: DnsError,
    },
    /// The program failed.
    #[error("`{} {verb} {name} …` failed: {end}{}", path.display(), words(said))]
    Hook {
        /// The program.
        path: PathBuf,
        /// `set` or `unset`.
        verb: &'static str,
        /// The record's name.
        name: String,
        /// How it ended.
        end: String,
        /// The last lines of its output.
        said: String,
    },
    /// The name server did not take the update.
    #[error("the record {name} cannot be {}", if *present { "set" } else { "taken away" })]
    Update {
        /// The record's name.
        name: String,
        /// Whether it was to be there.
        present: bool,
        /// Why.
        #[source]
        source: UpdateError,
    },
    /// The service did not do it.
    #[error("{service} did not {} the record {name}: {said}", if *present { "set" } else { "take away" })]
    Service {
        /// The service's name in the configuration.
        service: &'static str,
        /// The record's name.
        name: String,
        /// Whether it was to be there.
        present: bool,
        /// Its own words.
        said: String,
    },
    /// Not all servers have it.
    #[error("the record {name} was set, but is not at all of its zone's name servers after {} s: {said}", after.as_secs())]
    Unseen {
        /// The record's name.
        name: String,
        /// How long was waited.
        after: Duration,
        /// Which server said what.
        said: String,
    },
    /// A person has to publish it, once.
    #[error("{name} has no TXT record that names the authority and this account; publish this one: {name}. TXT \"{text}\"")]
    NotStanding {
        /// The record's name.
        name: String,
        /// What it must say.
        text: String,
    },
    /// It could not be noted, and without a note it might stay for ever.
    #[error("a record is not set without a safe note of it")]
    Ledger(#[source] LedgerError),
    /// Work of ours panicked; the panic was reported where it happened.
    #[error("doorward itself failed")]
    Panicked,
}

fn words(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; it said: {said}") }
}
