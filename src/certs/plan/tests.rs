//! The planner in scripted worlds: `tests/scenarios/*.txt` each tell of a CA, some names and some months, and say what
//! must have come of it. One line is one step:
//!
//! ```text
//! need NAME...             the settings ask for these, one certificate each      need 1000 names
//! life SPAN                what the CA issues from now on lives this long
//! ca up | down | refuses NAME | busy SPAN | windows SPAN   (ask again after SPAN; `windows off`)
//! staging up | down        the CA's staging directory, which refuses the same names and issues to the others
//! second | second down     another CA, behind the first one
//! ca revokes NAME | all    the next renewal window lies in the past
//! ca windows SPAN for old ones   certificates issued from now on have none
//! ca limits orders         before the first need: the CA is Let's Encrypt, and counts new orders as it does
//! ca limits NAME SPAN      it refuses this name and wants no other try before then
//! ca spoils NAME           its certificates can never be used
//! broken NAME | repaired NAME   the CA cannot validate it, and our own look sees why
//! lose NAME                the certificate held is gone
//! clock wrong | right      1970, and back
//! clock ahead SPAN         ours alone: the CA goes on by its own
//! ca calls back everything the window of each certificate lies in the past, and moves along with each answer
//! run SPAN                 time goes by, looked at as often as the manager would
//! jump SPAN | back SPAN    the wall clock jumps
//! restart | reload | renew NAME
//! expect rehearsals NAME N..M | second NAME N..M
//! expect orders NAME N..M | busiest-week NAME N..M | tries NAME N..M | refused-orders N..M | unproved NAME N..M | asks N..M | held NAME | not held NAME | busiest-hour NAME N..M | unproved-hour NAME N..M
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::base::duration;
use crate::base::name::Identifier;
use crate::base::rng::Rng;
use crate::base::time::{Validity, Window};
use crate::certs::desired::Authority;
use crate::certs::fixtures::acme;
use crate::certs::inventory::{Blame, Failure, Held, Outcome, Parts};
use crate::certs::preflight::recheck::{NameWays, Provable};
use crate::config::settings::{Acme, ChallengeKind, Place};
use crate::state::history::Ended;
use crate::state::pem_store::Slot;

const CA: &str = "https://ca.example/dir";
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
const STAGING: &str = "https://staging.ca.example/dir";
const SECOND: &str = "https://second.example/dir";

struct World {
    now: Timestamp,
    /// How far our clock is ahead of the CA's.
    ahead: Duration,
    /// The first authority's directory.
    ca: &'static str,
    /// Time as it really went by, which the CA counts in.
    real: i64,
    needs: Vec<DesiredCert>,
    book: Inventory,
    rng: Rng,
    life: Duration,
    up: bool,
    busy_until: i64,
    refused: BTreeSet<String>,
    revoked: BTreeSet<String>,
    spoilt: BTreeSet<String>,
    calls_back: bool,
    /// Names that cannot be validated, as can be seen from here.
    broken: BTreeSet<String>,
    /// Until when, in real time, the CA wants nothing about a name.
    limited: BTreeMap<String, i64>,
    /// The CA's own count of new orders, if it has one, and what it refused by it.
    left: Option<f64>,
    left_at: i64,
    refused_orders: usize,
    tries: BTreeMap<String, Vec<i64>>,
    /// Whether each of each of the other directories is up, if there is one.
    staging: Option<bool>,
    second: Option<bool>,
    rehearsals: BTreeMap<String, Vec<i64>>,
    of_second: BTreeMap<String, Vec<i64>>,
    windows: Option<Duration>,
    /// Certificates issued now have windows, too.
    windows_anew: bool,
    orders: BTreeMap<String, Vec<i64>>,
    unproved: BTreeMap<String, Vec<i64>>,
    asks: u64,
    asked_while_busy: u64,
    serial: u64,
}

