//! Measures the state map on one core.
//!
//! `cargo bench -p ledger --bench map`; the keys mix what the ledger uses: a tag byte with a
//! 32-byte hash, and a tag byte with big-endian numbers before a hash (65 bytes).
#![expect(clippy::disallowed_methods, reason = "it measures time and memory")]
#![expect(clippy::disallowed_types, reason = "it measures time")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use bench::{Figure, Report};
use ledger::map::{Import, Map, verify};

/// A small deterministic generator, so that runs compare.
struct Mix(u64);

impl Mix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).expect("fits")).expect("fits")
    }
}

/// Half `tag ‖ hash` (33 bytes), half `tag ‖ class ‖ price ‖ sequence ‖ hash` (51 to 65 bytes).
fn key(number: u64) -> Vec<u8> {
    let hash = *blake3::hash(&number.to_le_bytes()).as_bytes();
    let mut key = vec![u8::try_from(number % 16).expect("below 16")];
    if !number.is_multiple_of(2) {
        key.extend_from_slice(&[0, 1]);
        key.extend_from_slice(&(number % 977).to_be_bytes());
        key.extend_from_slice(&number.to_be_bytes());
        key.extend_from_slice(&[0; 14][..usize::from(hash[0] % 15)]);
    }
    key.extend_from_slice(&hash);
    key
}

fn value(mix: &mut Mix) -> Vec<u8> {
    let spread = if mix.below(4) == 0 { 293 } else { 80 };
    let bytes = 8 + mix.below(spread);
    let word = mix.next().to_le_bytes();
    word.iter().copied().cycle().take(bytes).collect()
}

fn row(report: &mut Report, entries: usize, name: &str, unit: &'static str, value: f64) {
    report.row(&format!("map/{name}, {entries} entries"), || Figure::new(value, unit));
}

/// Runs `act` on each thing and returns the time for one, in µs: that of the fastest of up to
/// twenty equal batches, so that what else runs on the machine shows least.
fn each<T>(things: &[T], mut act: impl FnMut(&T)) -> f64 {
    let batch = things.len().div_ceil(20).max(1);
    let mut fastest = f64::INFINITY;
    for things in things.chunks_exact(batch) {
        let start = Instant::now();
        things.iter().for_each(&mut act);
        fastest = fastest.min(start.elapsed().as_secs_f64() * 1e6 / batch as f64);
    }
    fastest
}

/// Returns the memory of this process in MiB.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok());
    pages.unwrap_or_default() * 4096.0 / f64::from(1 << 20)
}

fn measure(report: &mut Report, entries: usize) {
    let mut mix = Mix(7);
    let keys: Vec<Vec<u8>> = (0..u64::try_from(entries).expect("fits")).map(key).collect();
    let values: Vec<Vec<u8>> = (0..4096).map(|_| value(&mut mix)).collect();
    // The keys that are asked for lie in the order of asking, as a caller's key lies in cache.
    let picks: Vec<Vec<u8>> = (0..200_000).map(|_| keys[mix.below(entries)].clone()).collect();

    let before = resident_mib();
    let mut map = Map::new();
    let mut number = 0;
    let time = each(&keys, |key| {
        number += 1;
        map.insert(key, &values[number % values.len()]).expect("within bounds");
    });
    row(report, entries, "insert new", "µs", time);
    row(report, entries, "memory of map", "MiB", resident_mib() - before);
    let start = Instant::now();
    black_box(map.root());
    row(
        report,
        entries,
        "root, all new, per entry",
        "µs",
        start.elapsed().as_secs_f64() * 1e6 / entries as f64,
    );

    let time = each(&picks, |key| {
        black_box(map.get(key));
    });
    row(report, entries, "get", "µs", time);
    let model: BTreeMap<&[u8], usize> = keys.iter().map(|key| (key.as_slice(), 0)).collect();
    let time = each(&picks, |key| {
        black_box(model.get(key.as_slice()));
    });
    row(report, entries, "get of the std BTreeMap", "µs", time);

    updates(report, entries, &mut map, (&keys, &picks), &mut mix);
    scans(report, entries, &map, &picks);
    forks(report, entries, &mut map, &picks);
    proofs(report, entries, &map, &picks);
    snapshots(report, entries, &map);

    let time = each(&keys[..entries / 2], |key| {
        black_box(map.remove(key));
    });
    row(report, entries, "remove", "µs", time);
    let start = Instant::now();
    drop(map);
    row(report, entries, "drop of the other half", "ms", start.elapsed().as_secs_f64() * 1e3);
}

