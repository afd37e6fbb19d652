//! The targets of a cluster as they are at one moment, and the choice among them. Immutable; when targets come or go,
//! another roster takes its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::endpoint::{Endpoint, EndpointAddr};
use super::health::Admission;
use super::pick::{self, Candidate, Candidates, PickContext};
use super::sticky::CookieTag;
use crate::config::settings::{Balance, Resolve, Upstream};

/// See the module.
#[derive(Debug)]
pub struct EndpointSet {
    members: Box<[Arc<Endpoint>]>,
    /// One round of the smooth round robin.
    order: Box<[u16]>,
    /// Whether some are for when the others are down.
    has_backups: bool,
}

impl EndpointSet {
    /// Members at these places; who was in `before` keeps what is known of him.
    pub(super) fn new(places: &[EndpointAddr<'_>], tag: impl Fn(&str) -> Option<CookieTag>, before: Option<&Self>) -> Self {
        let known = |place: EndpointAddr<'_>| before?.members.iter().find(|member| member.is_at(place));
        let member = |place: &EndpointAddr<'_>| match known(*place) {
            None => Arc::new(Endpoint::new(*place, &tag, Arc::default())),
            Some(known) => {
                let next = Endpoint::new(*place, &tag, Arc::clone(known.state()));
                if next.is_like(known) { Arc::clone(known) } else { Arc::new(next) }
            }
        };
        let weights: Vec<u32> = places.iter().map(|place| place.weight).collect();
        Self {
            members: places.iter().map(member).collect(),
            order: pick::smooth_order(&weights),
            has_backups: places.iter().any(|place| place.backup),
        }
    }

    /// Where the targets of `settings` are, as far as `before` knows.
    pub(super) fn places<'a>(settings: &'a Upstream, before: Option<&Self>) -> Vec<EndpointAddr<'a>> {
        let mut places = Vec::new();
        for target in &settings.targets {
            let members = before.filter(|_| settings.resolve.is_some()).into_iter().flat_map(|before| &before.members);
            let found = members.filter(|member| member.is_of(target) && member.at().is_some());
            let known = places.len();
            // Weight and rank of a service are found with its address.
            let by_service = matches!(settings.resolve, Some(Resolve::Srv(_)));
            places.extend(found.map(|member| {
                let own = if by_service { member.place() } else { target.into() };
                EndpointAddr { target, at: member.at(), ..own }
            }));
            if places.len() == known {
                places.push(target.into());
            }
        }
        places
    }

    /// Whether the other has the very same members.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.members.len() == other.members.len() && self.members.iter().zip(&other.members).all(|(a, b)| Arc::ptr_eq(a, b))
    }

    /// Its targets, in the order of the settings.
    pub const fn members(&self) -> &[Arc<Endpoint>] {
        &self.members
    }

    /// Who gets the next request: the best of those that are up; backups only when no other is; and when none is, one of
    /// those that merely failed lately, since trying costs less than refusing.
    pub(super) fn choose(&self, settings: &Upstream, turn: &AtomicUsize, wish: PickContext<'_>) -> Option<&Arc<Endpoint>> {
        if let Some(pinned) = wish.cookie.and_then(|cookie| self.pinned(settings, wish, cookie)) {
            return Some(pinned);
        }
        if let [only] = &*self.members {
            let open = !wish.tried.contains(&only.id()) && only.admission(settings, wish.roll) != Admission::Closed;
            return open.then_some(only);
        }
        let turn = match (&settings.balance, wish.key) {
            (Balance::RoundRobin, _) | (Balance::Hash(_), None) => turn.fetch_add(1, Ordering::Relaxed),
            (Balance::LeastConnections | Balance::Random, _) | (Balance::Hash(_), Some(_)) => 0,
        };
        let ranks: &[bool] = if self.has_backups { &[false, true] } else { &[false] };
        let among = |least, backup| self.among(&Choice { roster: self, settings, wish, least, backup }, turn);
        let chosen = [Admission::Open, Admission::LastResort]
            .into_iter()
            .flat_map(|least| ranks.iter().map(move |backup| (least, *backup)))
            .find_map(|(least, backup)| among(least, backup))?;
        self.members.get(chosen)
    }

    /// The target that a client came to before, unless it is not to be used now; however warm it is.
    fn pinned(&self, settings: &Upstream, wish: PickContext<'_>, cookie: &str) -> Option<&Arc<Endpoint>> {
        let member = self.members.iter().find(|member| member.tag().is_some_and(|tag| tag.is(cookie)))?;
        let usable = member.state().admission(settings, || 0) == Admission::Open && !wish.tried.contains(&member.id());
        usable.then_some(member)
    }

    fn among(&self, choice: &Choice<'_>, turn: usize) -> Option<usize> {
        match (&choice.settings.balance, choice.wish.key) {
            (Balance::LeastConnections, _) => pick::least_busy(choice, choice.wish.roll),
            (Balance::Random, _) => pick::two_choices(choice, choice.wish.roll),
            (Balance::Hash(_), Some(key)) => pick::by_key(choice, key),
            (Balance::RoundRobin | Balance::Hash(_), _) => pick::in_turn(choice, &self.order, turn),
        }
    }
}

/// The members as one request may have them.
struct Choice<'a> {
    roster: &'a EndpointSet,
    settings: &'a Upstream,
    wish: PickContext<'a>,
    /// The least that is good enough.
    least: Admission,
    backup: bool,
}

impl Candidates for Choice<'_> {
    fn count(&self) -> usize {
        self.roster.members.len()
    }

    fn at(&self, i: usize) -> Candidate {
        self.roster.members[i].candidate(self.is_open(i))
    }

    fn is_open(&self, i: usize) -> bool {
        let member = &self.roster.members[i];
        // A key's number is its own, so that a target that warms up takes over key by key.
        let number = self.wish.key.unwrap_or(self.wish.roll);
        member.target().backup == self.backup
            && !self.wish.tried.contains(&member.id())
            && member.admission(self.settings, number) >= self.least
    }
}
