//! Waiting until every server that answers for a zone has a record. A server that does not answer at all is not waited
//! for when another has it: authorities cannot ask it either. Where none can be reached (a firewall that lets only
//! the resolver through), the resolver's word counts.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::RecordError;
use crate::base::chain::Chain;
use crate::certs::dns::{Dns, DnsError, NameServer};
use crate::state::schema::TxtRecord;

/// Between two looks, at first and at most.
const LOOKS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What one server says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sight {
    /// It has the record.
    Seen,
    /// It answers, and has not.
    Missing(String),
    /// It does not answer.
    Unknown(String),
}

/// Returns when all have it, or with an error that tells which server said what.
pub async fn until_seen(dns: &Dns, record: &TxtRecord, limit: Duration) -> Result<(), RecordError> {
    let zone = dns.zone(&record.name).await;
    let zone = zone.map_err(|source| RecordError::Lookup { name: record.name.clone(), source })?;
    let (until, mut pause) = (Instant::now() + limit, LOOKS.0);
    loop {
        let mut sights = look(&zone.servers, record).await;
        if sights.iter().all(|sight| matches!(sight, Sight::Unknown(_))) {
            sights.push(sight(dns.txt(&record.name).await, record, "the resolver"));
        }
        if is_everywhere(&sights) {
            return Ok(());
        }
        if Instant::now() + pause > until {
            return Err(RecordError::Unseen { name: record.name.clone(), after: limit, said: tell(&sights) });
        }
        sleep(pause).await;
        pause = pause.mul_f64(1.5).min(LOOKS.1);
    }
}

async fn look(servers: &[NameServer], record: &TxtRecord) -> Vec<Sight> {
    let mut sights = Vec::new();
    for server in servers {
        let mut best = Sight::Unknown(format!("{} has no address", server.name));
        for address in &server.addresses {
            let seen = sight(Dns::only(*address).txt(&record.name).await, record, &format!("{} ({})", server.name, address.ip()));
            // One of its addresses may be of a kind that this machine cannot reach.
            let settled = !matches!(seen, Sight::Unknown(_));
            best = seen;
            if settled {
                break;
            }
        }
        sights.push(best);
    }
    sights
}

fn sight(answer: Result<Vec<String>, DnsError>, record: &TxtRecord, who: &str) -> Sight {
    match answer {
        Ok(texts) if texts.contains(&record.value) => Sight::Seen,
        Ok(texts) => Sight::Missing(format!("{who} has {} other TXT records of that name", texts.len())),
        Err(error) if error.is_absence() => Sight::Missing(format!("{who} has no such record")),
        Err(error) => Sight::Unknown(format!("{who}: {}", Chain(&error))),
    }
}

fn is_everywhere(sights: &[Sight]) -> bool {
    sights.contains(&Sight::Seen) && !sights.iter().any(|sight| matches!(sight, Sight::Missing(_)))
}

fn tell(sights: &[Sight]) -> String {
    let words = sights.iter().filter_map(|sight| match sight {
        Sight::Seen => None,
        Sight::Missing(words) | Sight::Unknown(words) => Some(words.as_str()),
    });
    words.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_everywhere_when_nobody_who_answers_lacks_it() {
        let (seen, missing, unknown) = (Sight::Seen, Sight::Missing("b lacks it".into()), Sight::Unknown("c is mute".into()));
        let check = |sights: &[&Sight], expected| {
            let sights: Vec<Sight> = sights.iter().map(|sight| (*sight).clone()).collect();
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