fn updates(
    report: &mut Report,
    entries: usize,
    map: &mut Map,
    (keys, picks): (&[Vec<u8>], &[Vec<u8>]),
    mix: &mut Mix,
) {
    let lengths: Vec<usize> = picks.iter().map(|key| map.get(key).map_or(8, <[u8]>::len)).collect();
    let mut written = [0_u8; 512];
    let lengths: Vec<(&Vec<u8>, usize)> = picks.iter().zip(lengths).collect();
    let time = each(&lengths, |(key, bytes)| {
        written[0] = written[0].wrapping_add(1);
        map.insert(key, &written[..*bytes]).expect("within bounds");
    });
    row(report, entries, "update, same length", "µs", time);
    black_box(map.root());

    let dirty = 10_000.min(entries);
    let rounds = 10;
    let mut fastest = f64::INFINITY;
    for _ in 0..rounds {
        for _ in 0..dirty {
            let at = mix.below(entries);
            map.insert(&keys[at], &mix.next().to_le_bytes()).expect("within bounds");
        }
        let start = Instant::now();
        black_box(map.root());
        fastest = fastest.min(start.elapsed().as_secs_f64() * 1e3);
    }
    row(report, entries, "root over 10,000 dirty", "ms", fastest);
}

fn scans(report: &mut Report, entries: usize, map: &Map, picks: &[Vec<u8>]) {
    let time = each(&picks[..20_000], |key| {
        black_box(map.first_from(&key[..12]));
    });
    row(report, entries, "first key from", "µs", time);
    let time = each(&picks[..2_000], |key| {
        black_box(map.range(key).take(100).count());
    });
    row(report, entries, "range of 100 entries", "µs", time);
}

fn forks(report: &mut Report, entries: usize, map: &mut Map, picks: &[Vec<u8>]) {
    let mut forks = Vec::with_capacity(1000);
    let time = each(&[(); 1000], |()| forks.push(map.clone()));
    row(report, entries, "fork", "µs", time);
    drop(forks);
    let fork = map.clone();
    let time = each(&picks[..1000], |key| {
        map.insert(key, &key[..5]).expect("within bounds");
    });
    row(report, entries, "update, first touch after a fork", "µs", time);
    drop(fork);
}

fn proofs(report: &mut Report, entries: usize, map: &Map, picks: &[Vec<u8>]) {
    let root = map.root();
    let keys: Vec<Vec<u8>> = picks[..2000]
        .iter()
        .enumerate()
        .map(|(number, key)| {
            let mut key = key.clone();
            let last = key.len() - 1;
            key[last] ^= u8::from(number % 2 == 1);
            key
        })
        .collect();
    let mut proofs = Vec::new();
    let time = each(&keys, |key| proofs.push(map.prove(key).expect("within bounds")));
    row(report, entries, "prove", "µs", time);
    let sizes = proofs.iter().map(|proof| proof.encode().len());
    row(report, entries, "largest proof", "B", sizes.max().unwrap_or_default() as f64);
    let pairs: Vec<_> = keys.iter().zip(&proofs).collect();
    let time = each(&pairs, |(key, proof)| {
        black_box(verify(&root, key, proof)).expect("holds");
    });
    row(report, entries, "verify", "µs", time);
}

fn snapshots(report: &mut Report, entries: usize, map: &Map) {
    let start = Instant::now();
    let chunks: Vec<Vec<u8>> = map.chunks().collect();
    row(report, entries, "snapshot: export", "ms", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    let mut import = Import::new(map.root());
    for chunk in &chunks {
        import.accept(chunk).expect("verified");
    }
    let copy = import.finish().expect("complete");
    row(report, entries, "snapshot: verify and import", "ms", start.elapsed().as_secs_f64() * 1e3);
    assert_eq!(copy.len(), map.len());
}

fn main() {
    let mut report = Report::new();
    if report.wants("map/") {
        for entries in [10_000, 100_000, 1_000_000] {
            measure(&mut report, entries);
        }
    }
    report.finish();
}
