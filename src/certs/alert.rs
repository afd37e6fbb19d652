//! What an operator is woken for, when, and in which words. Pure; [`send`] carries it out.

use std::time::Duration;

use serde::Serialize;

use crate::base::time::{Timestamp, Validity, Window};
use crate::state::schema::Renewal;

pub mod send;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Less than a sixth of a certificate's life is left, and no successor came.
    CertificateInDanger,
    /// An authority wants certificates replaced at once, long before their time: it has revoked them, or is about to.
    CertificateRecalled,
    /// The loop that renews certificates stands still.
    RenewalStalled,
    /// Nothing can be written to the state folder.
    StateNotWritable,
    /// This machine's clock is wrong, so that certificates cannot be ordered or are taken for due.
    ClockWrong,
}

/// An alarm as the operator's program or service gets it, in less than 4 KiB of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertMessage {
    /// What is wrong.
    pub event: AlertKind,
    /// When it was noticed, as RFC 3339.
    pub time: String,
    /// The certificates' names, as many as there is room for.
    pub names: Vec<String>,
    /// How many more there are.
    pub more: usize,
    /// When the first of them ends, as RFC 3339.
    pub not_after: Option<String>,
    /// All of it in a sentence. Chat services show the field of this name.
    pub text: String,
}

/// An alarm is repeated after this for as long as its reason stands.
const AGAIN: Duration = Duration::from_secs(86_400);
/// Bytes of names in an alarm.
const NAMES: usize = 1_024;
/// Characters of its sentence.
const TEXT: usize = 600;

/// Whether an alarm that was last raised at `last` is due. One raised in the future was raised under a wrong clock.
pub fn is_due(last: Option<Timestamp>, now: Timestamp) -> bool {
    last.is_none_or(|last| now.since(last) >= AGAIN || last > now + AGAIN)
}

/// Whether less than a sixth of a life is left.
pub fn is_in_danger(validity: Validity, now: Timestamp) -> bool {
    validity.not_after.since(now) < validity.lifetime() / 6
}

/// Whether a window just heard calls a certificate back: it is over, and the certificate's own time has not come. Said
/// once for each window, because `before` then holds it.
pub fn is_recall(before: &Renewal, window: Window, now: Timestamp) -> bool {
    !before.recalled && before.window != Some(window) && window.end() <= now && now < before.backstop
}

impl AlertMessage {
    /// One alarm for all of `names`; `why` is what was said of the first.
    pub fn new(event: AlertKind, names: &[String], not_after: Option<Timestamp>, why: &str, now: Timestamp) -> Self {
        let mut room = NAMES;
        let fits = |name: &&String| room.checked_sub(name.len()).inspect(|left| room = *left).is_some();
        let shown: Vec<String> = names.iter().take_while(fits).cloned().collect();
        let more = names.len() - shown.len();
        let subject = match (names, names.len()) {
            ([], _) => String::new(),
            ([first, ..], 1) => format!(" of {first}"),
            ([first, ..], count) => format!(" of {first} and {} more", count - 1),
        };
        let ends = not_after.map(|at| format!(" (the first ends at {at})")).unwrap_or_default();
        let text = match event {
            AlertKind::CertificateInDanger => format!("doorward cannot renew the certificate{subject}{ends}: {why}"),
            AlertKind::CertificateRecalled => format!("doorward replaces the certificate{subject} before its time: {why}"),
            AlertKind::RenewalStalled => format!("doorward renews no certificates any more: {why}"),
            AlertKind::StateNotWritable => format!("doorward cannot write its state: {why}"),
            AlertKind::ClockWrong => format!("the clock of this machine is wrong: {why}"),
        };
        let text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT).collect();
        Self { event, time: now.to_string(), names: shown, more, not_after: not_after.map(|at| at.to_string()), text }
    }

    /// As it is sent.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("an alarm is plain text and numbers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix(1_800_000_000 + seconds)
    }

    #[test]
    fn an_alarm_is_raised_once_a_day() {
        let check = |last: Option<i64>, now, expected| assert_eq!(is_due(last.map(at), at(now)), expected, "{last:?} at {now}");
        check(None, 0, true);
        check(Some(0), 86_399, false);
        check(Some(0), 86_400, true);
        check(Some(40_000), 0, false);
        check(Some(900_000), 0, true);
    }

    #[test]
    fn danger_begins_with_a_sixth_of_life_left_whatever_the_lifetime() {
        for life in [60, 6 * 86_400, 90 * 86_400] {
            let validity = Validity { not_before: at(0), not_after: at(life) };
            assert!(!is_in_danger(validity, at(life - life / 6)));
            assert!(is_in_danger(validity, at(life - life / 6 + 1)));
            assert!(is_in_danger(validity, at(life + 1)));
        }
    }

    #[test]
    fn a_window_in_the_past_is_a_recall_once_and_only_before_the_time() {
        let window = |start, end| Window::new(at(start), at(end)).unwrap();
        let renewal = |seen: Option<Window>| Renewal {
            serial: String::new(),
            backstop: at(1_000),
            renew_at: at(1_000),
            recheck_at: None,
            window: seen,
            recalled: false,
        };
        assert!(is_recall(&renewal(None), window(0, 10), at(100)));
        assert!(!is_recall(&renewal(Some(window(0, 10))), window(0, 10), at(200)));
        assert!(!is_recall(&renewal(None), window(0, 500), at(100)), "a window that is open");
        assert!(!is_recall(&renewal(None), window(0, 10), at(1_000)), "it was due anyway");
        let moved = Renewal { recalled: true, ..renewal(Some(window(0, 10))) };
        assert!(!is_recall(&moved, window(60, 70), at(160)), "the window moves along with each answer");
    }

    #[test]
    fn an_alarm_says_all_in_less_than_a_pipe_takes() {
        let names: Vec<String> = (0..500).map(|n| format!("{n}.{}.example", "a".repeat(60))).collect();
        let long = AlertMessage::new(AlertKind::CertificateInDanger, &names, Some(at(0)), &"\u{7}\u{fffd}".repeat(5_000), at(0));
        assert!(long.to_json().len() < 4_096, "{}", long.to_json().len());
        assert_eq!(long.names.len() + long.more, 500);
        let short = AlertMessage::new(AlertKind::StateNotWritable, &[], None, "the disk is full", at(0));
        let expected = concat!(
            r#"{"event":"state_not_writable","time":"2027-01-15T08:00:00Z","names":[],"more":0,"not_after":null,"#,
            r#""text":"doorward cannot write its state: the disk is full"}"#
        );
        assert_eq!(short.to_json(), expected);
    }
}
