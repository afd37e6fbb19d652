//! What each certificate may still cost its authority's patience. Pure.

use crate::admin::api::{CertLine, CertsReport, ShareLine};
use crate::certs::preflight::finding::Finding;

const CHECK: &str = "budget";

/// Judges what the running gateway counts, for one name or for all.
pub fn judge(certs: &CertsReport, name: Option<&str>) -> Vec<Finding> {
    let wanted = |line: &&CertLine| name.is_none_or(|name| line.names.iter().any(|own| own.eq_ignore_ascii_case(name)));
    certs.certs.iter().filter(wanted).filter_map(of).collect()
}

fn of(line: &CertLine) -> Option<Finding> {
    let budget = line.budget.as_ref()?;
    let name = line.names.first().map_or("", String::as_str);
    let shares = [
        ("failed validations in an hour", Some(budget.failed_validations_in_hour)),
        ("orders in an hour that came to nothing", Some(budget.failed_orders_in_hour)),
        ("orders in a day that came to nothing", Some(budget.failed_orders_in_day)),
        ("certificates for these names in a week", Some(budget.issued_in_week)),
        ("orders of the whole account", budget.account_orders),
    ];
    let spent = |share: &ShareLine| share.most > 0 && share.used >= share.most;
    let over = shares.iter().find_map(|(what, share)| share.filter(spent).map(|share| (what, share)));
    Some(match over {
        Some((what, share)) => {
            let when = line.next_attempt.as_deref().map(|at| format!(" (next attempt {at})")).unwrap_or_default();
            let seen = format!("{} of {} {what} are used up{when}", share.used, share.most);
            let repair = "do what the other findings say, and wait: the gateway goes on by itself when there is room again";
            Finding::trouble(CHECK, name, seen, "room for one more", repair)
        }
        None => {
            let (proofs, orders) = (budget.failed_validations_in_hour, budget.failed_orders_in_hour);
            let left = |share: ShareLine| share.most.saturating_sub(share.used);
            let seen = format!("{} failed validations and {} orders are left in this hour", left(proofs), left(orders));
            Finding::fine(CHECK, name, seen)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::api::BudgetLine;
    use crate::certs::preflight::finding::Severity;

    #[test]
    fn what_is_used_up_prevents_and_is_named() {
        let share = |used| ShareLine { used, most: 5 };
        let report = |used| {
            let budget = BudgetLine {
                failed_validations_in_hour: share(used),
                failed_orders_in_hour: share(0),
                failed_orders_in_day: share(0),
                issued_in_week: share(0),
                account_orders: None,
            };
            let line = CertLine { names: vec!["a.test".into()], budget: Some(budget), ..CertLine::default() };
            CertsReport { certs: vec![line, CertLine::default()] }
        };
        let found = judge(&report(1), None);
        assert_eq!((found.len(), found[0].weight), (1, Severity::Fine));
        let found = judge(&report(5), Some("A.test"));
        assert!(found[0].weight == Severity::Prevents && found[0].seen.starts_with("5 of 5 failed validations"), "{found:?}");
        assert!(judge(&report(5), Some("b.test")).is_empty());
    }
}
