//! Keys that are made once and kept in the state folder, so that a restart is none for clients. Delete a key's file to have a
//! new one at the next start.

use std::path::Path;

use crate::base::error_chain::ErrorChain;
use crate::base::hex;
use crate::base::secret::Secret;
use crate::state::atomic_file::{self, FileError};

/// A kept key: 64 hexadecimal digits in a file of its own.
#[derive(Clone, Copy, Debug)]
pub struct PersistentKeys {
    /// The file, below the state folder.
    file: &'static str,
    /// What a restart costs where it cannot be kept.
    cost: &'static str,
}

/// What sticky cookies are written with.
pub const STICKY: PersistentKeys =
    PersistentKeys { file: "sticky.key", cost: "sticky cookies will not be known again after a restart" };
/// What QUIC's own keys are derived from.
pub const QUIC: PersistentKeys =
    PersistentKeys { file: "quic.key", cost: "clients of HTTP/3 will notice a crash only after a while" };

/// Bytes of a key: as many as the codes' hash has.
const LENGTH: usize = 32;

impl PersistentKeys {
    /// The key that is kept in the folder `state`; a new one where there is none. One that cannot be kept is used all the same.
    pub fn load(self, state: &Path) -> Secret<[u8; LENGTH]> {
        let path = state.join(self.file);
        let kept = atomic_file::read_secret(&path).map(|text| text.and_then(|text| bytes(text.expose())));
        let key = match kept {
            Ok(Some(key)) => key,
            Ok(None) => {
                let (key, text) = fresh();
                self.tell(atomic_file::write(&path, text.expose().as_bytes()));
                key
            }
            Err(error) => {
                self.tell(Err(error));
                fresh().0
            }
        };
        Secret::new(key)
    }

    fn tell(self, kept: Result<(), FileError>) {
        if let Err(error) = kept {
            let error = ErrorChain(&error).to_string();
            tracing::warn!(event = "key_not_kept", error, "{}", self.cost);
        }
    }
}

fn fresh() -> ([u8; LENGTH], Secret<String>) {
    let mut key = [0; LENGTH];
    aws_lc_rs::rand::fill(&mut key).expect("the system has random numbers");
    (key, Secret::new(hex::encode(&key) + "\n"))
}

/// `None` for a text that is none of ours.
fn bytes(text: &str) -> Option<[u8; LENGTH]> {
    let text = text.trim();
    let mut key = [0; LENGTH];
    if text.len() != 2 * LENGTH || !text.is_ascii() {
        return None;
    }
    for (i, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_kept_and_private_and_a_damaged_one_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(STICKY.file);
        let text = || fs::read_to_string(&path).unwrap();
        let first = *STICKY.load(folder.path()).expose();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(*STICKY.load(folder.path()).expose(), first);
        assert_eq!(bytes(&text()), Some(first));
        assert_ne!(*QUIC.load(folder.path()).expose(), first, "each has its own");
        fs::write(&path, "not a key").unwrap();
        assert_ne!(*STICKY.load(folder.path()).expose(), first);
        assert!(bytes(&text()).is_some());
    }
}
