//! Well-spread random numbers for one pixel.
//!
//! Each decision of a path (where in the pixel, which way it bounces, …) draws
//! a pair of numbers. Over the samples of a pixel such pairs form the first
//! points of the two-dimensional Sobol sequence, which cover the unit square
//! evenly; the pixel and the decision choose a random order of the points and a
//! random nested exchange of halves, quarters, … in each dimension, which keep
//! the evenness and remove any pattern between decisions and between pixels.

/// Draws the numbers of one sample of one pixel.
#[derive(Clone, Debug)]
pub struct Sampler {
    pixel: u32,
    index: u32,
    index_mask: u32,
}

impl Sampler {
    /// Starts sample `index` out of `samples` of a pixel.
    pub fn new(seed: u32, x: u32, y: u32, index: u32, samples: u32) -> Self {
        let pixel = hash(hash(hash(seed) ^ x) ^ y);
        Self { pixel, index, index_mask: samples.next_power_of_two() - 1 }
    }

    /// Returns the pair of numbers in 0..1 that belongs to a decision.
    pub fn pair(&self, decision: u32) -> (f32, f32) {
        let key = hash(self.pixel ^ decision.wrapping_mul(0x9e37_79b9));
        let index = shuffle(self.index, self.index_mask, key);
        let first = exchange(index, hash(key ^ 0x68bc_21eb));
        let second = exchange(second_dimension(index), hash(key ^ 0x02e5_be93));
        (unit(first), unit(second))
    }
}

/// Scatters a number over all 32 bits.
pub fn hash(value: u32) -> u32 {
    let mut x = value.wrapping_add(0x9e37_79b9);
    x = (x ^ (x >> 16)).wrapping_mul(0x21f0_aaad);
    x = (x ^ (x >> 15)).wrapping_mul(0x735a_2d97);
    x ^ (x >> 15)
}

/// Maps 32 bits to 0..1, never to 1.
pub fn unit(bits: u32) -> f32 {
    (bits >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Permutes the numbers under the mask, in an order that the key chooses.
fn shuffle(index: u32, mask: u32, key: u32) -> u32 {
    let mut x = index;
    for round in 0..3 {
        let part = key.rotate_left(round * 11);
        x = (x ^ part).wrapping_mul(part | 1) & mask;
        x ^= x >> (mask.count_ones() / 2).max(1);
    }
    x & mask
}

/// Returns Sobol's second dimension for an index, lowest bit first.
fn second_dimension(index: u32) -> u32 {
    let mut direction = 1u32 << 31;
    let mut result = 0;
    let mut rest = index;
    while rest != 0 {
        if rest & 1 == 1 {
            result ^= direction;
        }
        direction ^= direction >> 1;
        rest >>= 1;
    }
    result.reverse_bits()
}

/// Exchanges halves, then quarters within each half, and so on, at random.
///
/// The input's lowest bit is the coarsest; every step lets a bit depend on the
/// coarser ones alone, so that points stay in distinct cells.
fn exchange(bits: u32, key: u32) -> u32 {
    let mut x = bits.wrapping_add(key);
    x ^= x.wrapping_mul(0x6c50_b47c);
    x = x.wrapping_mul((key >> 13) | 1);
    x ^= x.wrapping_mul(0xb82f_1e52);
    x = x.wrapping_add(key.rotate_left(16));
    x ^= x.wrapping_mul(0xc7af_e638);
    x.reverse_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(decision: u32, columns: u32, rows: u32) -> usize {
        let samples = columns * rows;
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..samples {
            let (u, v) = Sampler::new(5, 17, 23, index, samples).pair(decision);
            seen.insert(((u * columns as f32) as u32, (v * rows as f32) as u32));
        }
        seen.len()
    }

    #[test]
    fn every_cell_of_every_even_grid_holds_one_sample() {
        for decision in 0..20 {
            for (columns, rows) in [(64, 1), (32, 2), (16, 4), (8, 8), (4, 16), (2, 32), (1, 64)] {
                assert_eq!(cells(decision, columns, rows), 64, "{decision} {columns}x{rows}");
            }
        }
    }

    #[test]
    fn decisions_are_not_correlated() {
        let samples = 64;
        let mut quadrants = [0u32; 4];
        for pixel in 0..64 {
            for index in 0..samples {
                let sampler = Sampler::new(1, pixel, 0, index, samples);
                let (a, b) = (sampler.pair(0).0, sampler.pair(1).0);
                quadrants[usize::from(a >= 0.5) * 2 + usize::from(b >= 0.5)] += 1;
            }
        }
        for count in quadrants {
            assert!((900..1150).contains(&count), "{quadrants:?}");
        }
    }

    #[test]
    fn numbers_stay_below_one() {
        assert!(unit(u32::MAX) < 1.0);
        assert_eq!(unit(0), 0.0);
    }
}
