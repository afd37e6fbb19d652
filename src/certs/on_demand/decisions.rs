//! What was said of names a short while ago, so that the endpoint is not asked again for each handshake. Bounded; pure.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::ask::Decision;
use crate::base::name::HostName;

/// Names remembered. A flood of made-up ones pushes the eldest out.
const MAX_DECISIONS: usize = 10_000;
/// A name that was refused is asked about again after so long: a customer who has just been entered does not wait longer.
const UNWANTED: Duration = Duration::from_secs(60);
/// So long nobody asks an endpoint again that gave no answer.
const SILENT: Duration = Duration::from_secs(10);
/// While a name is being obtained, nobody needs to ask again.
const WANTED: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    held: HashMap<HostName, (Instant, Result<(), Arc<str>>)>,
    /// As they came.
    order: VecDeque<HostName>,
}

impl Decisions {
    /// What is known of a name, if it was said lately: that it is wanted, or in words why it is not served.
    pub(super) fn of(&self, name: &HostName, now: Instant) -> Option<Result<(), Arc<str>>> {
        self.held.get(name).filter(|(until, _)| now < *until).map(|(_, said)| said.clone())
    }

    /// Takes in what was said of a name.
    pub(super) fn note(&mut self, name: &HostName, verdict: &Decision, now: Instant) -> Result<(), Arc<str>> {
        let (span, said) = match verdict {
            Decision::Wanted => (WANTED, Ok(())),
            Decision::Unwanted(status) => (
                UNWANTED,
                Err(format!("the endpoint of `on-demand ask` answered {}, so nothing is ordered", status.as_u16()).into()),
            ),
            Decision::Silent(words) => {
                (SILENT, Err(format!("the endpoint of `on-demand ask` could not be asked: {words}").into()))
            }
        };
        if self.held.insert(name.clone(), (now + span, said.clone())).is_none() {
            self.order.push_back(name.clone());
        }
        while self.order.len() > MAX_DECISIONS {
            let eldest = self.order.pop_front();
            eldest.map(|eldest| self.held.remove(&eldest));
        }
        said
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn name(n: usize) -> HostName {
        HostName::parse(&format!("n{n}.example")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_is_not_asked_about_again_for_a_minute() {
        let (mut verdicts, start) = (Decisions::default(), Instant::now());
        assert_eq!(verdicts.of(&name(1), start), None);
        verdicts.note(&name(1), &Decision::Unwanted(StatusCode::NOT_FOUND), start).unwrap_err();
        verdicts.note(&name(2), &Decision::Silent("x".into()), start).unwrap_err();
        verdicts.note(&name(3), &Decision::Wanted, start).unwrap();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(verdicts.of(&name(1), after(59)).unwrap().unwrap_err().contains("answered 404"));
        assert_eq!(verdicts.of(&name(1), after(60)), None);
        assert!(verdicts.of(&name(2), after(9)).is_some() && verdicts.of(&name(2), after(10)).is_none());
        assert_eq!(verdicts.of(&name(3), after(59)), Some(Ok(())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_names_takes_no_more_than_its_room() {
        let (mut verdicts, now) = (Decisions::default(), Instant::now());
        for n in 0..3 * MAX_DECISIONS {
            let _refused = verdicts.note(&name(n), &Decision::Unwanted(StatusCode::FORBIDDEN), now);
        }
        assert_eq!((verdicts.len(), verdicts.order.len()), (MAX_DECISIONS, MAX_DECISIONS));
        assert!(verdicts.of(&name(3 * MAX_DECISIONS - 1), now).is_some() && verdicts.of(&name(0), now).is_none());
    }
}
