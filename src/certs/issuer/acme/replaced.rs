//! What an operator has to change after an account was replaced by another: records in DNS that name the old one.

use std::time::Duration;

use super::job::OrderJob;
use crate::certs::challenge::dns_persist01;
use crate::certs::issuer::account::Recovered;
use crate::net::dns::Dns;

/// For looking at the names' records.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// An account in the place of another.
pub(super) struct Replaced<'a> {
    /// URL of the account that the authority does not take any more.
    pub(super) gone: &'a str,
    /// URL of the one in its place.
    pub(super) new: &'a str,
    /// How it was found out.
    pub(super) recovered: Recovered,
}

impl Replaced<'_> {
    /// Says so once, with the records that name the old account.
    pub(super) async fn tell(&self, job: &OrderJob) {
        let directory = job.acme.directory.as_str();
        let records = tokio::time::timeout(LOOK_TIMEOUT, self.records(job)).await.unwrap_or_default();
        let todo = self.todo(&records);
        match self.recovered {
            Recovered::NewKey => tracing::warn!(
                event = "account_replaced",
                directory,
                gone = self.gone,
                account = self.new,
                "{directory} does not take the key of our account {} any more (it was replaced since this state folder was \
                 saved); registered {} in its place with a new key; {todo}",
                self.gone,
                self.new
            ),
            Recovered::SameKey | Recovered::StillOurs => tracing::warn!(
                event = "account_replaced",
                directory,
                gone = self.gone,
                account = self.new,
                "{directory} no longer knows our account {}; registered {} in its place with the same key; {todo}",
                self.gone,
                self.new
            ),
        }
    }

    fn todo(&self, records: &[String]) -> String {
        if records.is_empty() {
            return "nothing to do (where a CAA record's accounturi or a standing _validation-persist record names the old \
                    account, put the new one there)"
                .to_owned();
        }
        format!("put {} in the place of the old account in {}", self.new, records.join(" and "))
    }

    /// The records of the order's names that name the old account.
    async fn records(&self, job: &OrderJob) -> Vec<String> {
        let Ok(dns) = Dns::configured(&job.acme.resolvers).await else { return Vec::new() };
        let mut found = Vec::new();
        for name in &job.identifiers {
            let text = name.to_string();
            let name = text.strip_prefix("*.").unwrap_or(&text);
            if let Ok(Some((at, records))) = dns.caa_in_force(name).await
                && records.iter().any(|record| names_account(&record.value, self.gone))
            {
                found.push(format!("the CAA record at {at}"));
            }
            let standing = dns_persist01::record_name(name);
            if dns.txt(&standing).await.is_ok_and(|texts| texts.iter().any(|text| names_account(text, self.gone))) {
                found.push(format!("the TXT record at {standing}"));
            }
        }
        found.sort();
        found.dedup();
        found
    }
}

/// Whether a record has `accounturi=` with this very URL (RFC 8657 section 3).
fn names_account(record: &str, url: &str) -> bool {
    let pairs = record.split([';', ' ', '\t']).filter_map(|pair| pair.split_once('='));
    pairs.into_iter().any(|(key, value)| key.trim().eq_ignore_ascii_case("accounturi") && value.trim() == url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_an_account_by_its_whole_url() {
        let url = "https://ca.example/acct/1";
        assert!(names_account("ca.example; accounturi=https://ca.example/acct/1; validationmethods=dns-01", url));
        assert!(names_account("ca.example;AccountURI=https://ca.example/acct/1", url));
        assert!(!names_account("ca.example; accounturi=https://ca.example/acct/12", url));
        assert!(!names_account("ca.example", url));
    }

    #[test]
    fn the_message_says_which_records_to_change() {
        let replaced = Replaced { gone: "https://ca/acct/12", new: "https://ca/acct/1", recovered: Recovered::SameKey };
        assert!(replaced.todo(&[]).starts_with("nothing to do"));
        let records =
            ["the CAA record at example.com".to_owned(), "the TXT record at _validation-persist.example.com".to_owned()];
        assert_eq!(
            replaced.todo(&records),
            "put https://ca/acct/1 in the place of the old account in the CAA record at example.com and the TXT record at \
             _validation-persist.example.com"
        );
    }
}
