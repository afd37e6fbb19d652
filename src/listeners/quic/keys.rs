//! Keys of QUIC's own. They outlive reloads and restarts: a client that was asked to prove its address is recognised
//! afterwards, and one whose connection went down with a crash is told so (RFC 9000 section 10.3) and comes again at once.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::{hkdf, hmac};
use quinn::crypto::{HandshakeTokenKey, HmacKey};

use super::cid_routing::WorkerIndex;

/// See the module.
#[derive(Clone)]
pub struct Keys {
    /// Seals the tokens of RETRY packets (RFC 9000 section 8.1).
    pub(super) token: Arc<dyn HandshakeTokenKey>,
    /// What the keys of resets are made with.
    resets: hmac::Key,
}

impl Keys {
    /// All of them from one secret of at least 32 bytes.
    pub fn of(secret: &[u8]) -> Self {
        let token = hkdf::Salt::new(hkdf::HKDF_SHA256, b"doorward: tokens of QUIC").extract(secret);
        Self { token: Arc::new(token), resets: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// What the socket at `local` says with that a connection is none of its own. Every socket has a key that no other has: it
    /// would else give away how to end the connections of another (RFC 9000 section 21.11). There is none for one that
    /// may be sent the packets of another.
    pub(super) fn reset(&self, local: SocketAddr, place: WorkerIndex) -> Option<Arc<dyn HmacKey>> {
        let socket = format!("doorward: resets of QUIC at {local}, {}", place.name()?);
        let key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&self.resets, socket.as_bytes()).as_ref());
        Some(Arc::new(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_the_same_key_in_its_next_life_and_no_other_has_it() {
        let sign = |secret: &[u8], local: &str, place: WorkerIndex| {
            let key = Keys::of(secret).reset(local.parse().unwrap(), place).unwrap();
            let mut code = [0; 32];
            key.sign(b"connection", &mut code);
            code
        };
        let (one, two) = (WorkerIndex::of(0, 2).unwrap(), WorkerIndex::of(1, 2).unwrap());
        let first = sign(&[1; 32], "127.0.0.1:443", one);
        assert_eq!(sign(&[1; 32], "127.0.0.1:443", one), first);
        for (secret, local, place) in [
            ([2; 32], "127.0.0.1:443", one),
            ([1; 32], "127.0.0.1:444", one),
            ([1; 32], "[::1]:443", one),
            ([1; 32], "127.0.0.1:443", two),
            ([1; 32], "127.0.0.1:443", WorkerIndex::alone()),
        ] {
            assert_ne!(sign(&secret, local, place), first, "{local} {place:?}");
        }
        assert!(Keys::of(&[1; 32]).reset("127.0.0.1:443".parse().unwrap(), WorkerIndex::anywhere()).is_none());
    }
}
