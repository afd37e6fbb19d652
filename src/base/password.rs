//! Hashes of passwords: argon2 as `doorward hash-password` makes them, and bcrypt as htpasswd and Caddy do. To check one
//! takes tens of milliseconds on purpose, so it is never done on a traffic thread.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Argon2, Params};

/// A hash in its text form that could be read.
#[derive(Clone)]
pub enum Hash {
    /// PHC string format.
    Argon2(String),
    /// Modular crypt format.
    Bcrypt(String),
}

/// Most memory a hash may ask for, in KiB; a mistyped one must not take the machine's.
const MAX_MEMORY: u32 = 256 * 1024;
/// Most rounds of bcrypt, as a power of two; 15 takes two seconds.
const MAX_COST: u32 = 15;

impl Hash {
    /// Reads a hash; `None` when it is none that can be checked here.
    pub fn read(text: &str) -> Option<Self> {
        if text.starts_with("$argon2") {
            let params = Params::try_from(&PasswordHash::new(text).ok()?).ok()?;
            return (params.m_cost() <= MAX_MEMORY).then(|| Self::Argon2(text.to_owned()));
        }
        let cost = bcrypt_cost(text)?;
        (cost <= MAX_COST).then(|| Self::Bcrypt(text.to_owned()))
    }

    /// Whether this is the hash of `password`. Blocks for tens of milliseconds.
    pub fn is_of(&self, password: &[u8]) -> bool {
        match self {
            Self::Argon2(text) => {
                PasswordHash::new(text).is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
            }
            Self::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
        }
    }
}

/// `$2b$10$` and 53 characters.
fn bcrypt_cost(text: &str) -> Option<u32> {
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|start| text.strip_prefix(start))?;
    let (cost, rest) = rest.split_once('$')?;
    let sound = rest.len() == 53 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'));
    cost.parse().ok().filter(|cost| sound && (4..=31).contains(cost))
}

/// Hashes a password with argon2id and the library's parameters (19 MiB, two passes), under a salt of its own.
///
/// # Errors
/// [`HashError`] when the operating system gives no random bytes.
pub fn hash(password: &[u8]) -> Result<String, HashError> {
    Argon2::default().hash_password(password).map(|hash| hash.to_string()).map_err(HashError)
}

/// Why a password could not be hashed.
#[derive(Debug, thiserror::Error)]
#[error("the password cannot be hashed")]
pub struct HashError(#[source] argon2::password_hash::Error);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hashed_here_and_elsewhere_is_known_again() {
        let ours = hash(b"correct horse").unwrap();
        assert!(ours.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{ours}");
        let elsewhere = [
            // htpasswd -nbB -C 4, with its own letter for the version.
            "$2y$04$abcdefghijklmnopqrstuuJdTJgYb8G3fbVVOKkWbQF7tw0QEwQpG",
        ];
        let check = |text: &str, password: &str, expected| {
            assert_eq!(Hash::read(text).unwrap().is_of(password.as_bytes()), expected, "for {text} {password}");
        };
        check(&ours, "correct horse", true);
        check(&ours, "correct horse ", false);
        check(&ours, "", false);
        check(elsewhere[0], "wrong", false);
        check(&bcrypt::hash("correct horse", 4).unwrap(), "correct horse", true);
        check(&bcrypt::hash("correct horse", 4).unwrap().replace("$2b$", "$2y$"), "correct horse", true);
        check(&bcrypt::hash("correct horse", 4).unwrap(), "correct", false);
    }

    #[test]
    fn what_is_no_hash_or_too_dear_is_refused() {
        for text in [
            "secret",
            "",
            "$2b$10$short",
            "$2b$99$abcdefghijklmnopqrstuuJdTJgYb8G3fbVVOKkWbQF7tw0QEwQpG",
            "$2b$20$abcdefghijklmnopqrstuuJdTJgYb8G3fbVVOKkWbQF7tw0QEwQpG",
            "$argon2id$v=19$m=9999999,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g",
            "$argon2id$nonsense",
            "$1$md5$x",
        ] {
            assert!(Hash::read(text).is_none(), "{text}");
        }
    }
}
