//! Questions to name servers (RFC 1034, RFC 1035): to those of the configuration, to the system's, or to one by itself.
//! Nothing is kept, because who asks here wants to know what is so now. It does not validate DNSSEC and knows no hosts
//! file: neither do authorities look into ours.
//!
//! Chosen: hickory's messages over sockets of our own. Rejected: hickory's resolver, whose cache and choice of servers
//! stand between a question and what one certain server says, which is what propagation and `doctor` are about.

mod answer;
mod client;
mod error;
mod exchange;
pub mod hosts;
mod kind;
mod name;
mod records;
mod system;
pub mod update;
mod zone;

pub use client::Dns;
pub use error::DnsError;
pub use kind::Kind;
pub use records::{Caa, Service};
pub use system::SystemDns;
pub use zone::{NameServer, Zone};
