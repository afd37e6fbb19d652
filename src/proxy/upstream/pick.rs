//! Which of several targets is next (pure). Every function gives `None` only when no candidate is open. Nothing is
//! allocated: candidates are read one by one, and may change while they are read, since other workers use them too.

use std::cmp::Ordering;

/// What a choice depends on besides the cluster.
#[derive(Clone, Copy, Debug, Default)]
pub struct PickContext<'a> {
    /// One roll of the rng.
    pub roll: u64,
    /// What [`key::of`](super::hash_key::of) makes of the request.
    pub key: Option<u64>,
    /// The value of the cookie that the settings name as sticky.
    pub cookie: Option<&'a str>,
    /// Members that were tried for this request and are not wanted again, by [`Endpoint::id`](super::endpoint::Endpoint::id).
    pub tried: &'a [u64],
}

/// What a choice needs to know of a target.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Its share among its like; at least 1.
    pub weight: u32,
    /// Exchanges open on it.
    pub in_flight: u32,
    /// Whether it may be chosen.
    pub open: bool,
    /// Who it is, whatever its place among the others: [`hash`] of its address.
    pub id: u64,
}

/// Targets to choose from.
pub trait Candidates {
    /// How many there are.
    fn count(&self) -> usize;
    /// One of them, as it is now.
    fn at(&self, i: usize) -> Candidate;

    /// Whether one of them may be chosen.
    fn is_open(&self, i: usize) -> bool {
        self.at(i).open
    }
}

/// The longest round [`smooth_order`] lays down; heavier weights are scaled to fit.
const MAX_ROUND: usize = 4096;

/// The next of a round laid down by [`smooth_order`]; who may not be chosen is passed over.
pub fn in_turn(candidates: &(impl Candidates + ?Sized), order: &[u16], turn: usize) -> Option<usize> {
    let start = turn.checked_rem(order.len())?;
    let (before, after) = order.split_at(start);
    after.iter().chain(before).map(|i| usize::from(*i)).find(|i| candidates.is_open(*i))
}

/// The one with the fewest exchanges for its weight; among equals the first from a place that `roll` names.
pub fn least_busy(candidates: &(impl Candidates + ?Sized), roll: u64) -> Option<usize> {
    let start = below(roll, candidates.count());
    let all = (start..candidates.count()).chain(0..start).map(|i| (i, candidates.at(i)));
    all.filter(|(_, c)| c.open).min_by(|(_, a), (_, b)| busier(a, b)).map(|(i, _)| i)
}

/// Two different ones by `roll`, and of these the less busy. As even as asking all of them, at the price of two.
pub fn two_choices(candidates: &(impl Candidates + ?Sized), roll: u64) -> Option<usize> {
    let open = || (0..candidates.count()).filter(|i| candidates.is_open(*i));
    let (high, low) = (roll, roll << 32);
    let count = open().count();
    let first = open().nth(below(high, count)).or_else(|| open().next())?;
    let others = || open().filter(|i| *i != first);
    let Some(second) = others().nth(below(low, count.saturating_sub(1))) else { return Some(first) };
    Some(if busier(&candidates.at(second), &candidates.at(first)).is_lt() { second } else { first })
}

/// Always the same one for the same key, as long as it is open; when it is not, or is gone, only its keys move, and they
/// are spread over the others (rendezvous hashing, weighted as by Schindelhauer and Schomaker).
pub fn by_key(candidates: &(impl Candidates + ?Sized), key: u64) -> Option<usize> {
    let all = (0..candidates.count()).map(|i| (i, candidates.at(i)));
    let scored = all.filter(|(_, c)| c.open).map(|(i, c)| (i, score(&c, key)));
    scored.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(i, _)| i)
}

