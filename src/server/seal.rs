//! The key of sticky cookies: made once and kept in the state folder, so that a restart leaves clients where they are. Delete
//! the file to have a new one at the next start.

use std::path::Path;

use crate::base::chain::Chain;
use crate::base::secret::Secret;
use crate::proxy::cluster::sticky::Seal;
use crate::state::durable::{self, FileError};

/// Its file below the state folder: 64 hexadecimal digits.
const FILE: &str = "sticky.key";
/// Bytes of the key: as many as the code's hash has.
const LENGTH: usize = 32;

/// The key that is kept there; a new one where there is none. One that cannot be kept is used all the same: then clients
/// are spread anew at the next start.
pub fn load(state: &Path) -> Seal {
    let path = state.join(FILE);
    let kept = durable::read_secret(&path).map(|text| text.and_then(|text| bytes(text.expose())));
    match kept {
        Ok(Some(key)) => Seal::new(&key),
        Ok(None) => {
            let (key, text) = fresh();
            tell(durable::write(&path, text.expose().as_bytes()));
            Seal::new(&key)
        }
        Err(error) => {
            tell(Err(error));
            Seal::new(&fresh().0)
        }
    }
}

fn tell(kept: Result<(), FileError>) {
    if let Err(error) = kept {
        let error = Chain(&error).to_string();
        tracing::warn!(event = "sticky_key_not_kept", error, "sticky cookies will not be known again after a restart");
    }
}

fn fresh() -> ([u8; LENGTH], Secret<String>) {
    let mut key = [0; LENGTH];
    aws_lc_rs::rand::fill(&mut key).expect("the system has random numbers");
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    (key, Secret::new(digits + "\n"))
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
        let path = folder.path().join(FILE);
        let text = || fs::read_to_string(&path).unwrap();
        load(folder.path());
        let first = text();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        load(folder.path());
        assert_eq!(text(), first);
        fs::write(&path, "not a key").unwrap();
        load(folder.path());
        assert!(text() != first && bytes(&text()).is_some());
    }
}
