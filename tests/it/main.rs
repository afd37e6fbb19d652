//! Tests of the whole gateway over real sockets, with real authorities, backends and clients.
