//! Turns one request into one response, or into a tunnel.
