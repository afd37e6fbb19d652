//! Counters and gauges: one struct for each concern, handed to whoever counts, no global registry. A counter is a
//! relaxed atomic; reading several of them is not a consistent cut, and need not be.

mod counter;
mod gateway;
mod gauge;

pub mod certs;
pub mod handshakes;
pub mod proxy;
pub mod tunnels;
pub mod upgrades;

pub use counter::Counter;
pub use gateway::Metrics;
pub use gauge::{Gauge, Held, Level};
