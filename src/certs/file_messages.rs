//! Messages about certificate files: what is wrong with which file, and the one thing to do with it. The same words in
//! `check`, `doctor`, `certs` and the log. Pure.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::base::time::{Timestamp, Validity};
use crate::config::settings::Place;

/// A file that somebody else renews is reported from then on, or from a sixth of its life on if that is shorter: nobody
/// is reminded of it by an authority.
const WARN_BEFORE: Duration = Duration::from_secs(14 * 86_400);

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMessage {
    /// What was seen, against what was expected.
    pub seen: String,
    /// What to do, in a sentence.
    pub remedy: String,
}

impl fmt::Display for FileMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.seen, self.remedy)
    }
}

/// That the certificate of a file has ended, or ends soon; `None` while neither is so. `at` is where `tls` stands.
pub fn end(name: &str, chain: &Path, at: &Place, validity: Validity, now: Timestamp) -> Option<FileMessage> {
    let (file, day) = (chain.display(), day(validity.not_after));
    let left = validity.not_after.since(now);
    let seen = if validity.not_after < now {
        format!("{name}: {file} expired on {day}, browsers refuse it")
    } else if left < WARN_BEFORE.min(validity.lifetime() / 6) {
        format!("{name}: {file} expires on {day}, in {}", rough_days(left))
    } else {
        return None;
    };
    let remedy = format!("put a renewed file there (it is taken within 2 s), or remove `tls` ({at}) to have one issued");
    Some(FileMessage { seen, remedy })
}

/// That a certificate and a key do not belong together.
pub fn mismatch(name: &str, chain: &Path, key: &Path, at: &Place) -> FileMessage {
    FileMessage {
        seen: format!("{} does not belong to {} ({name}; the public keys differ)", key.display(), chain.display()),
        remedy: format!("give the key that this certificate was made with, or have a new one issued for this key ({at})"),
    }
}

/// What is served meanwhile, after files were refused.
pub const fn meanwhile(held: bool) -> &'static str {
    if held { "the certificate that was read before stays in service" } else { "no certificate is in service for it" }
}

/// `2026-11-20`.
fn day(at: Timestamp) -> String {
    let text = at.to_string();
    text.split('T').next().unwrap_or(&text).to_owned()
}

fn rough_days(left: Duration) -> String {
    match (left.as_secs() / 86_400, left.as_secs() / 3_600) {
        (0, 0) => "less than an hour".to_owned(),
        (0, 1) | (1, _) if left.as_secs() < 86_400 => "1 hour".to_owned(),
        (0, hours) => format!("{hours} hours"),
        (1, _) => "1 day".to_owned(),
        (days, _) => format!("{days} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);

    fn at() -> Place {
        Place { file: "doorward.conf".into(), line: 12, column: 5 }
    }

    fn ends_in(seconds: i64) -> Option<String> {
        let not_after = Timestamp::from_unix(NOW.unix() + seconds);
        let validity = Validity { not_before: not_after - Duration::from_secs(90 * 86_400), not_after };
        end("example.com", Path::new("/etc/ssl/site.pem"), &at(), validity, NOW).map(|message| message.to_string())
    }

    #[test]
    fn a_file_that_has_ended_or_ends_soon_is_named_with_its_date_and_what_to_do() {
        let remedy = "put a renewed file there (it is taken within 2 s), or remove `tls` (doorward.conf:12) to have one issued";
        let expired = format!("example.com: /etc/ssl/site.pem expired on 2026-11-20, browsers refuse it; {remedy}");
        assert_eq!(ends_in(-3_600).unwrap(), expired);
        let soon = format!("example.com: /etc/ssl/site.pem expires on 2026-11-24, in 3 days; {remedy}");
        assert_eq!(ends_in(3 * 86_400 + 60).unwrap(), soon);
        assert!(ends_in(86_400).unwrap().contains("in 1 day;"));
        assert!(ends_in(7_200).unwrap().contains("in 2 hours;") && ends_in(60).unwrap().contains("less than an hour"));
        assert!(ends_in(3_600).unwrap().contains("in 1 hour;"));
        assert_eq!(ends_in(20 * 86_400), None);
    }

    #[test]
    fn a_key_of_another_certificate_names_both_files() {
        let message = mismatch("example.com", Path::new("/etc/ssl/site.pem"), Path::new("/etc/ssl/site.key"), &at());
        assert_eq!(
            message.to_string(),
            "/etc/ssl/site.key does not belong to /etc/ssl/site.pem (example.com; the public keys differ); give the key that this \
             certificate was made with, or have a new one issued for this key (doorward.conf:12)"
        );
    }
}
