//! How each certificate stands, for the banner, for `doorward certs` and for the admin socket. Pure.

use serde::Serialize;

use super::cert_cache::{CachedCert, CertCache};
use super::challenge::dns01;
use super::challenge::waits::Waits;
use super::desired::{DesiredCert, Source};
use super::file_messages::{self, FileMessage};
use super::inventory::{Doing, Inventory, Record};
use super::plan::{self, Action, Next, Waiting};
use super::rate_limit::{self, Budget};
use crate::base::time::Timestamp;
use crate::state::schema::IssuerMemory;
use crate::state::slug::Slug;

/// How one certificate stands. Moments are RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NameStatus {
    /// What it is to cover, the first name being its own.
    pub names: Vec<String>,
    /// Where it stands.
    pub state: CertState,
    /// Who issued the one held, or who is asked for it.
    pub issuer: String,
    /// When the one held ends; `None` when none is held.
    pub not_after: Option<String>,
    /// When it is tried, renewed or looked at next; `None` when nothing is planned.
    pub next_attempt: Option<String>,
    /// Why then and not before, in words.
    pub next_why: String,
    /// Tries that failed since the last success.
    pub fails: u32,
    /// The challenge that proved the names last.
    pub challenge: Option<String>,
    /// What the last failure said, in full; `None` when the last try succeeded.
    pub last_error: Option<String>,
    /// What a person can do about that, in a sentence.
    pub remedy: Option<String>,
    /// Whether it is in memory only, because the disk refuses it.
    pub unsaved: bool,
    /// Where it comes from: the directory of the first authority, `the local authority`, or the chain's file.
    pub from: String,
    /// Serial number of the one held, in hexadecimal.
    pub serial: Option<String>,
    /// The authority's renewal window (RFC 9773) as last heard, its start and its end.
    pub window: Option<(String, String)>,
    /// When the authority is asked for its window again.
    pub window_asked_again: Option<String>,
    /// What is used up and left; `None` for what no authority limits.
    pub budget: Option<Budget>,
    /// When it was last reported to be in danger, while it is.
    pub alarmed: Option<String>,
}

/// Where a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertState {
    /// Served and valid.
    Valid,
    /// Served and valid, and its successor is on its way.
    Renewing,
    /// Served, but expired.
    Expired,
    /// None is held; it is being obtained.
    Obtaining,
    /// None is held, and the next try has to wait.
    Paused,
    /// None is held, and only a person can change that.
    Stuck,
}

impl CertState {
    /// In one or two words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Renewing => "renewing",
            Self::Expired => "expired",
            Self::Obtaining => "being obtained",
            Self::Paused => "paused",
            Self::Stuck => "stuck",
        }
    }
}

/// How every need stands.
pub(in crate::certs) fn statuses(
    needs: &[DesiredCert],
    book: &Inventory,
    cache: &CertCache,
    waits: &Waits,
    now: Timestamp,
) -> Vec<NameStatus> {
    let nexts: Vec<Next<'_>> = needs.iter().map(|need| plan::next(need, book, now)).collect();
    let turns = plan::turns(&nexts);
    let all = needs.iter().zip(&nexts).zip(turns);
    let each = |((need, next), turn)| {
        let mut status = status(need, next, turn, book, cache.get(&need.id), now);
        let is_ordered = |record: &Record| matches!(record.doing, Some(Doing::Issuing(_) | Doing::Rehearsing { .. }));
        if book.records.get(&need.id).is_some_and(is_ordered) {
            let records: Vec<String> = need.names.iter().filter_map(dns01::record_name).collect();
            status.next_why = waits.of(&records).unwrap_or(status.next_why);
        }
        status
    };
    all.map(each).collect()
}

/// That the certificate of a need's files has ended, or ends soon.
pub(crate) fn end_of_files(need: &DesiredCert, shelved: Option<&CachedCert>, now: Timestamp) -> Option<FileMessage> {
    let Source::Files { chain, at, .. } = &need.source else { return None };
    file_messages::end(&need.title(), chain, &at.0, shelved?.bundle.validity(), now)
}

