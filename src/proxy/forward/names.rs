//! What a field's name is to a gateway: one bit for each kind of field that it removes, overwrites or looks at.

use crate::base::client_fact::ClientFact;

pub(super) const CONNECTION: u32 = 1;
pub(super) const UPGRADE: u32 = 1 << 1;
pub(super) const TE: u32 = 1 << 2;
pub(super) const CODING: u32 = 1 << 3;
pub(super) const RARE_HOP: u32 = 1 << 4;
pub(super) const VIA: u32 = 1 << 5;
pub(super) const FORWARDING: u32 = 1 << 6;
pub(super) const ALTERNATIVE: u32 = 1 << 7;
pub(super) const COOKIE: u32 = 1 << 8;
pub(super) const HOST: u32 = 1 << 9;
pub(super) const ID: u32 = 1 << 10;
pub(super) const SOCKET_KEY: u32 = 1 << 11;

/// What a name of a request is to a gateway.
pub(super) fn bit(name: &str) -> u32 {
    match name {
        "host" => HOST,
        "cookie" => COOKIE,
        "x-request-id" => ID,
        "sec-websocket-key" => SOCKET_KEY,
        "forwarded" | "x-real-ip" | "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host" | "x-forwarded-port" => {
            FORWARDING
        }
        "proxy" => RARE_HOP,
        other => hop_bit(other),
    }
}

/// What a name of an answer is to a gateway.
pub(super) fn hop_bit(name: &str) -> u32 {
    match name {
        "connection" => CONNECTION,
        "upgrade" => UPGRADE,
        "te" => TE,
        "transfer-encoding" => CODING,
        "via" => VIA,
        "alt-svc" => ALTERNATIVE,
        "keep-alive" | "proxy-connection" | "proxy-authenticate" | "proxy-authorization" | "http2-settings" => RARE_HOP,
        _ => 0,
    }
}

/// What only a proxy says of the client: hops before it, the certificate that it showed (RFC 9440 section 2.4), and its
/// address and scheme by any name.
pub(super) fn is_a_proxys(name: &str) -> bool {
    name.starts_with("x-forwarded-")
        || name.starts_with("client-cert")
        || name.starts_with("x-client-cert")
        || name == "x-original-forwarded-for"
        || ClientFact::of(name).is_some()
}
