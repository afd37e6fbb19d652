//! Tests of the whole gateway over real sockets, with real authorities, backends and clients.
#![expect(clippy::unwrap_used, reason = "a test that unwraps fails at the line that says why")]
#![expect(unreachable_pub, reason = "nothing is exported from here: `pub` is for the other files")]

mod support;

mod accounts;
mod acme_client;
mod acme_desk;
mod acme_faults;
mod acme_issue;
mod acme_resume;
mod acme_rules;
mod alerts;
mod attacks;
mod authority_faults;
mod backends;
mod bad_requests;
mod balancing;
mod browser;
mod cert_actions;
mod cert_commands;
mod cert_files;
mod client_certificates;
mod commands;
mod config_files;
mod crash;
mod deny;
mod dns;
mod doctor;
mod examples;
mod first_issue;
mod fuzz;
mod http3;
mod http3_life;
mod http3_limits;
mod http3_rules;
mod keeper;
mod layers;
mod on_demand;
mod probe;
mod protection;
mod proxy_protocol;
mod readme;
mod reload;
mod renewal;
mod startup;
mod state;
mod tls;
mod trust;
mod units;
mod yard;
