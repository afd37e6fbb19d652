//! Looks the names of a group's targets up again and again, and has the group go on with the addresses that are found. Where no
//! answer comes, the last good one stays in force; an answer that there is no address is none, since a group without targets
//! would serve nobody, and the targets' own failures show soon enough whether they are gone.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::base::error_chain::ErrorChain;
use crate::base::name::HostName;
use crate::config::settings::{Resolve, TargetAddress, TargetScheme, Upstream};
use crate::net::system_resolver::SystemResolver;
use crate::proxy::upstream::UpstreamGroup;
use crate::proxy::upstream::dns_discovery::ResolvedAddr;
use crate::telemetry::log::events;

mod answer;

use answer::System;

/// After a lookup that came to nothing.
const AGAIN: Duration = Duration::from_secs(5);
/// Between two lookups of a name whose targets fail: what fails may have moved, and its old TTL says nothing of that.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// A group's names.
pub(super) struct Lookups {
    rule: Resolve,
    system: System,
    names: Vec<Lookup>,
}

struct Lookup {
    name: HostName,
    /// How its targets are spoken to, in a URL's word.
    scheme: &'static str,
    due: Instant,
    /// When it was looked up last.
    looked: Instant,
    /// Why it could not be, when it was.
    fails: Option<String>,
}

impl Lookups {
    /// The names of a group that asks for it, each due at once.
    pub(super) fn of(settings: &Upstream, resolver: &SystemResolver) -> Option<Self> {
        let rule = settings.resolve.clone()?;
        let mut names: Vec<Lookup> = Vec::new();
        for target in &settings.targets {
            // `localhost` is dialled at both loopback addresses, whichever the system's resolver knows of.
            if let TargetAddress::Name(name, _) = &target.address
                && target.address.loopback_port().is_none()
                && !names.iter().any(|known| known.name == *name)
            {
                let (name, now) = (name.clone(), Instant::now());
                let scheme = if target.scheme == TargetScheme::Https { "https" } else { "http" };
                names.push(Lookup { name, scheme, due: now, looked: now, fails: None });
            }
        }
        Some(Self { rule, system: System::new(resolver.clone()), names })
    }

    fn unresolved(&self) -> Option<String> {
        let told: Vec<String> = self.names.iter().filter_map(Lookup::told).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// Looks up what is due, until the group's targets have changed.
    pub(super) async fn until_moved(&mut self, group: &UpstreamGroup) {
        loop {
            let Some(due) = self.names.iter().map(|lookup| lookup.due).min() else { return std::future::pending().await };
            tokio::select! {
                () = sleep_until(due) => (),
                () = group.doubted() => {
                    for lookup in &mut self.names {
                        lookup.due = lookup.due.min(lookup.looked + MIN_INTERVAL);
                    }
                    continue;
                }
            }
            let mut moved = false;
            for lookup in self.names.iter_mut().filter(|lookup| lookup.due <= Instant::now()) {
                moved |= lookup.look(&self.system, &self.rule, group).await;
            }
            group.set_unresolved(self.unresolved());
            if moved {
                return;
            }
        }
    }
}

impl Lookup {
    /// In words, when it could not be looked up.
    fn told(&self) -> Option<String> {
        Some(format!("{}: {}", self.name.as_str(), self.fails.as_ref()?))
    }

    /// Whether the group's targets have changed.
    async fn look(&mut self, system: &System, rule: &Resolve, group: &UpstreamGroup) -> bool {
        let answer = answer::spots(system, rule, &self.name, self.scheme).await;
        self.looked = Instant::now();
        match answer {
            Ok(found) => {
                self.due = self.looked + found.good_for;
                self.worked(group);
                self.found(group, &found.spots)
            }
            Err(error) => {
                self.due = self.looked + AGAIN;
                self.failed(group, ErrorChain(&error).to_string());
                false
            }
        }
    }

    fn found(&self, group: &UpstreamGroup, spots: &[ResolvedAddr]) -> bool {
        let Some(moved) = group.found(&self.name, spots) else { return false };
        let (group, name) = (group.settings().name.as_str(), self.name.as_str());
        let (came, left) = (moved.came.join(", "), moved.left.join(", "));
        tracing::info!(event = events::ADDRESSES_CHANGED, group, name, came, left, "{name} has other addresses than before");
        true
    }

    fn failed(&mut self, group: &UpstreamGroup, error: String) {
        if self.fails.is_none() {
            let (group, name) = (group.settings().name.as_str(), self.name.as_str());
            tracing::warn!(
                event = events::LOOKUP_FAILED,
                group,
                name,
                error,
                "the addresses known last stay in use: check the name, and that its name server answers"
            );
        }
        self.fails = Some(error);
    }

    fn worked(&mut self, group: &UpstreamGroup) {
        if self.fails.take().is_some() {
            let (group, name) = (group.settings().name.as_str(), self.name.as_str());
            tracing::info!(event = events::LOOKUP_WORKS, group, name, "the name is answered again");
        }
    }
}
