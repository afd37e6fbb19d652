//! Outgoing clients: name servers, HTTP, connections to a name, and the roots that servers are verified by. Knows neither the configuration nor
//! certificates of our own.

pub mod danger;
pub mod dial;
pub mod dns;
pub mod http_client;
pub mod system_resolver;
pub mod tls_roots;
