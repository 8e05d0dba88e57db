//! `cargo xtask sim`: the replicated ledger under faults, for many seeds.
//!
//! Each seed is a network of simulated machines with troubles of its own. The tests play some of
//! them; this plays as many as it is told, optimized, and prints what a seed costs. A seed that
//! fails is printed as the variable that plays it alone.

use anyhow::{Context as _, Result};

use crate::Arguments;
use crate::house::House;

/// Seeds that are played unless somebody says how many.
const SEEDS: u64 = 1_000;

/// The test that plays them.
const TEST: [&str; 9] = [
    "test",
    "--release",
    "--package=node",
    "--test=faults",
    "--",
    "--nocapture",
    "--exact",
    "whatever_fails_nothing_final_is_lost_and_nodes_agree",
    "--quiet",
];

pub(crate) fn run(house: &House, arguments: &Arguments) -> Result<bool> {
    let seeds = match arguments.operand() {
        Some(text) => text.parse().with_context(|| format!("`{text}` is no number of seeds"))?,
        None => SEEDS,
    };
    let mut command = house.cargo(&TEST);
    command.env("IDLEWILD_SEEDS", seeds.to_string()).env_remove("IDLEWILD_SEED");
    Ok(command.status().context("cargo cannot be started")?.success())
}