/// The higher, the more a key belongs to a candidate.
fn score(candidate: &Candidate, key: u64) -> f64 {
    // 53 bits, and never zero: a number strictly between 0 and 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what a fraction can hold")]
    let ticket = ((mix(key ^ mix(candidate.id)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    f64::from(candidate.weight.max(1)) / -ticket.ln()
}

/// A number for a text that is the same in every process (FNV-1a, its bits spread).
pub fn hash(text: &[u8]) -> u64 {
    mix(text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
}

/// One round in which each target comes as often as its weight says and is spread as evenly as can be: in each step all
/// gain their weight, and the richest is taken and pays for all.
pub fn smooth_order(weights: &[u32]) -> Box<[u16]> {
    let shares = shares(weights);
    let total: i64 = shares.iter().sum();
    let mut wealth = vec![0_i64; shares.len()];
    (0..total)
        .map(|_| {
            let mut richest = 0;
            for (i, share) in shares.iter().enumerate() {
                wealth[i] += share;
                if wealth[i] > wealth[richest] {
                    richest = i;
                }
            }
            wealth[richest] -= total;
            u16::try_from(richest).unwrap_or(u16::MAX)
        })
        .collect()
}

/// The weights in their smallest terms, and none of them zero.
fn shares(weights: &[u32]) -> Vec<i64> {
    let common = weights.iter().fold(0, |a, b| divisor(a, *b)).max(1);
    let smallest: Vec<u64> = weights.iter().map(|w| u64::from(w / common).max(1)).collect();
    let total: u64 = smallest.iter().sum();
    let longest = u64::try_from(MAX_ROUND.max(weights.len())).unwrap_or(u64::MAX);
    let scaled = smallest.iter().map(|w| if total > longest { (w * longest / total).max(1) } else { *w });
    scaled.map(|w| i64::try_from(w).unwrap_or(1)).collect()
}

const fn divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { divisor(b, a % b) }
}

/// Open exchanges for the weight, compared without a division.
fn busier(a: &Candidate, b: &Candidate) -> Ordering {
    let load = |x: &Candidate, y: &Candidate| u64::from(x.in_flight) * u64::from(y.weight.max(1));
    load(a, b).cmp(&load(b, a))
}

/// Uniform below `bound` by the roll's upper half.
fn below(roll: u64, bound: usize) -> usize {
    let bound = u64::try_from(bound).unwrap_or(0);
    usize::try_from(((roll >> 32) * bound) >> 32).unwrap_or(0)
}

/// Spreads every bit of `x` over all of the result (the finaliser of SplitMix64).
pub(super) const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    impl Candidates for Vec<Candidate> {
        fn count(&self) -> usize {
            self.len()
        }

        fn at(&self, i: usize) -> Candidate {
            self[i]
        }
    }

    /// `weight:in_flight`, an `x` behind it when closed.
    fn candidates(text: &str) -> Vec<Candidate> {
        let parse = |(i, word): (u8, &str)| {
            let open = !word.ends_with('x');
            let (weight, in_flight) = word.trim_end_matches('x').split_once(':').unwrap();
            Candidate { weight: weight.parse().unwrap(), in_flight: in_flight.parse().unwrap(), open, id: hash(&[i]) }
        };
        (0..).zip(text.split_whitespace()).map(parse).collect()
    }

    #[test]
    fn a_round_is_smooth_by_weight() {
        let check = |weights: &[u32], expected: &[u16]| assert_eq!(&*smooth_order(weights), expected, "{weights:?}");
        check(&[1], &[0]);
        check(&[1, 1, 1], &[0, 1, 2]);
        check(&[5, 1, 1], &[0, 0, 1, 0, 2, 0, 0]);
        check(&[100, 50], &[0, 1, 0]);
        check(&[], &[]);
        let long = smooth_order(&[1_000_003, 1]);
        assert!(long.len() <= MAX_ROUND + 1 && long.contains(&1));
    }

    #[test]
    fn turns_pass_over_the_closed() {
        let check = |text: &str, turn, expected| {
            let candidates = candidates(text);
            let weights: Vec<u32> = candidates.iter().map(|c| c.weight).collect();
            assert_eq!(in_turn(&candidates, &smooth_order(&weights), turn), expected, "{text} turn {turn}");
        };
        check("1:0 1:0", 0, Some(0));
        check("1:0 1:0", 3, Some(1));
        check("1:0x 1:0", 0, Some(1));
        check("1:0 1:0x 1:0", 4, Some(2));
        check("1:0x 1:0x", 7, None);
        check("", 7, None);
    }

    #[test]
    fn the_least_busy_is_so_for_its_weight() {
        let check = |text: &str, roll, expected| assert_eq!(least_busy(&candidates(text), roll), expected, "{text}");
        check("1:2 1:1", 0, Some(1));
        check("4:3 1:1", 0, Some(0));
        check("1:0x 1:9", 0, Some(1));
        check("1:0 1:0", u64::MAX, Some(1));
        check("1:0x", 0, None);
        check("", 5, None);
    }

    #[test]
    fn of_two_choices_the_less_busy_is_taken() {
        let mut rng = Rng::seeded(3);
        let rolls: Vec<u64> = (0..200).map(|_| rng.roll()).collect();
        let tally = |text: &str| {
            let candidates = candidates(text);
            let mut tally = vec![0; candidates.len()];
            rolls.iter().filter_map(|roll| two_choices(&candidates, *roll)).for_each(|i| tally[i] += 1);
            tally
        };
        assert_eq!(tally("1:0 1:9"), [200, 0]);
        assert_eq!(tally("1:9x 1:9"), [0, 200]);
        assert_eq!(tally("1:0x"), [0]);
        assert!(tally("1:1 1:1 1:1 1:1").iter().all(|n| *n > 20), "all are chosen among equals");
        assert_eq!(tally("1:0 1:1 1:9")[2], 0, "the busiest of three never wins");
    }

    #[test]
    fn a_key_keeps_its_target_and_moves_only_with_it() {
        let all = candidates("1:0 1:0 1:0");
        let closed = candidates("1:0 1:0x 1:0");
        // Gone altogether, and the others in another order.
        let gone = vec![all[2], all[0]];
        let mut counts = [0; 3];
        let mut heirs = [0; 3];
        for key in 0..3000 {
            let chosen = by_key(&all, key).unwrap();
            counts[chosen] += 1;
            let next = by_key(&closed, key).unwrap();
            assert_eq!(gone[by_key(&gone, key).unwrap()].id, all[next].id);
            if chosen == 1 {
                heirs[next] += 1;
            } else {
                assert_eq!(next, chosen);
            }
        }
        assert!(counts.iter().all(|n| (900..1100).contains(n)), "{counts:?}");
        assert!(heirs[0] > 400 && heirs[1] == 0 && heirs[2] > 400, "{heirs:?}");
        assert_eq!(by_key(&candidates("1:0x"), 1), None);
        let heavy = (0..3000).filter(|key| by_key(&candidates("9:0 1:0"), *key) == Some(0)).count();
        assert!((2600..2800).contains(&heavy), "{heavy}");
    }
}
