//! dns-persist-01 (draft-ietf-acme-dns-persist): one standing TXT record that names the authority and our account there,
//! and is never changed. A person publishes it; here is what it must say, and whether it is there.
//!
//! Whoever holds the account's key can then prove the name from anywhere: the key is worth as much as the zone.

use crate::base::name::Identifier;
use crate::base::time::Timestamp;
use crate::net::dns::{Dns, DnsError};

/// Name of the record of a host name.
pub fn record_name(name: &str) -> String {
    format!("_validation-persist.{name}")
}

/// What must stand in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingRecord {
    /// Its name.
    pub name: String,
    /// The authority's names, of which one is named.
    pub issuers: Vec<String>,
    /// Our account at the authority.
    pub account: String,
    /// Whether it is to be good for a wildcard.
    pub wildcard: bool,
}

impl StandingRecord {
    /// The record for an identifier; an address has none.
    pub fn of(identifier: &Identifier, issuers: Vec<String>, account: String) -> Option<Self> {
        let (name, wildcard) = match identifier {
            Identifier::Dns(name) => (name, false),
            Identifier::Wildcard(name) => (name, true),
            Identifier::Ip(_) => return None,
        };
        Some(Self { name: record_name(name.as_str()), issuers, account, wildcard })
    }

    /// The text to publish.
    pub fn text(&self) -> String {
        let issuer = self.issuers.first().map_or("", String::as_str);
        let policy = if self.wildcard { "; policy=wildcard" } else { "" };
        format!("{issuer}; accounturi={}{policy}", self.account)
    }

    /// Whether a text that was found is good at `now`. What the draft calls malformed is not.
    pub fn is_met_by(&self, text: &str, now: Timestamp) -> bool {
        let mut parts = text.split(';').map(trim);
        if !parts.next().is_some_and(|issuer| self.issuers.iter().any(|known| known == issuer)) {
            return false;
        }
        let (mut account, mut wildcard, mut lasts) = (false, false, true);
        for part in parts {
            let Some((tag, value)) = part.split_once('=') else { return false };
            let value = trim(value);
            match trim(tag).to_ascii_lowercase().as_str() {
                "accounturi" => account = value == self.account,
                "policy" => wildcard = value.eq_ignore_ascii_case("wildcard"),
                "persistuntil" => lasts = value.parse().is_ok_and(|until| now <= Timestamp::from_unix(until)),
                _ => (),
            }
        }
        account && lasts && (wildcard || !self.wildcard)
    }

    /// Whether it is published, as the zone's own servers say, or the resolver where none of them can be asked.
    pub(in crate::certs) async fn is_published(&self, dns: &Dns, now: Timestamp) -> Result<bool, DnsError> {
        let zone = dns.zone(&self.name).await?;
        for address in zone.servers.iter().flat_map(|server| &server.addresses) {
            match Dns::only(*address).txt(&self.name).await {
                Ok(texts) => return Ok(self.is_among(&texts, now)),
                Err(error) if error.is_absence() => return Ok(false),
                Err(_) => (),
            }
        }
        match dns.txt(&self.name).await {
            Ok(texts) => Ok(self.is_among(&texts, now)),
            Err(error) if error.is_absence() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn is_among(&self, texts: &[String], now: Timestamp) -> bool {
        texts.iter().any(|text| self.is_met_by(text, now))
    }
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);

    fn record(name: &str) -> StandingRecord {
        let issuers = vec!["ca.example".to_owned(), "ca2.example".to_owned()];
        StandingRecord::of(&Identifier::parse(name).unwrap(), issuers, "https://ca.example/acct/1".to_owned()).unwrap()
    }

    #[test]
    fn the_record_to_publish_is_told_whole_and_meets_itself() {
        let plain = record("a.example");
        assert_eq!(plain.name, "_validation-persist.a.example");
        assert_eq!(plain.text(), "ca.example; accounturi=https://ca.example/acct/1");
        let wildcard = record("*.a.example");
        assert_eq!(wildcard.name, "_validation-persist.a.example");
        assert_eq!(wildcard.text(), "ca.example; accounturi=https://ca.example/acct/1; policy=wildcard");
        for one in [&plain, &wildcard] {
            assert!(one.is_met_by(&one.text(), NOW));
        }
        assert!(plain.is_met_by(&wildcard.text(), NOW) && !wildcard.is_met_by(&plain.text(), NOW));
    }

    #[test]
    fn only_a_record_of_this_authority_and_account_that_still_holds_is_good() {
        let check = |text: &str, expected: bool| assert_eq!(record("a.example").is_met_by(text, NOW), expected, "{text}");
        check("ca2.example ;\tAccountURI = https://ca.example/acct/1;policy=", true);
        check("ca.example; accounturi=https://ca.example/acct/1; persistUntil=1795219201", true);
        check("ca.example; accounturi=https://ca.example/acct/1; persistUntil=1795219199", false);
        check("ca.example; accounturi=https://ca.example/acct/1; persistUntil=soon", false);
        check("ca.example; accounturi=https://ca.example/acct/1;", false);
        check("ca.example; accounturi=https://ca.example/acct/12", false);
        check("other.example; accounturi=https://ca.example/acct/1", false);
        check("ca.example", false);
        check("", false);
    }
}