impl World {
    fn new() -> Self {
        Self {
            now: EARLIEST + Duration::from_secs(86_400),
            ahead: Duration::ZERO,
            ca: CA,
            real: 0,
            needs: Vec::new(),
            book: Inventory::default(),
            rng: Rng::seeded(20_261_121),
            life: Duration::from_secs(90 * 86_400),
            up: true,
            busy_until: 0,
            refused: BTreeSet::new(),
            revoked: BTreeSet::new(),
            spoilt: BTreeSet::new(),
            calls_back: false,
            broken: BTreeSet::new(),
            limited: BTreeMap::new(),
            left: None,
            left_at: 0,
            refused_orders: 0,
            tries: BTreeMap::new(),
            staging: None,
            second: None,
            rehearsals: BTreeMap::new(),
            of_second: BTreeMap::new(),
            windows: None,
            windows_anew: true,
            orders: BTreeMap::new(),
            unproved: BTreeMap::new(),
            asks: 0,
            asked_while_busy: 0,
            serial: 0,
        }
    }

    fn need(&mut self, name: &str) {
        let names = vec![Identifier::parse(name).unwrap()];
        let id = Slot { issuer: Slug::of_url(self.ca), name: Slug::of_names(&names) };
        let rehearsal = self.staging.map(|_| STAGING.to_owned());
        let mut authorities = vec![Authority::new(Arc::new(Acme { rehearsal, ..(*acme(self.ca)).clone() }))];
        authorities.extend(self.second.map(|_| Authority::new(acme(SECOND))));
        self.needs.push(DesiredCert {
            id,
            names,
            source: Source::Acme(authorities),
            default: false,
            on_demand: false,
            at: Place::default(),
        });
    }

    fn id(&self, name: &str) -> Slot {
        self.needs.iter().find(|need| need.names[0].to_string() == name).expect("a needed name").id.clone()
    }

