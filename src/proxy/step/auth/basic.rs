//! `auth basic`: a name and a password with every request (RFC 7617).
//!
//! To check a password's hash takes tens of milliseconds of a core, so it runs beside the traffic threads, few at a time,
//! and what was right last is remembered for each user: as a keyed digest, so that no password lies in memory.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderMap};

use crate::base::password::Hash;
use crate::base::secret::Secret;
use crate::base::task;
use crate::config::settings::Credential;
use crate::proxy::limit::bounded_semaphore::BoundedSemaphore;
use crate::proxy::refusal::{Proof, Refusal, Unproved};

/// Longest value of `Authorization` that is looked at.
const MAX_CREDENTIALS: usize = 4096;

/// The users of one block.
pub struct Basic {
    users: Box<[User]>,
    key: hmac::Key,
    /// Of checks in the whole process.
    turns: Arc<BoundedSemaphore>,
}

struct User {
    name: String,
    hash: Hash,
    /// Digest of the password that was right last.
    known: Mutex<Option<Box<[u8]>>>,
}

/// Why the users of a block cannot be checked.
#[derive(Debug, thiserror::Error)]
#[error("the password hash of `{user}` cannot be used; make another one with `doorward hash-password`")]
pub struct PasswordError {
    user: String,
}

/// What can be said of a request without a check.
#[derive(Debug)]
pub(super) enum VerifyCache {
    /// The password is the one that was right last.
    Known,
    /// It has to be checked.
    Claim(Claim),
}

/// A name and a password that somebody sent.
#[derive(Debug)]
pub(super) struct Claim {
    /// Index of the user, if there is one of this name.
    user: Option<usize>,
    password: Secret<String>,
}

impl Basic {
    pub(super) fn new(users: &[(String, Credential)], turns: Arc<BoundedSemaphore>) -> Result<Self, PasswordError> {
        let user = |(name, credential): &(String, Credential)| match Hash::read(credential.value.expose()) {
            Some(hash) => Ok(User { name: name.clone(), hash, known: Mutex::default() }),
            None => Err(PasswordError { user: name.clone() }),
        };
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).expect("the operating system has random bytes");
        Ok(Self { users: users.iter().map(user).collect::<Result<_, _>>()?, key: hmac::Key::new(hmac::HMAC_SHA256, &key), turns })
    }

    pub(super) fn glance(&self, headers: &HeaderMap) -> Result<VerifyCache, Refusal> {
        let (name, password) = given(headers).ok_or(Refusal::Unauthorized(Proof::Password, Unproved::Missing))?;
        let user = self.users.iter().position(|user| user.name == name);
        let known = user.is_some_and(|user| self.users[user].knows(&self.key, password.expose()));
        Ok(if known { VerifyCache::Known } else { VerifyCache::Claim(Claim { user, password }) })
    }

    /// Checks a claim when its turn comes. An unknown name takes as long as a wrong password.
    pub(super) async fn check(self: Arc<Self>, claim: Claim) -> Result<(), Refusal> {
        let _turn = self.turns.take().await.ok_or(Refusal::Busy)?;
        let user = claim.user.unwrap_or(0);
        let this = Arc::clone(&self);
        let right = task::blocking("password", move || {
            let user = &this.users[user];
            let password = claim.password.expose();
            // Another request of the same user may have been checked in the meantime.
            let right = claim.user.is_some() && user.knows(&this.key, password);
            let right = right || (user.hash.is_of(password.as_bytes()) && claim.user.is_some());
            if right {
                user.remember(&this.key, password);
            }
            right
        });
        if right.await == Some(true) { Ok(()) } else { Err(Refusal::Unauthorized(Proof::Password, Unproved::Wrong)) }
    }
}

impl User {
    fn knows(&self, key: &hmac::Key, password: &str) -> bool {
        // The lock protects one digest and is held for a microsecond.
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().is_some_and(|digest| hmac::verify(key, password.as_bytes(), digest).is_ok())
    }

    fn remember(&self, key: &hmac::Key, password: &str) {
        let digest = hmac::sign(key, password.as_bytes());
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest.as_ref().into());
    }
}

/// Name and password of a request.
fn given(headers: &HeaderMap) -> Option<(String, Secret<String>)> {
    let value = headers.get(header::AUTHORIZATION).filter(|value| value.len() <= MAX_CREDENTIALS)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let bytes = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(token.trim()).ok())??;
    let text = Secret::new(String::from_utf8(bytes).ok()?);
    let (name, password) = text.expose().split_once(':')?;
    Some((name.to_owned(), Secret::new(password.to_owned())))
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.users.iter().map(|user| &user.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::SecretSource;

    fn basic() -> Arc<Basic> {
        let user = |name: &str, password: &str| {
            let value = Secret::new(bcrypt::hash(password, 4).unwrap());
            (name.to_owned(), Credential { value, from: SecretSource::InPlace })
        };
        Arc::new(Basic::new(&[user("alice", "wonder:land"), user("bob", "")], Arc::new(BoundedSemaphore::new(1, 9))).unwrap())
    }

    fn headers(text: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, text.parse().unwrap())])
    }

    fn basic_header(text: &str) -> HeaderMap {
        headers(&format!("Basic {}", STANDARD.encode(text)))
    }

    async fn check(basic: &Arc<Basic>, headers: HeaderMap, expected: Result<(), Unproved>) {
        let seen = match basic.glance(&headers) {
            Ok(VerifyCache::Known) => Ok(()),
            Ok(VerifyCache::Claim(claim)) => Arc::clone(basic).check(claim).await,
            Err(refusal) => Err(refusal),
        };
        assert_eq!(seen, expected.map_err(|why| Refusal::Unauthorized(Proof::Password, why)), "for {headers:?}");
    }

    #[tokio::test]
    async fn names_and_passwords_are_checked() {
        let basic = basic();
        check(&basic, basic_header("alice:wonder:land"), Ok(())).await;
        check(&basic, basic_header("bob:"), Ok(())).await;
        check(&basic, basic_header("alice:Wonder:land"), Err(Unproved::Wrong)).await;
        check(&basic, basic_header("bob:wonder:land"), Err(Unproved::Wrong)).await;
        check(&basic, basic_header("carol:"), Err(Unproved::Wrong)).await;
        for nothing in [HeaderMap::new(), headers("Bearer abc"), headers("Basic !!"), headers("Basic"), basic_header("alice")] {
            check(&basic, nothing, Err(Unproved::Missing)).await;
        }
        check(&basic, basic_header(&"x".repeat(4000)), Err(Unproved::Missing)).await;
    }

    #[tokio::test]
    async fn what_was_right_last_is_known_without_a_check_and_nothing_else() {
        let basic = basic();
        check(&basic, basic_header("alice:wonder:land"), Ok(())).await;
        assert!(matches!(basic.glance(&basic_header("alice:wonder:land")), Ok(VerifyCache::Known)));
        assert!(matches!(basic.glance(&basic_header("alice:wrong")), Ok(VerifyCache::Claim(_))));
        assert!(matches!(basic.glance(&basic_header("bob:wonder:land")), Ok(VerifyCache::Claim(_))));
        check(&basic, basic_header("alice:wrong"), Err(Unproved::Wrong)).await;
        assert!(matches!(basic.glance(&basic_header("alice:wonder:land")), Ok(VerifyCache::Known)));
        assert_eq!(format!("{basic:?}"), r#"["alice", "bob"]"#);
    }
}