/// Why a need has no certificate yet, for a handshake that is refused.
pub(crate) fn why_coming(need: &DesiredCert, book: &Inventory) -> String {
    let error = book.records.get(&need.id).and_then(|record| record.memory.last_error.as_ref());
    match error {
        Some(error) if matches!(need.source, Source::Files { .. }) => format!("its files cannot be used: {}", error.words),
        Some(error) => format!("the last try failed: {}", error.words),
        None => format!("it is being obtained from {}", asked_of(need)),
    }
}

fn status(
    need: &DesiredCert,
    next: &Next<'_>,
    turn: Option<usize>,
    book: &Inventory,
    shelved: Option<&CachedCert>,
    now: Timestamp,
) -> NameStatus {
    let fresh = Record::default();
    let record = book.records.get(&need.id).unwrap_or(&fresh);
    let (next_attempt, next_why) = describe(need, next, turn, record, book, now);
    let renewal = record.memory.renewal.as_ref().filter(|_| matches!(need.source, Source::Acme(_)));
    let window = renewal.and_then(|renewal| renewal.window);
    let last_error = record.memory.last_error.as_ref();
    let file = end_of_files(need, shelved, now);
    NameStatus {
        names: if need.names.is_empty() { vec![need.title()] } else { need.names.iter().map(ToString::to_string).collect() },
        state: state(need, record, shelved, next, now),
        issuer: shelved.map_or_else(|| asked_of(need), |shelved| shelved.bundle.issuer_name().to_owned()),
        not_after: shelved.map(|shelved| shelved.bundle.validity().not_after.to_string()),
        next_attempt: next_attempt.map(|at| at.to_string()),
        next_why,
        fails: record.memory.fails.saturating_add(record.memory.unreachable),
        challenge: record.memory.worked.clone(),
        last_error: last_error.map(|error| error.words.clone()).or_else(|| file.as_ref().map(|message| message.seen.clone())),
        remedy: last_error.map_or_else(|| file.map(|message| message.remedy), |error| error.remedy.clone()),
        unsaved: shelved.is_some_and(CachedCert::is_unsaved),
        from: asked_of(need),
        serial: shelved.map(|shelved| shelved.bundle.serial().to_owned()),
        window: window.map(|window| (window.start().to_string(), window.end().to_string())),
        window_asked_again: renewal.and_then(|renewal| renewal.recheck_at).map(|at| at.to_string()),
        budget: budget(need, record, book, now),
        alarmed: None,
    }
}

fn state(need: &DesiredCert, record: &Record, shelved: Option<&CachedCert>, next: &Next<'_>, now: Timestamp) -> CertState {
    let issuing = matches!(record.doing, Some(Doing::Issuing(_) | Doing::Rehearsing { .. }));
    match shelved.map(|shelved| shelved.bundle.validity().not_after) {
        Some(not_after) if not_after < now => CertState::Expired,
        Some(_) if issuing => CertState::Renewing,
        Some(_) => CertState::Valid,
        None if issuing || (matches!(next, Next::Act(_)) && !matches!(next, Next::Act(Action::Look { .. }))) => {
            CertState::Obtaining
        }
        None if matches!(need.source, Source::Files { .. }) => CertState::Stuck,
        None => CertState::Paused,
    }
}