    /// The manager's loop, with a check interval that grows with what it has to get through.
    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        let longest = Duration::from_secs((span.as_secs() / 1_000).clamp(60, 6 * 3_600));
        let needs = std::mem::take(&mut self.needs);
        while self.now < end {
            let plan = plan(&needs, &self.book, self.now);
            let quiet = plan.actions.is_empty();
            for action in plan.actions {
                self.perform(&action);
            }
            let shortest = Duration::from_secs(1);
            let pause = match quiet {
                true if longest.as_secs() > 60 => longest,
                true => plan.wake.since(self.now).clamp(shortest, longest),
                false => shortest,
            };
            let next = (self.now + pause).min(end);
            self.real += next.unix() - self.now.unix();
            self.now = next;
        }
        self.needs = needs;
    }

    fn perform(&mut self, action: &Action<'_>) {
        let need = action.need();
        let name = need.names[0].to_string();
        self.book.begin(&need.id, action.doing());
        self.asked_while_busy += u64::from(self.real < self.busy_until);
        let outcome = match action {
            Action::AskWindow { .. } => self.answer_window(&name),
            Action::Look { .. } => {
                let kinds = if self.broken.contains(&name) { Vec::new() } else { vec![ChallengeKind::Http01] };
                let ways = NameWays { name: need.names[0].clone(), possible: kinds.clone(), seen: kinds, addresses: Vec::new() };
                Outcome::Looked(Some(Provable(vec![ways])))
            }
            Action::Rehearse { .. } => self.answer_rehearsal(&name),
            Action::Issue { from, .. } if from.acme.directory == SECOND => self.answer_second(&name),
            Action::Issue { .. } | Action::Make { .. } => {
                self.book.records.get_mut(&need.id).expect("begun").memory.history.begin(self.now);
                self.answer_order(&need.id, &name)
            }
        };
        self.book.settle(&need.id, outcome, self.now, &mut self.rng);
    }

    fn answer_window(&mut self, name: &str) -> Outcome {
        self.asks += 1;
        let a_day = Duration::from_secs(86_400);
        match self.windows {
            Some(again) if self.calls_back => {
                Outcome::Window(Window::new(self.cas_now() - a_day * 3, self.cas_now() - a_day * 2), again)
            }
            Some(again) if self.up => {
                let past = Window::new(Timestamp::from_unix(0), Timestamp::from_unix(1));
                Outcome::Window(past.filter(|_| self.revoked.contains(name)), again)
            }
            _ => Outcome::WindowUnknown(None),
        }
    }

    fn answer_rehearsal(&mut self, name: &str) -> Outcome {
        let fail = |blame, ended| {
            Outcome::Failed(Failure {
                issuer: Slug::of_url(STAGING),
                blame,
                ended,
                words: "no".to_owned(),
                parts: Parts::default(),
            })
        };
        match self.staging {
            Some(true) => self.rehearsals.entry(name.to_owned()).or_default().push(self.real),
            Some(false) | None => return fail(Blame::Issuer(None), Ended::NoOrder),
        }
        if self.refused.contains(name) || self.broken.contains(name) {
            fail(Blame::Name(None), Ended::Unproved)
        } else {
            Outcome::Rehearsed
        }
    }

    fn answer_second(&mut self, name: &str) -> Outcome {
        if self.second != Some(true) {
            let words = "no".to_owned();
            let (issuer, blame) = (Slug::of_url(SECOND), Blame::Issuer(None));
            return Outcome::Failed(Failure { issuer, blame, ended: Ended::NoOrder, words, parts: Parts::default() });
        }
        self.of_second.entry(name.to_owned()).or_default().push(self.real);
        Outcome::Issued(self.issue(SECOND))
    }

    fn cas_now(&self) -> Timestamp {
        self.now - self.ahead
    }

    fn issue(&mut self, directory: &str) -> Held {
        self.serial += 1;
        let validity = Validity { not_before: self.cas_now(), not_after: self.cas_now() + self.life };
        let has_window = self.windows.is_some() && self.windows_anew && directory == self.ca;
        Held { issuer: Slug::of_url(directory), validity, serial: self.serial.to_string(), has_window }
    }

    fn answer_order(&mut self, id: &Slot, name: &str) -> Outcome {
        let issuer = Slug::of_url(self.ca);
        let fail = |blame, ended| {
            let (words, parts) = ("no".to_owned(), Parts::default());
            Outcome::Failed(Failure { issuer: issuer.clone(), blame, ended, words, parts })
        };
        self.tries.entry(name.to_owned()).or_default().push(self.real);
        if !self.up {
            return fail(Blame::Issuer(None), Ended::NoOrder);
        }
        if let Some(until) = self.limited.get(name).filter(|until| self.real < **until) {
            let left = Duration::from_secs(u64::try_from(until - self.real).unwrap());
            return fail(Blame::Limited(self.now + left), Ended::NoOrder);
        }
        if !self.count_order() {
            return fail(Blame::Issuer(None), Ended::NoOrder);
        }
        if self.real < self.busy_until {
            let left = Duration::from_secs(u64::try_from(self.busy_until - self.real).unwrap());
            return fail(Blame::Issuer(Some(self.now + left)), Ended::NoOrder);
        }
        self.orders.entry(name.to_owned()).or_default().push(self.real);
        if self.refused.contains(name) || self.broken.contains(name) {
            // One try is two orders: the other challenge follows at once.
            let history = &mut self.book.records.get_mut(id).expect("begun").memory.history;
            history.end(Ended::Unproved);
            let orders =
                if history.full_until(5, Duration::from_secs(3_600), self.now, Ended::is_unproved).is_some() { 1 } else { 2 };
            if orders == 2 {
                history.begin(self.now);
                self.orders.entry(name.to_owned()).or_default().push(self.real);
            }
            self.unproved.entry(name.to_owned()).or_default().extend(vec![self.real; orders]);
            return fail(Blame::Name(None), Ended::Unproved);
        }
        if self.spoilt.contains(name) {
            return fail(Blame::Name(None), Ended::Unusable);
        }
        self.revoked.remove(name);
        // A bundle is proved by the clock of the CA, too, before it is taken.
        Outcome::Issued(self.issue(self.ca))
    }

    /// One more order, counted by us and by the CA; whether the CA takes it.
    fn count_order(&mut self) -> bool {
        let Some(limit) = rate_limit::order_limit(self.ca) else { return true };
        let memory = self.book.issuers.entry(Slug::of_url(self.ca)).or_default();
        memory.bucket = Some(limit.take(memory.bucket, self.now));
        let back = (self.real - self.left_at) as f64 / limit.refill.as_secs_f64();
        let left = (self.left.unwrap_or_else(|| f64::from(limit.burst)) + back).min(f64::from(limit.burst));
        (self.left, self.left_at) = (Some((left - 1.0).max(0.0)), self.real);
        // A sum of many fractions is never quite what it should be.
        let taken = left > 1.0 - 1e-6;
        self.refused_orders += usize::from(!taken);
        taken
    }

    fn names(&self) -> Vec<String> {
        self.needs.iter().map(|need| need.names[0].to_string()).collect()
    }

    fn restart(&mut self) {
        for record in self.book.records.values_mut() {
            *record = Record::restore(record.held.clone(), record.memory.clone(), self.now, &mut self.rng);
        }
    }

    fn held(&self, name: &str) -> bool {
        let held = self.book.records.get(&self.id(name)).and_then(|record| record.held.as_ref());
        held.is_some_and(|held| held.validity.holds_at(self.now))
    }

    fn step(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let span = |text: &str| duration::parse(text).ok_or_else(|| format!("`{text}` is no span"));
        match words[..] {
            ["need", count, "names"] => {
                (0..count.parse::<u32>().map_err(|e| e.to_string())?).for_each(|n| self.need(&format!("n{n}.example")));
            }
            ["need", ref names @ ..] => names.iter().for_each(|name| self.need(name)),
            ["drop", name] => self.needs.retain(|need| need.names[0].to_string() != name),
            ["life", life] => self.life = span(life)?,
            ["staging", how] => self.staging = Some(how == "up"),
            ["second"] => self.second = Some(true),
            ["second", how] => self.second = Some(how == "up"),
            ["ca", "up"] => (self.up, self.refused) = (true, BTreeSet::new()),
            ["ca", "down"] => self.up = false,
            ["ca", "refuses", name] => _ = self.refused.insert(name.to_owned()),
            ["ca", "revokes", "all"] => self.revoked = self.names().into_iter().collect(),
            ["ca", "limits", "orders"] => self.ca = LETS_ENCRYPT,
            ["ca", "limits", name, length] => {
                let until = self.real + i64::try_from(span(length)?.as_secs()).unwrap();
                self.limited.insert(name.to_owned(), until);
            }
            ["ca", "spoils", name] => _ = self.spoilt.insert(name.to_owned()),
            ["ca", "revokes", name] => _ = self.revoked.insert(name.to_owned()),
            ["ca", "busy", length] => self.busy_until = self.real + i64::try_from(span(length)?.as_secs()).unwrap(),
            ["ca", "windows", "off"] => self.windows = None,
            ["ca", "windows", again] => self.windows = Some(span(again)?),
            ["ca", "windows", again, "for", "old", "ones"] => (self.windows, self.windows_anew) = (Some(span(again)?), false),
            ["run", length] => self.run(span(length)?),
            ["jump", length] => {
                self.now = self.now + span(length)?;
                self.real += i64::try_from(span(length)?.as_secs()).unwrap();
            }
            ["back", length] => self.now = self.now - span(length)?,
            ["clock", "wrong"] => self.now = Timestamp::from_unix(0),
            ["clock", "right"] if self.ahead.is_zero() => self.now = Timestamp::from_unix(EARLIEST.unix() + 86_400 + self.real),
            ["clock", "right"] => (self.now, self.ahead) = (self.cas_now(), Duration::ZERO),
            ["clock", "ahead", length] => (self.now, self.ahead) = (self.cas_now() + span(length)?, span(length)?),
            ["broken", name] => _ = self.broken.insert(name.to_owned()),
            ["repaired", name] => _ = self.broken.remove(name),
            ["ca", "calls", "back", "everything"] => self.calls_back = true,
            ["lose", name] => {
                let id = self.id(name);
                self.book.records.entry(id).or_default().held = None;
            }
            ["restart"] => self.restart(),
            ["reload"] => self.book.take_heart(self.needs.iter().map(|need| need.id.clone()).collect::<Vec<_>>().into_iter()),
            ["renew", name] => {
                let id = self.id(name);
                self.book.records.entry(id).or_default().asked = true;
            }
            ["expect", ref expected @ ..] => return self.expect(expected),
            _ => return Err("unknown step".to_owned()),
        }
        Ok(())
    }

    fn expect(&self, words: &[&str]) -> Result<(), String> {
        let of = |counts: &BTreeMap<String, Vec<i64>>, name: &str| counts.get(name).cloned().unwrap_or_default();
        let total = |counts: &BTreeMap<String, Vec<i64>>| counts.values().map(Vec::len).sum::<usize>();
        let within = |found: usize, range: &str| {
            let (least, most) = range.split_once("..").unwrap_or((range, range));
            let fits = found >= least.parse().unwrap_or(0) && found <= most.parse().unwrap_or(usize::MAX);
            if fits { Ok(()) } else { Err(format!("found {found}")) }
        };
        match words {
            ["rehearsals", name, range] => within(of(&self.rehearsals, name).len(), range),
            ["second", name, range] => within(of(&self.of_second, name).len(), range),
            ["tries", name, range] => within(of(&self.tries, name).len(), range),
            ["refused-orders", range] => within(self.refused_orders, range),
            ["busiest-week", name, range] => within(busiest(&of(&self.orders, name), 7 * 86_400), range),
            ["orders", "all", range] => within(total(&self.orders), range),
            ["orders", name, range] => within(of(&self.orders, name).len(), range),
            ["unproved", name, range] => within(of(&self.unproved, name).len(), range),
            ["busiest-hour", name, range] => within(busiest(&of(&self.orders, name), 3_600), range),
            ["unproved-hour", name, range] => within(busiest(&of(&self.unproved, name), 3_600), range),
            ["busiest-day", name, range] => within(busiest(&of(&self.orders, name), 86_400), range),
            ["busiest-day", range] => {
                let mut all: Vec<i64> = self.orders.values().flatten().copied().collect();
                all.sort_unstable();
                within(busiest(&all, 86_400), range)
            }
            ["asks", range] => within(usize::try_from(self.asks).unwrap(), range),
            ["asked-while-busy", range] => within(usize::try_from(self.asked_while_busy).unwrap(), range),
            ["held", "all"] => {
                let lost = self.needs.iter().map(|need| need.names[0].to_string()).find(|name| !self.held(name));
                lost.map_or(Ok(()), |name| Err(format!("{name} is not")))
            }
            ["held", name] => self.held(name).then_some(()).ok_or_else(|| "it is not".to_owned()),
            ["not", "held", name] => (!self.held(name)).then_some(()).ok_or_else(|| "it is".to_owned()),
            _ => Err("unknown expectation".to_owned()),
        }
    }
}

