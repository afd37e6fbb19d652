//! The test yard: the real programs that the tests work with. Each is a guard that ends its program when it is dropped,
//! and each wait has a deadline.

pub mod ports;
pub mod process;
pub mod wait;
pub mod yard;

pub mod authority;
pub mod client;
pub mod server;

pub mod chromium;
pub mod disk;
pub mod dns;
pub mod echo;
pub mod example;
pub mod fault;
pub mod gateway;
pub mod h2_frames;
pub mod h3;
pub mod h3_frames;
pub mod issuance;
pub mod knot;
pub mod line;
pub mod load;
pub mod obedient;
pub mod pebble;
pub mod peers;
pub mod recorder;
pub mod scene;
pub mod strict;
pub mod tunnels;
