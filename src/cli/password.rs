//! `doorward hash-password`: a password on its way into a configuration, without passing through a shell's history.

use std::io::{self, BufRead, IsTerminal};

use super::exit::Exit;
use super::output;
use crate::base::password;
use crate::base::secret::Secret;

/// Longest password; bcrypt would not even look at the rest, but argon2 does.
const MAX_PASSWORD: usize = 1024;

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
enum HashError {
    #[error("the password could not be read")]
    Read(#[from] io::Error),
    #[error("there is no password: standard input was empty")]
    Empty,
    #[error("the password has more than {MAX_PASSWORD} bytes; choose a shorter one")]
    TooLong,
    #[error("the two passwords differ; run this again")]
    Differ,
    #[error("the operating system gave no random bytes for the salt")]
    Salt(#[from] password::HashError),
}

/// Asks for a password and prints its hash.
pub fn hash() -> Exit {
    match try_hash() {
        Ok(line) => {
            output::line(&line);
            Exit::Done
        }
        Err(error) => output::failure(&error),
    }
}

fn try_hash() -> Result<String, HashError> {
    let password = if io::stdin().is_terminal() { asked()? } else { first_line(io::stdin().lock())? };
    Ok(password::hash(password.expose().as_bytes())?)
}

/// Twice, because nobody sees what is typed.
fn asked() -> Result<Secret<String>, HashError> {
    let ask = |words: &str| rpassword::prompt_password(words).map(Secret::new);
    let first = sound(ask("Password: ")?)?;
    if *first.expose() == *ask("Once more: ")?.expose() { Ok(first) } else { Err(HashError::Differ) }
}

fn first_line(input: impl BufRead) -> Result<Secret<String>, HashError> {
    let mut line = String::new();
    io::Read::take(input, MAX_PASSWORD as u64 + 2).read_line(&mut line)?;
    let text = Secret::new(line);
    sound(Secret::new(text.expose().trim_end_matches(['\r', '\n']).to_owned()))
}

fn sound(password: Secret<String>) -> Result<Secret<String>, HashError> {
    match password.expose().len() {
        0 => Err(HashError::Empty),
        1..=MAX_PASSWORD => Ok(password),
        _ => Err(HashError::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_password_and_nothing_of_it_is_lost() {
        let read =
            |text: &str| first_line(text.as_bytes()).map(|password| password.expose().clone()).map_err(|error| error.to_string());
        assert_eq!(read("correct horse \nbattery"), Ok("correct horse ".into()));
        assert_eq!(read("größe\r\n"), Ok("größe".into()));
        assert_eq!(read("last"), Ok("last".into()));
        assert!(read("\n").unwrap_err().contains("standard input was empty"));
        assert!(read(&"x".repeat(2000)).unwrap_err().contains("shorter"));
    }
}