/// Most moments within any `length` seconds.
fn busiest(moments: &[i64], length: i64) -> usize {
    moments.iter().map(|first| moments.iter().filter(|at| (*first..*first + length).contains(*at)).count()).max().unwrap_or(0)
}

#[test]
fn every_scripted_world_ends_as_it_says() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
    let scripts: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!scripts.is_empty());
    // Each on a thread of its own: the years of a thousand names take the longest.
    std::thread::scope(|scope| {
        for path in &scripts {
            scope.spawn(|| live(path));
        }
    });
}

fn live(script: &std::path::Path) {
    let mut world = World::new();
    for (number, line) in std::fs::read_to_string(script).unwrap().lines().enumerate() {
        let step = line.split('#').next().unwrap_or("").trim();
        if !step.is_empty() {
            world.step(step).unwrap_or_else(|why| panic!("{}:{}: {step}: {why}", script.display(), number + 1));
        }
    }
}

#[test]
fn renewals_go_before_first_time_names_and_ten_at_a_time() {
    let mut world = World::new();
    world.step("need 30 names").unwrap();
    let id = world.needs[29].id.clone();
    let held = Held {
        issuer: Slug::of_url(CA),
        validity: Validity { not_before: EARLIEST, not_after: EARLIEST + Duration::from_secs(90 * 86_400) },
        serial: "1".to_owned(),
        has_window: false,
    };
    world.book.settle(&id, Outcome::Issued(held), EARLIEST, &mut world.rng);
    let planned = plan(&world.needs, &world.book, EARLIEST + Duration::from_secs(70 * 86_400));
    assert_eq!(planned.actions.len(), rate_limit::AT_A_TIME);
    assert_eq!(planned.actions[0].need().id, id);
}

