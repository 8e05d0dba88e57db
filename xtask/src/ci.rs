//! `cargo xtask ci`: everything that a machine checks of a change, in order of cost.

use anyhow::Result;
use std::fs;
use std::path::Path;

use crate::Arguments;
use crate::house::{House, answers};
use crate::steps::{self, Extent, Tally};

/// All fuzz targets together run this long, in seconds.
const FUZZ_SECONDS: usize = 300;

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

/// Runs every fuzz target for its share of the time, where the tools are installed.
fn fuzz(house: &House) -> Result<Tally> {
    let mut tally = Tally::default();
    let targets = fuzz_targets(&house.root().join("fuzz/fuzz_targets"))?;
    if !has_fuzzer(house) {
        eprintln!(
            "skipped: cargo-fuzz and a nightly toolchain are not both here; the tests run the \
             {} fuzz targets on random bytes",
            targets.len()
        );
        return Ok(tally);
    }
    let seconds = format!("-max_total_time={}", FUZZ_SECONDS / targets.len().max(1));
    for target in &targets {
        let run = ["+nightly", "fuzz", "run", target, "--", &seconds];
        tally += Tally::one(nightly(house, &run).status()?.success());
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

fn has_fuzzer(house: &House) -> bool {
    let list = house.command(Path::new("rustup"), &["toolchain", "list"]).output();
    let has_nightly =
        list.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("nightly"));
    has_nightly && answers(&mut nightly(house, &["+nightly", "fuzz", "--version"]))
}

/// Returns a command of rustup's cargo, free of the toolchain that runs this tool.
fn nightly(house: &House, arguments: &[&str]) -> std::process::Command {
    let mut command = house.command(Path::new("cargo"), arguments);
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
    command
}