fn describe(
    need: &DesiredCert,
    next: &Next<'_>,
    turn: Option<usize>,
    record: &Record,
    book: &Inventory,
    now: Timestamp,
) -> (Option<Timestamp>, String) {
    match (next, &need.source) {
        (_, Source::Files { .. }) => (None, "the program that writes the files renews it; they are checked every 2 s".to_owned()),
        (Next::Act(Action::Look { .. }), _) => {
            (record.memory.pause.map(|pause| pause.until), "the wait after a failure".to_owned())
        }
        (Next::Act(_), _) => (
            Some(now),
            format!("it waits for its turn as number {}; {} are done at a time", turn.unwrap_or(1), rate_limit::AT_A_TIME),
        ),
        (Next::Nothing, _) => match &record.doing {
            Some(Doing::Issuing(issuer)) => (Some(now), format!("{issuer} is being asked for it")),
            Some(Doing::Rehearsing { at, .. }) => (Some(now), format!("after a failure, the order is tried at {at} first")),
            Some(Doing::Asking(issuer)) => (Some(now), format!("{issuer} is being asked when to renew")),
            Some(Doing::Looking(_)) => (
                record.memory.pause.map(|pause| pause.until),
                "the wait after a failure; it is being looked whether what failed is in order".to_owned(),
            ),
            None => (None, "nothing is planned".to_owned()),
        },
        (Next::Wait(at, waiting), _) => match waiting {
            Waiting::Renewal => {
                let renewal = record.memory.renewal.as_ref().map_or(*at, |renewal| renewal.renew_at);
                (Some(renewal), "renewal".to_owned())
            }
            Waiting::Backoff => (Some(*at), "the wait after a failure".to_owned()),
            Waiting::Asked => (Some(*at), "the authority wants no further try for this name before then".to_owned()),
            Waiting::Limit(limit) => (Some(*at), limit.words().to_owned()),
            Waiting::Issuer => (Some(*at), issuer_words(need, book, *at, now)),
            Waiting::Bucket => (Some(*at), "the authority's limit of new orders is reached".to_owned()),
            Waiting::Clock => (None, format!("this machine's clock says {now}, which is plainly wrong; nothing is ordered")),
        },
    }
}

/// Several authorities may be left alone; the one that is meant is the one whose pause ends at `until`.
fn issuer_words(need: &DesiredCert, book: &Inventory, until: Timestamp, now: Timestamp) -> String {
    let paused = |issuer: &IssuerMemory| issuer.pause.and_then(|pause| pause.holds(now)) == Some(until);
    let issuers = asked_places(need).into_iter().filter_map(|issuer| book.issuers.get(&issuer));
    let why = issuers.into_iter().find(|issuer| paused(issuer)).map_or("", |issuer| issuer.why.as_str());
    format!("the authority is left alone: {why}")
}

/// Every authority that an order for this need may go to, those of rehearsals included.
fn asked_places(need: &DesiredCert) -> Vec<Slug> {
    match &need.source {
        Source::Acme(authorities) => authorities
            .iter()
            .flat_map(|authority| [Some(authority.issuer.clone()), authority.rehearsal().map(|at| at.issuer)])
            .flatten()
            .collect(),
        Source::Local | Source::Files { .. } => Vec::new(),
    }
}

fn budget(need: &DesiredCert, record: &Record, book: &Inventory, now: Timestamp) -> Option<Budget> {
    let Source::Acme(authorities) = &need.source else { return None };
    let first = authorities.first()?;
    let life = record.held.as_ref().filter(|held| held.validity.holds_at(now)).map(|held| held.validity.lifetime());
    let bucket = book.issuers.get(&first.issuer).and_then(|issuer| issuer.bucket);
    Some(Budget::of(&record.memory.history, life, &first.acme.directory, bucket, now))
}

