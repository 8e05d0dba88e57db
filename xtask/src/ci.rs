//! `cargo xtask ci`: everything that a machine checks of a change, in order of cost.

use anyhow::Result;
use std::fs;
use std::path::Path;

use crate::Arguments;
use crate::house::{House, answers};
use crate::steps::{self, Extent, Tally};

/// How long each fuzz target runs, in seconds.
const FUZZ_SECONDS: u32 = 20;

/// Runs all steps, or with `--extras` those that `cargo xtask test` does not run.
pub(crate) fn run(house: &House, arguments: &Arguments) -> Result<bool> {
    let mut tally = Tally::default();
    if !arguments.has("--extras") {
        steps::needs(house)?;
        tally += steps::form(house)?;
        tally += steps::lints(house)?;
        tally += steps::tests(house, Extent::Normal, None)?;
        tally += steps::tidiness(house)?;
    }
    tally += steps::dependencies(house)?;
    tally += fuzz(house)?;
    Ok(tally.close())
}

/// Runs every fuzz target for a while, where cargo-fuzz is installed.
fn fuzz(house: &House) -> Result<Tally> {
    let mut tally = Tally::default();
    let targets = fuzz_targets(&house.root().join("fuzz/fuzz_targets"))?;
    if !answers(&mut house.cargo(&["fuzz", "--version"])) {
        eprintln!(
            "skipped: cargo-fuzz is not here, `cargo install cargo-fuzz --locked` adds it; the \
             tests run the {} fuzz targets on random bytes",
            targets.len()
        );
        return Ok(tally);
    }
    let seconds = format!("-max_total_time={FUZZ_SECONDS}");
    for target in &targets {
        let run = ["fuzz", "run", "--sanitizer", "none", target, "--", &seconds];
        eprintln!("cargo {}", run.join(" "));
        // Coverage is instrumented with flags that a stable compiler has, but hides.
        let status = house.cargo(&run).env("RUSTC_BOOTSTRAP", "1").status()?;
        tally += Tally::one(status.success());
    }
    Ok(tally)
}

/// Returns the names of the targets, sorted.
fn fuzz_targets(folder: &Path) -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            targets.extend(path.file_stem().and_then(|stem| stem.to_str()).map(String::from));
        }
    }
    targets.sort();
    Ok(targets)
}
