//! Waiting until every server that answers for a zone has a record. A server that does not answer at all is not waited
//! for when another has it: authorities cannot ask it either. Where none can be reached (a firewall that lets only
//! the resolver through), the resolver's word counts.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::RecordError;
use crate::base::error_chain::ErrorChain;
use crate::net::dns::{Dns, DnsError, NameServer};
use crate::state::schema::TxtRecord;

/// Between two looks, at first and at most.
const POLL_INTERVALS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What one server says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Visibility {
    /// It has the record.
    Seen,
    /// It answers, and has not.
    Missing(String),
    /// It does not answer.
    Unknown(String),
}

/// How the waiting ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Every server that answers has the record.
    Seen,
    /// No name server of the zone could be found or queried, and a fixed time has gone by; why, in words.
    Unchecked(String),
}

/// Returns when all have it, or with an error that tells which server said what. Where none of the zone's servers can be
/// found or asked (no SOA in a split DNS, port 53 blocked) and the resolver does not have it either, it is waited for
/// `unasked`, which is what the authority's own look is worth: it asks from elsewhere.
pub async fn until_seen(dns: &Dns, record: &TxtRecord, limit: Duration, unasked: Duration) -> Result<Spread, RecordError> {
    let (begun, mut pause) = (Instant::now(), POLL_INTERVALS.0);
    let (until, mut zone) = (begun + limit, dns.zone(&record.name).await);
    loop {
        let mut sights = match &zone {
            Ok(zone) => look(&zone.servers, record).await,
            Err(error) => vec![Visibility::Unknown(format!("the zone's name servers: {}", ErrorChain(error)))],
        };
        let all_unknown = sights.iter().all(|sight| matches!(sight, Visibility::Unknown(_)));
        if all_unknown {
            let resolver = sight(dns.txt(&record.name).await, record, "the resolver");
            // What it lacks may be an older answer that it remembers: only the zone's own servers know better.
            sights.push(if resolver == Visibility::Seen { resolver } else { Visibility::Unknown(resolver.words().to_owned()) });
            if zone.is_err() {
                zone = dns.zone(&record.name).await;
            }
        }
        if is_everywhere(&sights) {
            return Ok(Spread::Seen);
        }
        if all_unknown && begun.elapsed() + pause > unasked {
            sleep(unasked.saturating_sub(begun.elapsed())).await;
            return Ok(Spread::Unchecked(tell(&sights)));
        }
        if Instant::now() + pause > until {
            return Err(RecordError::Unseen { name: record.name.clone(), after: limit, said: tell(&sights) });
        }
        sleep(pause).await;
        pause = pause.mul_f64(1.5).min(POLL_INTERVALS.1);
    }
}

impl Visibility {
    fn words(&self) -> &str {
        match self {
            Self::Seen => "",
            Self::Missing(words) | Self::Unknown(words) => words,
        }
    }
}

async fn look(servers: &[NameServer], record: &TxtRecord) -> Vec<Visibility> {
    let mut sights = Vec::new();
    for server in servers {
        let mut best = Visibility::Unknown(format!("{} has no address", server.name));
        for address in &server.addresses {
            let seen = sight(Dns::only(*address).txt(&record.name).await, record, &format!("{} ({})", server.name, address.ip()));
            // One of its addresses may be of a kind that this machine cannot reach.
            let settled = !matches!(seen, Visibility::Unknown(_));
            best = seen;
            if settled {
                break;
            }
        }
        sights.push(best);
    }
    sights
}

fn sight(answer: Result<Vec<String>, DnsError>, record: &TxtRecord, who: &str) -> Visibility {
    match answer {
        Ok(texts) if texts.contains(&record.value) => Visibility::Seen,
        Ok(texts) => Visibility::Missing(format!("{who} has {} other TXT records of that name", texts.len())),
        Err(error) if error.is_absence() => Visibility::Missing(format!("{who} has no such record")),
        Err(error) => Visibility::Unknown(format!("{who}: {}", ErrorChain(&error))),
    }
}

fn is_everywhere(sights: &[Visibility]) -> bool {
    sights.contains(&Visibility::Seen) && !sights.iter().any(|sight| matches!(sight, Visibility::Missing(_)))
}

fn tell(sights: &[Visibility]) -> String {
    sights.iter().map(Visibility::words).filter(|words| !words.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_everywhere_when_every_server_that_answers_has_it() {
        let (seen, missing, unknown) =
            (Visibility::Seen, Visibility::Missing("b lacks it".into()), Visibility::Unknown("c is mute".into()));
        let check = |sights: &[&Visibility], expected| {
            let sights: Vec<Visibility> = sights.iter().map(|sight| (*sight).clone()).collect();
            assert_eq!(is_everywhere(&sights), expected, "{sights:?}");
        };
        check(&[&seen], true);
        check(&[&seen, &unknown], true);
        check(&[&seen, &missing], false);
        check(&[&unknown], false);
        check(&[], false);
        assert_eq!(tell(&[seen, missing, unknown]), "b lacks it; c is mute");
    }
}
