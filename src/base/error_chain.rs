//! Errors with all their causes, in one line.

use std::error::Error;
use std::fmt;

/// Prints an error and each cause behind it, separated by `: `, leaving out a cause whose words were just said.
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            let words = cause.to_string();
            if !said.contains(&words) {
                write!(f, ": {words}")?;
                said = words;
            }
            next = cause.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{words}")]
    struct Link {
        words: &'static str,
        #[source]
        cause: Option<Box<Self>>,
    }

    fn link(words: &'static str, cause: Option<Link>) -> Link {
        Link { words, cause: cause.map(Box::new) }
    }

    #[test]
    fn every_cause_is_said_once() {
        let error =
            link("cannot read the key", Some(link("open failed", Some(link("open failed", Some(link("no such file", None)))))));
        assert_eq!(ErrorChain(&error).to_string(), "cannot read the key: open failed: no such file");
    }
}