#[test]
fn a_certificate_that_begins_in_the_future_is_made_or_ordered_again() {
    let mut world = World::new();
    world.step("need a.example").unwrap();
    let mut local = world.needs[0].clone();
    local.source = Source::Local;
    let needs = [world.needs[0].clone(), local];
    let now = world.now;
    let planned = |book: &Inventory, need: &DesiredCert| match next(need, book, now) {
        Next::Act(Action::Make { why, .. } | Action::Issue { why, .. }) => Some(why),
        Next::Act(Action::Rehearse { .. } | Action::AskWindow { .. } | Action::Look { .. }) | Next::Wait(..) | Next::Nothing => {
            None
        }
    };
    for (ahead, acme, made) in
        [(0, None, None), (60, None, Some(Why::NotYetValid)), (7_200, Some(Why::NotYetValid), Some(Why::NotYetValid))]
    {
        let not_before = now + Duration::from_secs(ahead);
        let validity = Validity { not_before, not_after: not_before + Duration::from_secs(90 * 86_400) };
        let held = Held { issuer: Slug::of_url(CA), validity, serial: "1".to_owned(), has_window: false };
        let mut book = Inventory::default();
        book.settle(&needs[0].id, Outcome::Issued(held), now, &mut world.rng);
        assert_eq!((planned(&book, &needs[0]), planned(&book, &needs[1])), (acme, made), "{ahead} s ahead");
    }
}

