//! A light that only this process can show: a random token on port 80 and a random certificate on port 443, at the places
//! where authorities look. Whoever asks an address for them learns whether it leads here.
//!
//! Both stand on the board of challenges, so the listeners need to know nothing of it. The server name is made up and
//! unique, so an order's own proof is never hidden.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::base::hex;
use crate::base::name::Identifier;
use crate::base::time::Timestamp;
use crate::certs::challenge::tls_alpn01::{self, ProofError};
use crate::certs::challenge::{BoardFull, ChallengeBoard, HttpProof, Posted};

/// What the light looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// The token that is asked for by http.
    pub token: String,
    /// The answer to it.
    pub says: String,
    /// The name that is asked for by TLS, with `acme-tls/1`.
    pub server_name: String,
    /// SHA-256 of the certificate that is shown, in hexadecimal.
    pub certificate: String,
}

/// It burns for as long as this lives.
#[derive(Debug)]
#[must_use = "the light goes out with its guard"]
pub struct SelfTestGuard {
    /// What it looks like.
    pub beacon: SelfTest,
    _posted: [Posted; 2],
}

/// Why it cannot be lit.
#[derive(Debug, thiserror::Error)]
pub enum LightError {
    /// No room.
    #[error(transparent)]
    Full(#[from] BoardFull),
    /// The certificate could not be made.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
}

impl SelfTestGuard {
    /// Lights one.
    pub fn new(board: &Arc<ChallengeBoard>, now: Timestamp) -> Result<Self, LightError> {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| LightError::Random)?;
        let (token, rest) = (hex::encode(&bytes[..16]), hex::encode(&bytes[16..]));
        // Below `.invalid` (RFC 6761 section 6.4), so that it is nobody's.
        let server_name = format!("{}.doorward.invalid", &rest[..16]);
        let says = format!("doorward {rest}");
        let identifier = Identifier::parse(&server_name).map_err(|_| LightError::Random)?;
        let mut proof = [0; 32];
        proof.copy_from_slice(digest(&SHA256, says.as_bytes()).as_ref());
        let key = tls_alpn01::certificate(&identifier, &proof, now)?;
        let certificate = fingerprint(&key.cert[0]);
        let http = board.post_http(&token, HttpProof { identifier, key_authorization: says.clone() })?;
        let alpn = board.post_alpn(&server_name, key)?;
        Ok(Self { beacon: SelfTest { token, says, server_name, certificate }, _posted: [http, alpn] })
    }
}

/// How a certificate is compared.
pub(super) fn fingerprint(der: &[u8]) -> String {
    hex::encode(digest(&SHA256, der).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_light_is_on_the_board_until_it_goes_out_and_no_two_are_alike() {
        let board = ChallengeBoard::new();
        let now = Timestamp::from_unix(1_795_219_200);
        let (one, other) = (SelfTestGuard::new(&board, now).unwrap(), SelfTestGuard::new(&board, now).unwrap());
        assert_ne!(one.beacon, other.beacon);
        assert_eq!(board.http(&one.beacon.token).unwrap().key_authorization, one.beacon.says);
        let shown = board.alpn(&one.beacon.server_name).unwrap();
        assert_eq!(fingerprint(&shown.cert[0]), one.beacon.certificate);
        drop((one, other));
        assert!(board.is_empty());
    }
}
