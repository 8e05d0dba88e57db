//! Strategies of cheats, played by transactions against the ledger with the shipped parameters.
//!
//! [`world`] is a small network whose parties play ([`players`]); [`trial`] says what a strategy
//! gains, computed and played; the strategies stand by who plays them. [`rows`] is the table of all
//! of them, `docs/adversaries.md` the page of it, written by
//! `IDLEWILD_WRITE_DOCS=1 cargo test --release -p ledger --test adversaries the_page`.
//!
//! `IDLEWILD_SEED` chooses other mixes, `IDLEWILD_LONG=1` ten thousand seeds for each trial and
//! as many mixes.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]
#![expect(clippy::print_stdout, reason = "a test tells what it measured")]

mod auditors;
mod detection;
mod dodges;
mod fakes;
mod mixes;
mod page;
mod players;
mod refusals;
mod rows;
mod tenants;
mod trial;
mod world;

#[expect(clippy::disallowed_methods, reason = "the test's size and seed are its runner's choice")]
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

fn is_long() -> bool {
    setting("IDLEWILD_LONG").is_some_and(|long| long > 0)
}

/// Returns how many seeds a test plays.
fn seeds(short: u64, long: u64) -> u64 {
    if is_long() { long } else { short }
}

/// Returns the number that the seeds of a mix begin with.
fn seed() -> u64 {
    setting("IDLEWILD_SEED").unwrap_or(0)
}
