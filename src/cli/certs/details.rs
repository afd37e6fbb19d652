//! All that is known of one certificate, a fact a line.

use super::table::{MAX_ERROR, relative};
use crate::admin::api::{BudgetLine, CertLine, ShareLine};
use crate::base::escape::escaped;
use crate::base::time::Timestamp;

/// Characters of a name of an issuer or of a reason.
const MAX_SHOWN: usize = 500;

/// The certificate on a page.
pub(super) fn page(line: &CertLine, now: Timestamp) -> String {
    let mut text = format!("{}\n", line.names.join(", "));
    for (name, value) in facts(line, now) {
        text.push_str(&format!("  {name:10}  {}\n", escaped(&value, MAX_ERROR)));
    }
    text
}

fn facts(line: &CertLine, now: Timestamp) -> Vec<(&'static str, String)> {
    let at = |text: &str| format!("{text} ({})", relative(text, now));
    let mut facts = vec![("state", line.state.clone()), ("comes from", line.from.clone())];
    match &line.expires {
        Some(expires) => {
            let serial = line.serial.as_deref().unwrap_or("unknown");
            facts.push(("held", format!("of {}, serial {serial}, until {}", escaped(&line.issuer, MAX_SHOWN), at(expires))));
        }
        None => facts.push(("held", "none".to_owned())),
    }
    match (&line.next_attempt, line.next_why.as_str()) {
        (Some(next), why) => facts.push(("next", format!("{}: {why}", at(next)))),
        (None, "") => (),
        (None, why) => facts.push(("next", why.to_owned())),
    }
    if let Some(challenge) = &line.challenge {
        facts.push(("proved by", challenge.clone()));
    }
    if let Some(window) = &line.window {
        let again =
            window.asked_again.as_deref().map(|again| format!("; asked again {}", relative(again, now))).unwrap_or_default();
        facts.push(("window", format!("its authority wants it renewed from {} to {}{again}", window.start, window.end)));
    }
    if let Some(budget) = &line.budget {
        facts.extend(budgets(budget));
    }
    if line.unsaved {
        facts.push(("stored", "in memory only: the state folder cannot be written".to_owned()));
    }
    facts.extend(line.notes.iter().map(|note| ("note", note.clone())));
    if let Some(error) = &line.last_error {
        facts.push(match line.failures {
            // Certificate files, and what is seen without a try.
            0 => ("seen", error.clone()),
            1 => ("failed", format!("once, at last: {error}")),
            times => ("failed", format!("{times} times in a row, at last: {error}")),
        });
    }
    if let Some(remedy) = &line.remedy {
        facts.push(("to do", remedy.clone()));
    }
    if let Some(alarmed) = &line.alarmed {
        facts.push(("alarm", format!("raised {}: its life runs out, and no successor came", at(alarmed))));
    }
    facts
}

fn budgets(budget: &BudgetLine) -> Vec<(&'static str, String)> {
    let share = |share: ShareLine| format!("{} of {}", share.used, share.most);
    let name = format!(
        "used up: {} failed validations an hour, {} failed orders an hour, {} a day, {} certificates a week",
        share(budget.failed_validations_in_hour),
        share(budget.failed_orders_in_hour),
        share(budget.failed_orders_in_day),
        share(budget.issued_in_week),
    );
    let account = budget.account_orders.map(|orders| ("account", format!("used up: {} orders", share(orders))));
    std::iter::once(("budget", name)).chain(account).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::WindowLine;

    #[test]
    fn a_page_tells_what_happened_what_is_left_and_what_to_do() {
        let now = Timestamp::parse("2026-11-21T00:00:00Z").unwrap();
        let share = |used, most| ShareLine { used, most };
        let budget = BudgetLine {
            failed_validations_in_hour: share(2, 5),
            failed_orders_in_hour: share(2, 6),
            failed_orders_in_day: share(3, 10),
            issued_in_week: share(1, 4),
            account_orders: Some(share(12, 300)),
        };
        let window = WindowLine {
            start: "2027-01-10T00:00:00Z".into(),
            end: "2027-01-12T00:00:00Z".into(),
            asked_again: Some("2026-11-21T06:00:00Z".into()),
        };
        let line = CertLine {
            names: vec!["a.example".into(), "b.example".into()],
            state: "renewing".into(),
            issuer: "Let's Encrypt E7".into(),
            from: "https://ca.example/dir".into(),
            expires: Some("2026-11-23T00:00:00Z".into()),
            serial: Some("0a1b".into()),
            next_attempt: Some("2026-11-21T01:00:00Z".into()),
            next_why: "the wait after a failure".into(),
            challenge: Some("http-01".into()),
            window: Some(window),
            budget: Some(budget),
            failures: 2,
            last_error: Some("no\u{1b}[2J route".into()),
            remedy: Some("open port 80".into()),
            alarmed: Some("2026-11-20T00:00:00Z".into()),
            ..CertLine::default()
        };
        let expected = "\
a.example, b.example
  state       renewing
  comes from  https://ca.example/dir
  held        of Let's Encrypt E7, serial 0a1b, until 2026-11-23T00:00:00Z (in 2d)
  next        2026-11-21T01:00:00Z (in 1h): the wait after a failure
  proved by   http-01
  window      its authority wants it renewed from 2027-01-10T00:00:00Z to 2027-01-12T00:00:00Z; asked again in 6h
  budget      used up: 2 of 5 failed validations an hour, 2 of 6 failed orders an hour, 3 of 10 a day, 1 of 4 certificates a week
  account     used up: 12 of 300 orders
  failed      2 times in a row, at last: no\\x1b[2J route
  to do       open port 80
  alarm       raised 2026-11-20T00:00:00Z (1d ago): its life runs out, and no successor came
";
        assert_eq!(page(&line, now), expected);
        assert!(page(&CertLine { names: vec!["c.example".into()], ..CertLine::default() }, now).contains("held        none"));
    }
}
