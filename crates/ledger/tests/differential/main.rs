//! The real ledger against the naive one, in lock step over random transactions.
//!
//! [`reference`] reads `docs/ledger.md` line by line, [`world`] makes transactions, [`episode`]
//! executes them on both and [`compare`]s what can be observed: the answer to each transaction,
//! the events and the whole state after each block. When they differ, [`shrink`] looks for the
//! fewest transactions that show it.
//!
//! `IDLEWILD_SEED` chooses another sequence, `IDLEWILD_LONG=1` a million transactions.

mod compare;
mod coverage;
mod episode;
mod malformed;
mod reference;
mod shrink;
mod world;

use coverage::Coverage;
use episode::Episode;
use world::Theme;

/// The seed without `IDLEWILD_SEED`.
const SEED: u64 = 0x1d1e_011d;
#[expect(clippy::disallowed_methods, reason = "the test's size and seed are its runner's choice")]
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

#[test]
fn both_ledgers_agree_on_every_transaction() {
    let seed = setting("IDLEWILD_SEED").unwrap_or(SEED);
    let is_long = setting("IDLEWILD_LONG").is_some_and(|long| long > 0);
    let episodes = if is_long { 300 } else { 16 };
    println!("IDLEWILD_SEED={seed}: {episodes} episodes");
    let mut coverage = Coverage::default();
    for number in 0..episodes {
        let mut episode = Episode::new(seed, number);
        let transactions = Theme::of_episode(number).transactions();
        if let Err(difference) = episode.run(transactions, &mut coverage) {
            let report = shrink::report(&episode, &difference);
            panic!("IDLEWILD_SEED={seed}, episode {number}: {report}");
        }
    }
    println!("{coverage}");
    coverage.assert_complete(if is_long { 1_500 } else { 60 });
}
