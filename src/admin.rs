//! The operator's Unix socket: what can be asked of a running gateway, and the client that asks.
