//! Chance as an argument: seeded in tests and scripted worlds, from the operating system in service.
//! Not for keys or tokens: those come from the crypto library.

/// A stream of pseudo-random numbers (SplitMix64). Each purpose takes a named stream of its own, so that one more
/// roll for one purpose never shifts another's.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The same seed gives the same rolls.
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Seeded by the operating system.
    pub fn from_os() -> Self {
        use std::hash::{BuildHasher, Hasher};
        // The standard library's hasher keys are the one source of OS randomness it offers.
        Self(std::collections::hash_map::RandomState::new().build_hasher().finish())
    }

    /// An independent stream for one purpose.
    pub fn stream(&self, purpose: &str) -> Self {
        // FNV-1a: stable over releases, so that a seeded world stays golden.
        let hash = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        Self(self.0 ^ hash)
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Multiply-shift: the bias is below 2^-32 for every bound used here.
        u64::try_from((u128::from(self.roll()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// Uniform in `0.0..1.0`.
    pub fn fraction(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are what a fraction can hold")]
        let numerator = (self.roll() >> 11) as f64;
        numerator / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_repeatable_and_apart() {
        let rng = Rng::seeded(7);
        let rolls = |purpose: &str| {
            let mut stream = rng.stream(purpose);
            (stream.roll(), stream.roll())
        };
        assert_eq!(rolls("renew"), rolls("renew"));
        assert_ne!(rolls("renew"), rolls("retry"));
    }

    #[test]
    fn rolls_stay_in_their_bounds() {
        let mut rng = Rng::seeded(1);
        for _ in 0..1000 {
            assert!(rng.below(6) < 6);
            let f = rng.fraction();
            assert!((0.0..1.0).contains(&f));
        }
        assert_eq!(rng.below(0), 0);
    }
}
