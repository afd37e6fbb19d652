//! The backends in `doorward status`.

use std::time::Duration;

use crate::admin::api::{TargetLine, UpstreamLine};
use crate::base::duration;
use crate::base::escape::escaped;

/// Characters of a reason that are shown.
const MAX_REASON: usize = 300;

/// One row for each target below its group's name, with its reason below it.
pub(super) fn table(groups: &[UpstreamLine]) -> String {
    let all = || groups.iter().flat_map(|group| &group.targets);
    let width = |cell: fn(&TargetLine) -> String| all().map(|target| cell(target).chars().count()).max().unwrap_or(0);
    let (address_width, state_width) = (width(address), width(|target| target.state.clone()));
    let mut text = String::new();
    for group in groups {
        text.push_str(&format!("upstream {}\n", group.name));
        if let Some(why) = &group.unresolved {
            let why = escaped(why, MAX_REASON);
            text.push_str(&format!("  the addresses known last are used, as names cannot be looked up: {why}\n"));
        }
        for target in &group.targets {
            let (address, state, open) = (address(target), &target.state, target.open);
            text.push_str(&format!("  {address:address_width$}  {state:state_width$}  {open} open\n"));
            if let Some(why) = &target.why {
                let since = target.since_seconds.map(|since| format!("{} ago: ", duration::rough(Duration::from_secs(since))));
                text.push_str(&format!("    {}{}\n", since.unwrap_or_default(), escaped(why, MAX_REASON)));
            }
        }
    }
    text
}

fn address(target: &TargetLine) -> String {
    if target.backup { format!("{} (backup)", target.target) } else { target.target.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_stand_below_their_group_with_their_reasons() {
        let up = TargetLine { target: "10.0.0.1:8000".into(), state: "up".into(), open: 12, ..TargetLine::default() };
        let down = TargetLine {
            target: "10.0.0.2:8000".into(),
            state: "down".into(),
            why: Some("its health check fails: /up answered 500\u{1b}[2J".into()),
            since_seconds: Some(130),
            backup: true,
            ..TargetLine::default()
        };
        assert_eq!(
            table(&[UpstreamLine { name: "app".into(), targets: vec![up, down], unresolved: Some("app.test: SERVFAIL".into()) }]),
            "\
upstream app
  the addresses known last are used, as names cannot be looked up: app.test: SERVFAIL
  10.0.0.1:8000           up    12 open
  10.0.0.2:8000 (backup)  down  0 open
    2min 10s ago: its health check fails: /up answered 500\\x1b[2J
"
        );
        assert_eq!(table(&[]), "");
    }
}
