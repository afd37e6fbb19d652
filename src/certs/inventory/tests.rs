//! What outcomes do to records.

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000 + seconds)
}

fn id() -> Slot {
    Slot { issuer: Slug::parse("ca").unwrap(), name: Slug::parse("a.example").unwrap() }
}

fn held(life: i64) -> Held {
    let validity = Validity { not_before: at(0), not_after: at(life) };
    Held { issuer: id().issuer, validity, serial: "01".to_owned(), has_window: true }
}

fn issued(life: i64, seed: u64) -> Inventory {
    let mut book = Inventory::default();
    book.settle(&id(), Outcome::Issued(held(life)), at(0), &mut Rng::seeded(seed));
    book
}

fn renewal(book: &Inventory) -> &Renewal {
    book.records[&id()].memory.renewal.as_ref().unwrap()
}

fn fail(book: &mut Inventory, blame: Blame, now: i64) -> i64 {
    let failure = Failure { issuer: id().issuer, blame, ended: Ended::Failed, words: "no".to_owned(), parts: Parts::default() };
    book.settle(&id(), Outcome::Failed(failure), at(now), &mut Rng::seeded(1));
    book.records[&id()].memory.pause.unwrap().until.unix() - at(now).unix()
}

#[test]
fn renewal_is_a_fraction_of_life_whatever_the_lifetime() {
    for (life, latest_share) in [(60, 0.5), (160 * 3_600, 0.5), (45 * 86_400, 2.0 / 3.0), (398 * 86_400, 2.0 / 3.0)] {
        for seed in 0..50 {
            let share = (renewal(&issued(life, seed)).renew_at.unix() - at(0).unix()) as f64 / life as f64;
            assert!(share <= latest_share + 0.02 && share >= latest_share - 0.1, "life {life}: {share}");
        }
    }
}

#[test]
fn certificates_of_one_moment_renew_over_at_least_a_twentieth_of_their_life() {
    let life = 90 * 86_400;
    let moments: Vec<i64> = (0..100).map(|seed| renewal(&issued(life, seed * 7_919)).renew_at.unix()).collect();
    let spread = moments.iter().max().unwrap() - moments.iter().min().unwrap();
    assert!(spread >= life / 20, "{spread}");
}

#[test]
fn a_window_is_taken_once_and_never_beyond_the_backstop() {
    let mut book = issued(90 * 86_400, 1);
    let backstop = renewal(&book).backstop;
    let hear = |book: &mut Inventory, start, end, again, seed| {
        let outcome = Outcome::Window(Window::new(at(start), at(end)), Duration::from_secs(again));
        book.settle(&id(), outcome, at(100), &mut Rng::seeded(seed));
        renewal(book).clone()
    };
    let first = hear(&mut book, 1_000, 2_000, 21_600, 5);
    assert!(first.renew_at >= at(1_000) && first.renew_at <= at(2_000));
    assert_eq!(first.recheck_at, Some(at(100 + 21_600)));
    assert_eq!(hear(&mut book, 1_000, 2_000, 5, 6), Renewal { recheck_at: Some(at(160)), ..first.clone() });
    assert_eq!(hear(&mut book, 2_000, 1_000, 9_999_999, 7), Renewal { recheck_at: Some(at(86_500)), ..first });
    assert_eq!(hear(&mut book, 50, 51, 60, 8).window, Window::new(at(50), at(51)), "one second is a window");
    assert_eq!(hear(&mut book, 900 * 86_400, 901 * 86_400, 60, 9).renew_at, backstop);
}

#[test]
fn a_failing_name_is_tried_after_minutes_then_after_hours_then_daily() {
    let mut inventory = Inventory::default();
    let waits: Vec<i64> = (0..6).map(|n| fail(&mut inventory, Blame::Name(None), n * 1_000)).collect();
    for (wait, (least, most)) in waits.iter().zip([(60, 75), (600, 750), (6_000, 7_500), (86_400, 108_000), (86_400, 108_000)]) {
        assert!(*wait >= least && *wait <= most, "{waits:?}");
    }
}

#[test]
fn what_an_authority_asks_is_kept_within_reason() {
    assert_eq!(fail(&mut Inventory::default(), Blame::Name(Some(at(3_600))), 0), 3_600);
    assert_eq!(fail(&mut Inventory::default(), Blame::Limited(at(i64::MAX / 2)), 0), 7 * 86_400);
    assert_eq!(fail(&mut Inventory::default(), Blame::Issuer(Some(at(-5))), 0), 1);
    assert_eq!(fail(&mut Inventory::default(), Blame::Issuer(Some(at(i64::MAX / 2))), 0), 7 * 86_400);
}

#[test]
fn one_name_that_upsets_an_authority_does_not_hold_up_the_others() {
    let mut book = Inventory::default();
    let pause = |book: &Inventory| book.issuers[&id().issuer].pause.map(|pause| pause.until.unix() - pause.since.unix());
    for _ in 0..2 {
        fail(&mut book, Blame::Issuer(None), 0);
        assert_eq!(pause(&book), None);
    }
    for _ in 0..20 {
        fail(&mut book, Blame::Issuer(None), 0);
    }
    assert!(pause(&book).unwrap() <= 75);
    book.settle(&id(), Outcome::Issued(held(1_000)), at(1), &mut Rng::seeded(1));
    assert_eq!(pause(&book), None);
}

