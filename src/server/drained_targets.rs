//! Targets that the operator takes out, as before a deploy, until he takes them back or the process ends. A reload keeps
//! them out.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::proxy::snapshot::Snapshot;
use crate::proxy::upstream::UpstreamGroup;
use crate::proxy::upstream::endpoint::Endpoint;

/// See the module; by their addresses as logs write them.
#[derive(Debug, Default)]
pub struct Drains(RefCell<BTreeSet<String>>);

/// What became of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Its address as logs write it.
    pub target: String,
    /// The groups it is in.
    pub groups: Vec<String>,
    /// Requests and tunnels open on it.
    pub open: u32,
}

/// No group has such a target.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no upstream has a target `{target}`; there are: {known}")]
pub struct UnknownTarget {
    target: String,
    known: String,
}

impl Drains {
    /// Keeps out of a new snapshot what was out of the one before.
    pub(super) fn keep(&self, snapshot: &Snapshot) {
        let out = self.0.borrow();
        if out.is_empty() {
            return;
        }
        for (group, target) in targets(snapshot) {
            if out.contains(target.label()) {
                group.set_drained(&target, true);
            }
        }
    }

    pub(super) fn set(&self, snapshot: &Snapshot, written: &str, drained: bool) -> Result<Drained, UnknownTarget> {
        let wanted = normal(written);
        let found: Vec<(Arc<UpstreamGroup>, Arc<Endpoint>)> =
            targets(snapshot).filter(|(_, target)| is_written(target, &wanted)).collect();
        let Some((_, first)) = found.first() else { return Err(unknown(snapshot, written)) };
        let target = first.label().to_owned();
        for (group, target) in &found {
            group.set_drained(target, drained);
            if drained {
                self.0.borrow_mut().insert(target.label().to_owned());
            } else {
                self.0.borrow_mut().remove(target.label());
            }
        }
        let groups = found.iter().map(|(group, _)| group.settings().name.clone()).collect();
        Ok(Drained { target, groups, open: found.iter().map(|(_, target)| target.in_flight()).sum() })
    }
}

fn targets(snapshot: &Snapshot) -> impl Iterator<Item = (Arc<UpstreamGroup>, Arc<Endpoint>)> {
    let of_group = |group: &Arc<UpstreamGroup>| {
        let members: Vec<Arc<Endpoint>> = group.roster().members().to_vec();
        let group = Arc::clone(group);
        members.into_iter().map(move |member| (Arc::clone(&group), member))
    };
    snapshot.clusters().iter().flat_map(of_group)
}

/// As a configuration may write it: a port alone is one of this machine.
fn normal(written: &str) -> String {
    let port = written.strip_prefix(':').unwrap_or(written);
    match port.parse::<u16>() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) => written.to_ascii_lowercase(),
    }
}

fn is_written(target: &Endpoint, wanted: &str) -> bool {
    let is_there = target.at().is_some_and(|at| at.to_string() == wanted);
    is_there || target.label().eq_ignore_ascii_case(wanted) || target.target().to_string().eq_ignore_ascii_case(wanted)
}

/// Names a few of those there are.
fn unknown(snapshot: &Snapshot, written: &str) -> UnknownTarget {
    const SHOWN: usize = 20;
    let known: BTreeSet<String> = targets(snapshot).map(|(_, target)| target.label().to_owned()).collect();
    let more = if known.len() > SHOWN { format!(", and {} more", known.len() - SHOWN) } else { String::new() };
    let known = if known.is_empty() { "none".to_owned() } else { known.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ") };
    UnknownTarget { target: written.chars().take(200).collect(), known: known + &more }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::Environment;
    use crate::config::resolve::from_text;
    use crate::proxy::upstream::PickContext;
    use crate::proxy::upstream::tls::TlsTrust;

    fn snapshot(text: &str, before: Option<&Snapshot>) -> Snapshot {
        let settings = from_text("", text, &Environment::default()).unwrap_or_else(|report| panic!("{report}")).settings;
        let trust = TlsTrust::new(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        Snapshot::build(&settings, before, &trust).unwrap()
    }

    fn chosen(snapshot: &Snapshot) -> BTreeSet<String> {
        let group = &snapshot.clusters()[0];
        let leases = (0..8).filter_map(|_| group.pick(PickContext::default()));
        leases.map(|lease| lease.member().label().to_owned()).collect()
    }

    const TEXT: &str = "upstream app {\n to 3000 10.0.0.1:80\n}\na.example {\n proxy app\n}\nb.example {\n proxy 3000\n}\n";

    #[test]
    fn a_drained_target_gets_nothing_new_until_it_is_taken_back() {
        let (drains, served) = (Drains::default(), snapshot(TEXT, None));
        let lease = std::iter::from_fn(|| served.clusters()[0].pick(PickContext::default()))
            .find(|lease| lease.member().label() == "127.0.0.1:3000")
            .unwrap();
        let drained = drains.set(&served, "3000", true).unwrap();
        assert_eq!((drained.target.as_str(), drained.open), ("127.0.0.1:3000", 1));
        assert_eq!(drained.groups, ["app", "127.0.0.1:3000"]);
        assert_eq!(chosen(&served), ["10.0.0.1:80".to_owned()].into());
        let state = || lease.member().standing(served.clusters()[0].settings()).state;
        assert_eq!(state(), "draining");

        let reloaded = snapshot(&TEXT.replace("app {", "app {\n tls insecure\n to https://a"), Some(&served));
        drains.keep(&reloaded);
        assert!(!chosen(&reloaded).contains("127.0.0.1:3000"), "also when the reload made another target of it");
        drains.set(&served, ":3000", false).unwrap();
        assert_eq!((chosen(&served).len(), state()), (2, "up"));
        let again = snapshot(TEXT, None);
        drains.keep(&again);
        assert_eq!(chosen(&again).len(), 2);
    }

    #[test]
    fn an_unknown_target_is_told_from_those_there_are() {
        let error = Drains::default().set(&snapshot(TEXT, None), "10.0.0.2", true).unwrap_err();
        assert_eq!(error.to_string(), "no upstream has a target `10.0.0.2`; there are: 10.0.0.1:80, 127.0.0.1:3000");
    }
}
