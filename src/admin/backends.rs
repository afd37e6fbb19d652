//! How the backends stand, as an operator is told.

use std::sync::Arc;

use super::api::{TargetLine, UpstreamLine};
use crate::proxy::upstream::UpstreamGroup;
use crate::proxy::upstream::endpoint::Endpoint;

/// Every group that has a name; of the others those with a target that does not simply work, since there may be thousands
/// of them.
pub(super) fn lines(groups: &[Arc<UpstreamGroup>]) -> Vec<UpstreamLine> {
    let told = |group: &Arc<UpstreamGroup>| {
        let line = line(group);
        (group.settings().is_named() || line.targets.iter().any(|target| target.state != "up")).then_some(line)
    };
    groups.iter().filter_map(told).collect()
}

fn line(group: &UpstreamGroup) -> UpstreamLine {
    let targets = group.roster().members().iter().map(|target| of_target(group, target)).collect();
    let unresolved = group.unresolved().map(|why| String::clone(&why));
    UpstreamLine { name: group.settings().name.clone(), targets, unresolved }
}

fn of_target(group: &UpstreamGroup, target: &Endpoint) -> TargetLine {
    let standing = target.standing(group.settings());
    TargetLine {
        target: target.label().to_owned(),
        state: standing.state.to_owned(),
        why: standing.why,
        since_seconds: standing.since.map(|since| since.as_secs()),
        open: target.in_flight(),
        backup: target.target().backup,
    }
}
