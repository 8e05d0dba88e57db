//! Bytes that are almost right, from a number that repeats them.

/// A source of random and of damaged inputs; the same seed gives the same inputs.
#[derive(Debug, Clone)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// Returns the source that a seed names.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Returns the next 64 random bits: splitmix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a random number below `end`, or 0 where `end` is 0.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % end).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// Returns random bytes, fewer than `end` of them.
    pub fn random(&mut self, end: usize) -> Vec<u8> {
        let length = self.below(end);
        (0..length).map(|_| self.byte()).collect()
    }

    /// Returns one of the seeds with one to four of its places damaged.
    pub fn damaged(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds.get(self.below(seeds.len())).cloned().unwrap_or_default();
        for _ in 0..=self.below(4) {
            let at = self.below(input.len());
            match self.below(5) {
                0 => input.truncate(at),
                1 => input.insert(at, self.byte()),
                2 if !input.is_empty() => input[at] ^= 1 << self.below(8),
                3 if !input.is_empty() => input[at] = self.byte(),
                _ => {
                    let end = at + self.below(input.len() - at + 1);
                    let piece = input[at..end].to_vec();
                    input.splice(at..at, piece);
                }
            }
        }
        input
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_inputs_and_another_does_not() {
        let inputs = |seed| {
            let mut mutator = Mutator::new(seed);
            let random = mutator.random(64);
            (random, mutator.damaged(&[vec![1; 64]]))
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
    }

    #[test]
    fn nothing_to_damage_is_no_fault() {
        let mut mutator = Mutator::new(3);
        for _ in 0..1_000 {
            mutator.damaged(&[]);
            mutator.damaged(&[Vec::new(), vec![1]]);
        }
    }
}
