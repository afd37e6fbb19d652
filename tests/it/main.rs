//! Tests of the whole gateway over real sockets, with real authorities, backends and clients.
#![expect(clippy::unwrap_used, reason = "a test that unwraps fails at the line that says why")]
#![expect(unreachable_pub, reason = "nothing is exported from here: `pub` is for the other files")]
#![expect(dead_code, reason = "the scenarios that use all of the yard come with the listeners")]

mod acme_client;
mod acme_desk;
mod acme_faults;
mod acme_issue;
mod acme_resume;
mod acme_rules;
mod commands;
mod config_files;
mod deny;
mod keeper;
mod layers;
mod readme;
mod support;
mod trust;
mod units;
mod yard;
