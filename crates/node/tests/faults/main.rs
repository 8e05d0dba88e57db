//! The replicated ledger under faults: real ledger, real mempool, simulated machines.
//!
//! A seed decides everything: how many nodes there are, what goes wrong and when, and what people
//! send meanwhile. `IDLEWILD_SEEDS` says how many seeds are played, `IDLEWILD_SEED` which one
//! alone; what fails prints its own.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

mod network;
mod people;
mod played;
mod schedule;
mod trouble;
mod upgrade;

use std::{
    env,
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use faults::DISK_FAILS;
use played::Played;

/// Seeds that are played when nobody says how many.
const SEEDS: u64 = 100;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
}

/// Says nothing of panics that end a node whose disk fails, as they should.
fn expect_panics_of_disks() {
    let say = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !panic.payload_as_str().is_some_and(|why| why.contains(DISK_FAILS)) {
            say(panic);
        }
    }));
}

#[test]
fn whatever_fails_nothing_final_is_lost_and_nodes_agree() {
    expect_panics_of_disks();
    if let Some(seed) = number("IDLEWILD_SEED") {
        println!("{}", schedule::play(seed));
        return;
    }
    let seeds = number("IDLEWILD_SEEDS").unwrap_or(SEEDS);
    let (next, began) = (AtomicU64::new(0), Instant::now());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let play = || {
        let mut failed = Vec::new();
        let mut total = Played::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return (failed, total);
            }
            match catch_unwind(AssertUnwindSafe(|| schedule::play(seed))) {
                Ok(played) => total += played,
                Err(_) => {
                    println!("IDLEWILD_SEED={seed} fails");
                    failed.push(seed);
                }
            }
        }
    };
    let (failed, total) = thread::scope(|scope| {
        let players: Vec<_> = (0..cores).map(|_| scope.spawn(play)).collect();
        players.into_iter().map(|player| player.join().unwrap()).fold(
            (Vec::new(), Played::default()),
            |(mut all, sum), (failed, played)| {
                all.extend(failed);
                (all, sum + played)
            },
        )
    });
    let each = began.elapsed().as_secs_f64() * 1_000.0 / seeds.max(1) as f64;
    println!("{seeds} seeds, {each:.0} ms each: {total}");
    assert!(failed.is_empty(), "seeds that fail: {failed:?}");
    if seeds >= SEEDS {
        assert_eq!(total.missing(), Vec::<&str>::new(), "what never happened");
    }
}

/// Otherwise a seed that fails would be of no use.
#[test]
fn a_seed_says_everything() {
    expect_panics_of_disks();
    for seed in 5..8 {
        assert_eq!(schedule::play(seed), schedule::play(seed), "seed {seed}");
    }
}
