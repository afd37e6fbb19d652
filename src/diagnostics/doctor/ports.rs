//! The ports the configuration asks for. Pure.

use crate::admin::api::StatusReport;
use crate::base::error_chain::ErrorChain;
use crate::certs::preflight::finding::Finding;
use crate::listeners::bind::{BindError, ListenKey};

const CHECK: &str = "ports";

/// Those that a running gateway has.
pub fn of_running(status: &StatusReport) -> Vec<Finding> {
    status.listens.iter().map(|listens| Finding::fine(CHECK, "", format!("the gateway listens on {listens}"))).collect()
}

/// One that was opened for a moment, or could not be.
pub fn tried(spot: &ListenKey, opened: Result<(), &BindError>) -> Finding {
    let about = spot.addr.to_string();
    match opened {
        Ok(()) => Finding::fine(CHECK, about, "no gateway runs, and this port can be had"),
        Err(error) => {
            // What a bind says is whole: who has the port, and what to do.
            let words = ErrorChain(error).to_string();
            let (seen, repair) = words.split_once("; ").map_or((words.as_str(), ""), |(seen, repair)| (seen, repair));
            Finding::trouble(CHECK, about, seen, "a port for the gateway", repair)
        }
    }
}
