//! The spine over real sockets: hyper on both sides, backends that do as they are prebuilt.

mod answers;
mod auth;
mod balance;
mod bodies;
mod breaker;
mod coded_fields;
mod compress;
mod cross_origin;
mod failures;
mod files;
mod framing;
mod harness;
mod hold;
mod http2;
mod identity;
mod incomplete;
mod interim;
mod leaving;
mod passing;
mod policies;
mod site_refusals;
mod sockets;
mod stream_tunnels;
mod trailers;
mod upgrades;
