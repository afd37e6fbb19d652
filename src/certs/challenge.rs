//! Who proves what at this moment: posted by orders, read by the listeners of every worker.
//!
//! Reads take an immutable snapshot and never wait. Writes copy the small tables; they happen a few times an order.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::sign::CertifiedKey;

use crate::base::name::Identifier;

pub mod dns01;
pub mod dns_persist01;
pub mod http01;
pub mod stand_in;
pub mod tls_alpn01;
pub(in crate::certs) mod waits;

/// The proofs that are visible now.
#[derive(Default)]
pub struct ChallengeBoard {
    proofs: ArcSwap<Proofs>,
    next: AtomicU64,
    /// Of those who set records for dns-01, which no listener reads.
    pub(in crate::certs) turns: dns01::name_lock::NameLocks,
    /// What orders wait for outside of their authority.
    pub(in crate::certs) waits: waits::Waits,
}

/// Proofs at a time. Orders run ten at a time with at most a hundred names each.
const MAX_PROOFS: usize = 4096;

#[derive(Clone, Default)]
struct Proofs {
    /// By token.
    http: HashMap<Arc<str>, Vec<(u64, Arc<HttpProof>)>>,
    /// By the server name the authority will send.
    alpn: HashMap<Arc<str>, Vec<(u64, Arc<CertifiedKey>)>>,
    /// By the host of an http-01 challenge; see [`stand_in`].
    stand_ins: HashMap<Arc<str>, Vec<(u64, Arc<CertifiedKey>)>>,
}

/// The answer to one http-01 token.
#[derive(Debug, PartialEq, Eq)]
pub struct HttpProof {
    /// What is proved, for logs. The answer is given to whatever host asks: the token is what is secret, and an
    /// authority that followed a redirect asks by another name.
    pub identifier: Identifier,
    /// The body to answer with.
    pub key_authorization: String,
}

/// The board holds as many proofs as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_PROOFS} challenges are being proved already")]
pub struct BoardFull;

impl ChallengeBoard {
    /// An empty board.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Makes an http-01 answer visible until the guard falls.
    pub fn post_http(self: &Arc<Self>, token: &str, proof: HttpProof) -> Result<Posted, BoardFull> {
        let (token, proof) = (Arc::<str>::from(token), Arc::new(proof));
        self.post(Slot::Http(Arc::clone(&token)), |proofs, id| {
            proofs.http.entry(Arc::clone(&token)).or_default().push((id, Arc::clone(&proof)));
        })
    }

    /// Makes a tls-alpn-01 certificate visible, under the name the authority will send, until the guard falls.
    pub fn post_alpn(self: &Arc<Self>, server_name: &str, proof: Arc<CertifiedKey>) -> Result<Posted, BoardFull> {
        let name = Arc::<str>::from(server_name.to_ascii_lowercase());
        self.post(Slot::Alpn(Arc::clone(&name)), |proofs, id| {
            proofs.alpn.entry(Arc::clone(&name)).or_default().push((id, Arc::clone(&proof)));
        })
    }

    /// Shows a stand-in certificate to clients of this host, in lower case, until the guard falls.
    pub fn post_stand_in(self: &Arc<Self>, host: &str, key: Arc<CertifiedKey>) -> Result<Posted, BoardFull> {
        let host = Arc::<str>::from(host);
        self.post(Slot::TempListeners(Arc::clone(&host)), |proofs, id| {
            proofs.stand_ins.entry(Arc::clone(&host)).or_default().push((id, Arc::clone(&key)));
        })
    }

