//! Acting on one certificate of a running gateway.

use std::time::Duration;

use crate::admin::api::{Reply, Request};
use crate::cli::args::RenewArgs;
use crate::cli::exit::Exit;
use crate::cli::{ask, say};

/// Until something is begun.
const BEGIN: Duration = Duration::from_secs(10);

/// Orders a certificate now.
pub fn renew(args: &RenewArgs) -> Exit {
    let request = Request::RenewCert { name: args.name.clone(), insist: args.insist };
    match ask::ask(&args.ask, request, BEGIN) {
        Ok(Reply::Renewing { name }) => {
            say::line(&format!("A new certificate for {name} is being ordered; `doorward certs show {name}` tells how it goes."));
            Exit::Done
        }
        Ok(other) => ask::unexpected(&other),
        Err(exit) => exit,
    }
}
