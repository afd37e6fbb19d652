//! Sockets, TLS and protocol versions: from a client's connection to a call of `proxy`.