#[test]
fn a_person_who_acts_ends_our_own_pauses_but_not_the_authoritys() {
    let mut inventory = Inventory::default();
    fail(&mut inventory, Blame::Person, 0);
    inventory.take_heart([id()].into_iter());
    assert_eq!(inventory.records[&id()].memory.pause, None);
    fail(&mut inventory, Blame::Issuer(Some(at(3_600))), 0);
    inventory.take_heart([id()].into_iter());
    assert!(inventory.issuers[&id().issuer].pause.is_some());
    fail(&mut inventory, Blame::Limited(at(3_600)), 0);
    inventory.take_heart([id()].into_iter());
    assert!(inventory.records[&id()].memory.pause.is_some());
}

#[test]
fn an_authority_that_asks_for_days_of_silence_about_windows_gets_them() {
    let mut book = issued(90 * 86_400, 1);
    for (until, expected) in [(3 * 86_400, 3 * 86_400), (900 * 86_400, 7 * 86_400)] {
        book.settle(&id(), Outcome::WindowUnknown(Some(at(until))), at(0), &mut Rng::seeded(1));
        assert_eq!(renewal(&book).recheck_at, Some(at(expected)));
    }
    book.settle(&id(), Outcome::WindowUnknown(Some(at(1))), at(0), &mut Rng::seeded(1));
    assert!(renewal(&book).recheck_at.unwrap() >= at(21_600), "and one that asks for a second is not asked all the time");
}

#[test]
fn the_emptier_of_two_buckets_is_the_later_one() {
    let limit = OrderLimit { burst: 300, refill: Duration::from_secs(36), reserve: 50 };
    let mut book = Inventory::default();
    for left in [299, 297, 298] {
        book.count(&id().issuer, limit, Bucket { left, at: at(0) }, at(0));
    }
    assert_eq!(book.issuers[&id().issuer].bucket, Some(Bucket { left: 297, at: at(0) }));
}

#[test]
fn a_renewal_moment_never_outlives_its_certificate() {
    let mut memory = issued(90 * 86_400, 1).records[&id()].memory.clone();
    memory.renewal.as_mut().unwrap().renew_at = at(7);
    let same = Record::restore(Some(held(1)), memory.clone(), at(9), &mut Rng::seeded(2));
    assert_eq!(same.memory.renewal.unwrap().renew_at, at(7));
    let other = Held { serial: "02".to_owned(), ..held(86_400) };
    let other = Record::restore(Some(other), memory.clone(), at(9), &mut Rng::seeded(2));
    assert_ne!(other.memory.renewal.unwrap().renew_at, at(7));
    assert_eq!(Record::restore(None, memory, at(9), &mut Rng::seeded(2)).memory.renewal, None);
}

#[test]
fn a_window_in_the_past_leads_to_one_order_and_then_to_growing_waits() {
    let mut book = issued(90 * 86_400, 1);
    let day = 86_400;
    let mut now = 100;
    let mut waits = Vec::new();
    for _ in 0..5 {
        let past = |now: i64| Outcome::Window(Window::new(at(now - 3 * day), at(now - 2 * day)), Duration::from_secs(60));
        book.settle(&id(), past(now), at(now), &mut Rng::seeded(1));
        let moment = renewal(&book).renew_at;
        waits.push(moment.since(at(now)).as_secs());
        // The window moves along with each answer, and the moment stays.
        book.settle(&id(), past(now + 60), at(now + 60), &mut Rng::seeded(2));
        assert_eq!(renewal(&book).renew_at, moment);
        now = moment.unix().max(at(now).unix()) - at(0).unix();
        book.settle(
            &id(),
            Outcome::Issued(Held { serial: now.to_string(), ..held(90 * day + now) }),
            at(now),
            &mut Rng::seeded(1),
        );
    }
    for (wait, least) in waits.iter().zip([0, 3_600, 4 * 3_600, 16 * 3_600, 86_400]) {
        assert!((least..=least * 5 / 4).contains(wait), "{waits:?}");
    }
    // An authority that is content again begins anew.
    book.settle(&id(), Outcome::Window(None, Duration::from_secs(60)), at(now), &mut Rng::seeded(1));
    assert_eq!(book.records[&id()].memory.recalls, 0);
}

#[test]
fn a_certificate_that_is_due_as_it_comes_is_blamed_on_the_clock_and_not_ordered_again() {
    let mut book = Inventory::default();
    let (life, ahead) = (30 * 86_400, 25 * 86_400);
    book.begin(&id(), Doing::Issuing(id().issuer));
    book.settle(&id(), Outcome::Issued(held(life)), at(ahead), &mut Rng::seeded(1));
    let memory = &book.records[&id()].memory;
    let pause = memory.pause.unwrap();
    assert_eq!(pause.holds(at(ahead + 60)), Some(at(ahead + (life - ahead) / 2)));
    assert!(memory.last_error.as_ref().unwrap().words.contains("by this machine's clock"), "{memory:?}");
    assert_eq!(pause.holds(at(0)), None, "a clock that is right again ends it");
    // One that comes in time is not doubted.
    book.begin(&id(), Doing::Issuing(id().issuer));
    book.settle(&id(), Outcome::Issued(held(life)), at(60), &mut Rng::seeded(1));
    let memory = &book.records[&id()].memory;
    assert_eq!((memory.pause, &memory.last_error), (None, &None));
}
