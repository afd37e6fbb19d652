//! Turns one request into one response, or into a tunnel.

pub mod client_io;



pub mod arrive;
pub mod route;

pub mod body;
pub mod cluster;
pub mod forward;
pub mod limit;
pub mod retry;

pub mod tunnel;

pub mod answer;
pub mod refusal;