fn asked_of(need: &DesiredCert) -> String {
    match &need.source {
        Source::Acme(authorities) => authorities.first().map(|authority| authority.acme.directory.clone()).unwrap_or_default(),
        Source::Local => "the local authority".to_owned(),
        Source::Files { chain, .. } => chain.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::base::rng::Rng;
    use crate::certs::desired::needs;
    use crate::certs::fixtures;
    use crate::certs::inventory::{Blame, Failure, Outcome, Parts};
    use crate::certs::rate_limit::Share;
    use crate::config::settings::{Acme, SiteTls};
    use crate::state::history::Ended;
    use crate::state::schema::Pause;

    const NOW: Timestamp = Timestamp::from_unix(1_795_219_200);

    #[test]
    fn a_failed_need_says_what_was_said_and_when_it_is_tried_again() {
        let need = fixtures::acme_need("https://ca.example/dir", &["a.example"]);
        let mut book = Inventory::default();
        let before = statuses(std::slice::from_ref(&need), &book, &CertCache::new(), &Waits::default(), NOW).remove(0);
        assert_eq!((before.state, before.issuer.as_str()), (CertState::Obtaining, "https://ca.example/dir"));
        assert_eq!(why_coming(&need, &book), "it is being obtained from https://ca.example/dir");
        let words = "port 80 is closed".to_owned();
        let parts = Parts { remedy: Some("open it".to_owned()), ..Parts::default() };
        let failure = Failure { issuer: need.id.issuer.clone(), blame: Blame::Name(None), ended: Ended::Unproved, words, parts };
        book.settle(&need.id, Outcome::Failed(failure), NOW, &mut Rng::seeded(1));
        let after = statuses(std::slice::from_ref(&need), &book, &CertCache::new(), &Waits::default(), NOW).remove(0);
        assert_eq!((after.state, after.fails), (CertState::Paused, 1));
        assert_eq!(after.last_error.as_deref(), Some("port 80 is closed"));
        assert_eq!(after.remedy.as_deref(), Some("open it"));
        assert_eq!(after.budget.unwrap().failed_proofs, Share { used: 0, most: 5 }, "no order was begun");
        let next = Timestamp::parse(&after.next_attempt.unwrap()).unwrap();
        assert!(next.since(NOW).as_secs() >= 60 && next.since(NOW).as_secs() <= 75);
        assert_eq!(why_coming(&need, &book), "the last try failed: port 80 is closed");
    }

    #[test]
    fn of_several_authorities_that_are_left_alone_the_one_that_is_waited_for_is_named() {
        let second = fixtures::acme("https://second.example/dir");
        let first = Acme { fallback: vec![second], ..(*fixtures::acme("https://first.example/dir")).clone() };
        let site = fixtures::site(&["a.example"], &SiteTls::Acme(Arc::new(first)));
        let need = needs(&fixtures::settings(vec![site])).remove(0);
        let mut book = Inventory::default();
        for (slot, wait, why) in [(&need.slots()[0], 600, "first is busy"), (&need.slots()[1], 60, "second is busy")] {
            let pause = Some(Pause::starting(NOW, Duration::from_secs(wait)));
            let memory = IssuerMemory { pause, asked: true, why: why.to_owned(), ..IssuerMemory::default() };
            book.issuers.insert(slot.issuer.clone(), memory);
        }
        let why = |book: &Inventory| {
            statuses(std::slice::from_ref(&need), book, &CertCache::new(), &Waits::default(), NOW).remove(0).next_why
        };
        assert_eq!(why(&book), "the authority is left alone: first is busy");
        let record = book.records.entry(need.id.clone()).or_default();
        record.memory.failing_since = Some(NOW - Duration::from_secs(100_000));
        record.memory.failed_at = Some(need.slots()[0].issuer.clone());
        assert_eq!(why(&book), "the authority is left alone: second is busy");
    }

    #[test]
    fn those_who_wait_for_their_turn_are_told_where_they_stand() {
        let needs = ["a.example", "b.example"].map(|name| fixtures::acme_need("https://ca.example/dir", &[name]));
        let all = statuses(&needs, &Inventory::default(), &CertCache::new(), &Waits::default(), NOW);
        assert_eq!(all[0].next_why, "it waits for its turn as number 1; 10 are done at a time");
        assert_eq!(all[1].next_why, "it waits for its turn as number 2; 10 are done at a time");
    }

    #[test]
    fn a_wrong_clock_is_said() {
        let need = fixtures::acme_need("https://ca.example/dir", &["a.example"]);
        let status =
            statuses(&[need], &Inventory::default(), &CertCache::new(), &Waits::default(), Timestamp::from_unix(0)).remove(0);
        assert_eq!(status.state, CertState::Paused);
        assert!(status.next_why.contains("clock says 1970"), "{}", status.next_why);
    }
}
