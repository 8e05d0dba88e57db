//! Sorts, hashes and walks maps: short loops, calls and branches.

use std::collections::BTreeMap;
use std::hint::black_box;

fn main() {
    let mut seed = 1_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut words: Vec<u64> = (0..1_500_000).map(|_| next()).collect();
    words.sort_unstable();
    let mut map = BTreeMap::new();
    for word in words.iter().step_by(3) {
        *map.entry(word % 50_021).or_insert(0_u64) += word;
    }
    let text: String = map.iter().map(|(key, value)| format!("{key}:{value};")).collect();
    black_box((text.len(), fib(32)));
}

fn fib(n: u32) -> u32 {
    if n < 2 { n } else { fib(black_box(n) - 1) + fib(n - 2) }
}