/// Lives with the first certificate of a name for `days` by the authority's clock, ours being `off` seconds ahead of it until
/// `set_right_at`, and looks every hour; the hours at which one was ordered.
fn ordered_under(off: i64, days: i64, set_right_at: Option<i64>) -> (Vec<i64>, World) {
    let mut world = World::new();
    world.step("need a.example").unwrap();
    let id = world.needs[0].id.clone();
    let start = EARLIEST + Duration::from_secs(300 * 86_400);
    let mut ordered = Vec::new();
    for hour in 0..days * 24 {
        let real = start + Duration::from_secs(u64::try_from(hour * 3_600).unwrap());
        let off = if set_right_at.is_some_and(|day| day * 24 <= hour) { 0 } else { off };
        let now = Timestamp::from_unix(real.unix() + off);
        world.book.trust_the_clock(now);
        let Next::Act(action @ Action::Issue { .. }) = next(&world.needs[0], &world.book, now) else { continue };
        ordered.push(hour);
        let doing = action.doing();
        world.book.begin(&id, doing);
        let not_before = real - Duration::from_secs(3_600);
        let validity = Validity { not_before, not_after: not_before + Duration::from_secs(90 * 86_400) };
        let held = Held { issuer: Slug::of_url(CA), validity, serial: hour.to_string(), has_window: false };
        world.book.settle(&id, Outcome::Issued(held), now, &mut world.rng);
    }
    (ordered, world)
}

#[test]
fn under_a_wrong_clock_a_certificate_is_ordered_once_and_again_when_it_is_due_by_the_authoritys() {
    const DAY: i64 = 86_400;
    for off in [-100 * DAY, -10 * DAY, -DAY, 0, DAY, 30 * DAY, 100 * DAY, 3_650 * DAY] {
        let (ordered, world) = ordered_under(off, 61, None);
        assert!((2..=4).contains(&ordered.len()) && ordered[0] == 0, "{off}: {ordered:?}");
        assert!(ordered[1] >= 10 * 24, "{off}: {ordered:?}");
        let words = world.book.records[&world.needs[0].id].memory.last_error.as_ref().map(|error| error.words.as_str());
        // One that is a little behind has come to the certificate's begin meanwhile.
        let seen = if off < -61 * DAY {
            Some("not valid yet; it is kept")
        } else {
            (off > 90 * DAY).then_some("expired already; it is kept")
        };
        assert!(seen.is_none_or(|seen| words.is_some_and(|words| words.contains(seen))), "{off}: {words:?}");
    }
    // One that is set right finds a certificate that is valid, and no reason to doubt.
    for off in [-10 * DAY, -DAY, 100 * DAY, 3_650 * DAY] {
        let (ordered, world) = ordered_under(off, 40, Some(3));
        assert_eq!(ordered, [0], "{off}");
        let memory = &world.book.records[&world.needs[0].id].memory;
        assert_eq!((memory.pause, memory.last_error.as_ref()), (None, None), "{off}");
    }
    // Ten years behind nothing is ordered at all until it is set.
    assert_eq!(ordered_under(-3_650 * DAY, 5, Some(3)).0, [72]);
}
