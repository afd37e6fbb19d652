//! Questions to name servers (RFC 1034, RFC 1035): to those of the configuration, to the system's, or to one by itself.
//! Nothing is cached: callers need the present state. DNSSEC is not validated. The client does not read the hosts file,
//! as authorities do not read ours; [`hosts`] does, for callers that resolve a name as this machine would.
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
