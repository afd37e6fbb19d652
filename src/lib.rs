//! doorward, an edge gateway: certificates by ACME, HTTPS and WebSocket without configuration, tunnels that survive a reload.
//!
//! This page is the map of the source. The front module of each layer (`base.rs`, `proxy.rs`, …) says what the layer does.
//!
//! # Two flows
//!
//! **A request.** [`listeners::accept`] accepts the socket, [`listeners::tls`] reads the ClientHello once and selects a
//! certificate, waiting for the client alone, and [`listeners::http`] runs the protocol. [`proxy::serve`] is the whole path of
//! a request: validate → route → steps (enter) → backend, files, redirect or fixed response → steps (leave). A rejected request
//! is a value; [`proxy::error_response`] alone turns it into a status and a page. After a granted upgrade, [`proxy::tunnel`]
//! copies between both byte streams and holds no buffer while they are idle.
//!
//! **A certificate.** One loop, [`certs::manager`], owns it: desired certificates → plan → order → bundle → settle → store →
//! catalog. The plan is a pure function of what is desired, the inventory and the time. An issued certificate is on the disk
//! before it is served. A handshake reads the catalog and an authority's validation reads the challenge board; neither waits.
//!
//! # The layers
//!
//! Imports go downward only, and never in a cycle; `tests/it/layers.rs` checks both in the source.
//!
//! | layer | may import | job |
//! |---|---|---|
//! | [`base`] | – | value types that every layer uses |
//! | [`config`] | base | text → checked settings |
//! | [`telemetry`] | base | metrics, events, the access log |
//! | [`state`] | base | durable storage |
//! | [`net`] | base, telemetry | outgoing clients: name servers, HTTP, TLS roots |
//! | [`certs`] | base, config, telemetry, state, net | a valid certificate for every configured name |
//! | [`proxy`] | base, config, telemetry, net | one request → one response or one tunnel |
//! | [`listeners`] | the above | sockets, TLS, protocol versions |
//! | [`server`] | the above | startup, reload, supervision, shutdown |
//! | [`admin`] | the above | the operator's interface to a running gateway |
//! | [`diagnostics`] | the above except server | explain, doctor, probe, work on files: with and without a running gateway |
//! | [`cli`] | the above | the command line |
//!
//! # Glossary
//!
//! The only word for each idea, in types, files, directives, log events, metrics, replies and documentation. If an RFC, rustls,
//! hyper, Envoy, nginx or Caddy has a word, that is the word. A new word needs a row here. `tests/it/layers.rs` counts the
//! identifiers that still use a word of the right column; what stands in parentheses says which use of a word is meant, and
//! such a word is not counted.
//!
//! | idea | word | do not use |
//! |---|---|---|
//! | what should exist, from the configuration | `DesiredCert` | need (as a noun) |
//! | what is known about certificates | `Inventory`, `CertRecord` | book |
//! | the loop that maintains certificates | `manager`, `ManagerState` | keeper, desk, tend, adopt |
//! | an operator's request to it | `Operation` | errand, wish, word (that is a word of the configuration) |
//! | certificates loaded in memory | `CertCache` | shelf |
//! | what handshakes read | `Catalog` | |
//! | certificate and key, checked together | `CertBundle` | |
//! | one ACME order being executed | `order_task` | worker (that is a traffic thread) |
//! | per-thread traffic state | `worker` | |
//! | on-demand issuance | `on_demand`, `authorizer`, `decision` | demand (alone), knock, porter, verdict |
//! | message to the operator | `alert` | alarm, trouble, crier |
//! | group of backends | `upstream`, `UpstreamGroup` | cluster, crowd |
//! | one backend of a group | `target` in configuration and text, `Endpoint` in code | member, place (of a backend), spot, roster |
//! | compiled site block | `Route` | lane, block (that is configuration text) |
//! | what ends a route (proxy, files, redirect, respond) | `Handler` | end (of a route), ending |
//! | mutable facts of a request | `ExchangeState` | course |
//! | limit of time | `timeout`, `deadline`, `interval` | patience, rhythm |
//! | upper bound | `MAX_…` | most (in a constant), longest |
//! | open WebSocket or other upgraded connection | `tunnel`; `TunnelRegistry`, `FramedTunnel` | roll (as a noun), policed, way |
//! | HTTP/1.1 and HTTP/2 connections to a backend | `H1Connection`, `H2Connection`, `H2Pool`, `StreamPermit` | wire (that is a byte format), trunk, branch, seat |
//! | limit on concurrent connections | `ConnLimiter`, `Permit` | crowd, place (of a permit), turns |
//! | rejected request | `Refusal` with a `reason` | complaint, blame |
//! | failed operation | `…Error` | failure, fault, trouble, broken |
//! | configuration problem | `Diagnostic` | finding (that is doctor's), complaint |
//! | result of a doctor check | `Finding` | |
//! | writing to the log | `log_…`, `emit` | tell, told, say |
//! | peer on the client side | `client` | stranger, visitor, who |
//! | random numbers | `Rng` | dice |
//! | error with its causes | `ErrorChain` | chain (that is a certificate chain) |
//! | health checks, DNS refresh, watchdog, load shedding | these words | checkups, lookups, vigil, memory (that is what is measured) |
//! | many nodes (CLUSTER.md) | `node`, `engine`, order lock, `fence`, `rank`, `feed`, `outbox`, `sealed` | cluster, lease (that is the upstream's), ledger |
//!
//! # Threads
//!
//! Traffic runs on one thread for each core, each with its own single-threaded runtime, listening sockets and idle
//! backend connections, so the request path takes no lock and wakes no other core. Control (keeper, reload, admin socket)
//! runs on a thread of its own and answers when traffic is at its worst. They share snapshots behind one `ArcSwap` for
//! each writer (`proxy::snapshot::Live` by the reload, `certs::catalog` by the keeper) and relaxed counters.
//!
//! # What must stay true
//!
//! 1. What is marked pure never awaits, reads a clock, rolls its own dice or logs.
//! 2. sled, instant-acme and quinn are each named in the files `tests/it/layers.rs` lists and nowhere else.
//! 3. A request sees one snapshot from its first byte to its last.
//! 4. A handshake waits for its peer only. One for a name on demand also waits for its certificate, in bounded number and
//!    time (`certs::demand`).
//! 5. Private keys never leave `certs` and `state`. The state folder is 0700 and its files 0600, whatever the umask.
//! 6. A failed reload, a failed order or a full disk leaves what is being served untouched.
//! 7. Only `proxy::answer` turns a refusal into a status code.
//! 8. No mutable globals. The crypto provider is a value passed down, not installed.
//! 9. Every task has a name, an owner, and an end.

pub mod base;
pub mod config;
pub mod telemetry;

pub mod state;

pub mod net;

pub mod certs;
pub mod proxy;

pub mod listeners;

pub mod server;

pub mod admin;
pub mod cli;
pub mod diagnostics;