    fn post(self: &Arc<Self>, slot: Slot, add: impl Fn(&mut Proofs, u64)) -> Result<Posted, BoardFull> {
        if self.len() >= MAX_PROOFS {
            return Err(BoardFull);
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.proofs.rcu(|old| {
            let mut new = Proofs::clone(old);
            add(&mut new, id);
            new
        });
        Ok(Posted { board: Arc::clone(self), slot, id })
    }

    /// The answer for a token of an order in flight.
    pub fn http(&self, token: &str) -> Option<Arc<HttpProof>> {
        self.proofs.load().http.get(token).and_then(|held| held.last()).map(|(_, proof)| Arc::clone(proof))
    }

    /// The proof certificate for a server name, as it came in the hello.
    pub fn alpn(&self, server_name: &str) -> Option<Arc<CertifiedKey>> {
        let proofs = self.proofs.load();
        if proofs.alpn.is_empty() {
            return None;
        }
        proofs.alpn.get(&*server_name.to_ascii_lowercase()).and_then(|held| held.last()).map(|(_, proof)| Arc::clone(proof))
    }

    /// The stand-in certificate for a server name, as it came in the hello.
    pub fn stand_in(&self, server_name: &str) -> Option<Arc<CertifiedKey>> {
        let proofs = self.proofs.load();
        if proofs.stand_ins.is_empty() {
            return None;
        }
        proofs.stand_ins.get(&*server_name.to_ascii_lowercase()).and_then(|held| held.last()).map(|(_, key)| Arc::clone(key))
    }

    /// How many proofs and stand-in certificates are visible.
    pub fn len(&self) -> usize {
        let proofs = self.proofs.load();
        let keys = || proofs.alpn.values().chain(proofs.stand_ins.values()).map(Vec::len);
        proofs.http.values().map(Vec::len).sum::<usize>() + keys().sum::<usize>()
    }

    /// Whether nothing is being proved.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for ChallengeBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChallengeBoard({} proofs)", self.len())
    }
}

/// A proof is visible for as long as this lives.
#[derive(Debug)]
#[must_use = "the proof vanishes with its guard"]
pub struct Posted {
    board: Arc<ChallengeBoard>,
    slot: Slot,
    id: u64,
}

#[derive(Debug)]
enum Slot {
    Http(Arc<str>),
    Alpn(Arc<str>),
    TempListeners(Arc<str>),
}

impl Drop for Posted {
    fn drop(&mut self) {
        self.board.proofs.rcu(|old| {
            let mut new = Proofs::clone(old);
            match &self.slot {
                Slot::Http(token) => take(&mut new.http, token, self.id),
                Slot::Alpn(name) => take(&mut new.alpn, name, self.id),
                Slot::TempListeners(host) => take(&mut new.stand_ins, host, self.id),
            }
            new
        });
    }
}

/// Two orders may share a pending authorization, and so a token: each takes away only what it posted.
fn take<T>(table: &mut HashMap<Arc<str>, Vec<(u64, T)>>, key: &str, id: u64) {
    if let Some(held) = table.get_mut(key) {
        held.retain(|(posted, _)| *posted != id);
        if held.is_empty() {
            table.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(text: &str) -> HttpProof {
        HttpProof { identifier: Identifier::parse("a.example").unwrap(), key_authorization: text.into() }
    }

    #[test]
    fn a_proof_is_visible_exactly_as_long_as_its_guard_lives() {
        let board = ChallengeBoard::new();
        let posted = board.post_http("tok", proof("tok.thumb")).unwrap();
        assert_eq!(board.http("tok").unwrap().key_authorization, "tok.thumb");
        assert_eq!(board.http("other"), None);
        drop(posted);
        assert_eq!(board.http("tok"), None);
        assert!(board.is_empty());
    }

    #[test]
    fn orders_that_share_a_token_do_not_take_it_from_each_other() {
        let board = ChallengeBoard::new();
        let first = board.post_http("tok", proof("tok.thumb")).unwrap();
        let second = board.post_http("tok", proof("tok.thumb")).unwrap();
        drop(second);
        assert!(board.http("tok").is_some());
        drop(first);
        assert!(board.http("tok").is_none());
    }

    #[test]
    fn the_board_is_bounded() {
        let board = ChallengeBoard::new();
        let mut held = Vec::new();
        // Posting one by one copies the tables each time, so the rest is put there at once.
        board.proofs.rcu(|_| {
            let entries = (0..MAX_PROOFS as u64 - 1).map(|id| (u64::MAX - id, Arc::new(proof("x")))).collect();
            Proofs { http: HashMap::from([(Arc::from("many"), entries)]), ..Proofs::default() }
        });
        held.push(board.post_http("last", proof("x")).unwrap());
        assert_eq!(board.post_http("one more", proof("x")).unwrap_err(), BoardFull);
        held.clear();
        assert!(board.post_http("again", proof("x")).is_ok());
    }
}
