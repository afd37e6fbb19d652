use super::*;
use crate::base::rng::Rng;

const RULE: CircuitBreaker =
    CircuitBreaker { percent: 50, least: 4, within: Duration::from_millis(1000), out: Duration::from_millis(300) };

/// What became of exchanges at one time, `+` and `-` for each; `o` and `c` behind the one by which the circuit opened or closed,
/// and `x` for one that was not let through.
fn run(breaker: &Breaker, now: u64, results: &str) -> String {
    let one = |result: char| match breaker.enter(|| now, &RULE) {
        None => "x",
        Some(pass) => match breaker.note(pass, result == '-', now, &RULE) {
            None => "",
            Some(Change::Opened(_)) => "o",
            Some(Change::Closed) => "c",
        },
    };
    results.chars().map(|result| format!("{result}{}", one(result))).collect()
}

#[test]
fn a_share_of_enough_samples_opens_the_circuit() {
    let check = |results: &str, expected: &str| assert_eq!(run(&Breaker::default(), 100, results), expected);
    check("---", "---");
    check("----", "----o");
    check("++--", "++--o");
    check("+++--", "+++--");
    check("+++---+-", "+++---o+x-x");
    check("+-+-++", "+-+-o+x+x");
}

#[test]
fn failures_of_long_ago_do_not_count() {
    let breaker = Breaker::default();
    assert_eq!(run(&breaker, 100, "---"), "---");
    assert_eq!(run(&breaker, 1100, "-"), "-", "both halves have passed");
    assert_eq!(run(&breaker, 1600, "--"), "--", "one has");
    assert_eq!(run(&breaker, 1600, "-"), "-o");
}

#[test]
fn one_request_decides_when_the_time_is_over() {
    let breaker = Breaker::default();
    assert_eq!(run(&breaker, 100, "----"), "----o");
    assert_eq!(run(&breaker, 399, "+"), "+x");
    let Some(trial @ Pass::Trial(_)) = breaker.enter(|| 400, &RULE) else { panic!("the time is over") };
    assert_eq!(run(&breaker, 410, "+"), "+x", "one is under way");
    assert_eq!(breaker.note(trial, true, 450, &RULE), None);
    assert_eq!(breaker.circuit(), Circuit::Open { until: 750 });
    breaker.leave(trial, || 460);
    assert_eq!(run(&breaker, 749, "+"), "+x", "what has decided gives nothing back");
    assert_eq!(run(&breaker, 750, "+---"), "+c---", "it begins anew, with no samples");
    assert_eq!(run(&breaker, 750, "-"), "-o");
}

#[test]
fn a_request_that_cannot_decide_lets_another_one() {
    let breaker = Breaker::default();
    assert_eq!(run(&breaker, 100, "----"), "----o");
    let left = breaker.enter(|| 400, &RULE).unwrap();
    breaker.leave(left, || 410);
    let slow = breaker.enter(|| 410, &RULE).unwrap();
    assert_eq!(breaker.circuit(), Circuit::HalfOpen { until: 710 });
    assert_eq!(run(&breaker, 710, "+"), "+c", "nobody waits for the slow one for ever");
    assert_eq!(breaker.note(slow, true, 720, &RULE), None);
    assert_eq!(breaker.circuit(), Circuit::Closed, "and it is not heard any more");
}

#[test]
fn what_began_before_the_circuit_opened_says_nothing() {
    let breaker = Breaker::default();
    let early: Vec<Pass> = (0..4).map(|_| breaker.enter(|| 100, &RULE).unwrap()).collect();
    assert_eq!(run(&breaker, 100, "----"), "----o");
    for (pass, failed) in early.into_iter().zip([false, true, true, true]) {
        assert_eq!(breaker.note(pass, failed, 150, &RULE), None);
    }
    assert_eq!(breaker.circuit(), Circuit::Open { until: 400 });
    assert_eq!(run(&breaker, 400, "+---"), "+c---", "and does not count when it has closed");
}

/// Follows random worlds beside a list of every sample, in which nothing is packed, halved or shared.
#[test]
fn the_share_is_that_of_every_sample_in_the_two_halves() {
    for seed in 0..200 {
        let mut rng = Rng::seeded(seed);
        let mut below = |bound: u64| rng.roll() % bound;
        let rule = CircuitBreaker {
            percent: 1 + u32::try_from(below(100)).unwrap(),
            least: 1 + u32::try_from(below(30)).unwrap(),
            within: Duration::from_millis(1 + below(5000)),
            out: Duration::from_millis(1 + below(5000)),
        };
        let half = millis(rule.within).div_ceil(2).max(1);
        let ill = below(101);
        let (breaker, mut all, mut now) = (Breaker::default(), Vec::new(), 1 + below(10_000));
        for _ in 0..400 {
            now += below(half / 4 + 2);
            let (before, failed) = (breaker.circuit(), below(100) < ill);
            let pass = breaker.enter(|| now, &rule);
            match (before, pass) {
                (Circuit::Closed, Some(pass @ Pass::Free)) => {
                    all.push((now / half, failed));
                    let near: Vec<bool> = all.iter().filter(|(at, _)| at + 1 >= now / half).map(|(_, failed)| *failed).collect();
                    let (seen, bad) = (near.len(), near.iter().filter(|failed| **failed).count());
                    let share = bad as f64 / seen as f64 * 100.0;
                    let opens = failed && seen >= rule.least as usize && share >= f64::from(rule.percent);
                    let change = breaker.note(pass, failed, now, &rule);
                    assert_eq!(change.is_some(), opens, "{bad} of {seen}, seed {seed}, {rule:?}");
                    if let Some(Change::Opened(samples)) = change {
                        assert_eq!((samples.seen() as usize, samples.failed() as usize), (seen, bad));
                        all.clear();
                    }
                }
                (Circuit::Open { until }, Some(pass @ Pass::Trial(_))) => {
                    assert!(now >= until, "not before its time");
                    assert!(breaker.enter(|| now, &rule).is_none(), "one at a time");
                    let closes = breaker.note(pass, failed, now, &rule) == Some(Change::Closed);
                    assert_eq!((closes, breaker.circuit() == Circuit::Closed), (!failed, !failed));
                }
                (Circuit::Open { until }, None) => assert!(now < until),
                other => panic!("{other:?}, seed {seed}"),
            }
        }
    }
}

#[test]
fn a_busy_target_is_judged_by_the_same_share() {
    let mut samples = Samples::default();
    for n in 0..1_000_000_u32 {
        samples = samples.after(1, n % 5 == 0, &RULE);
        assert_eq!(Samples::unpacked(samples.packed()), samples);
    }
    let share = samples.failed() * 1000 / samples.seen();
    assert!(samples.seen() > 2000 && (195..=205).contains(&share), "{share} of 1000 in {samples:?}");
}

#[test]
fn numbers_read_back_and_a_clock_may_be_a_little_behind() {
    for circuit in [Circuit::Closed, Circuit::Open { until: 1 }, Circuit::HalfOpen { until: u64::MAX >> 1 }] {
        assert_eq!(Circuit::unpacked(circuit.packed()), circuit);
    }
    let ahead = Samples::default().after(500, true, &RULE);
    assert_eq!(ahead.after(499, true, &RULE).failed(), 2);
}
