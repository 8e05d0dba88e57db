//! `cargo xtask fuzz`: the fuzz targets with coverage. What the tests run of them is random bytes.
//!
//! Not part of `ci`: instrumented, the engines take longer to build than all else together.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

use crate::Arguments;
use crate::house::{House, answers};
use crate::steps::Tally;

/// How long each target runs unless it is said, in seconds.
const SECONDS: u32 = 40;

/// Runs each target for as many seconds as the argument says.
pub(crate) fn run(house: &House, arguments: &Arguments) -> Result<bool> {
    let seconds = match arguments.operand() {
        Some(given) => given.parse().with_context(|| {
            format!("`{given}` is no number of seconds\nhint: `cargo xtask fuzz 40` is the default")
        })?,
        None => SECONDS,
    };
    if !answers(&mut house.cargo(&["fuzz", "--version"])) {
        bail!("cargo-fuzz is not here\nhint: `cargo install cargo-fuzz --locked` adds it");
    }
    let mut tally = Tally::default();
    let seconds = format!("-max_total_time={seconds}");
    for target in targets(&house.root().join("fuzz/fuzz_targets"))? {
        let run = ["fuzz", "run", "--sanitizer", "none", &target, "--", &seconds];
        eprintln!("cargo {}", run.join(" "));
        // Coverage is instrumented with flags that a stable compiler has, but hides.
        let status = house.cargo(&run).env("RUSTC_BOOTSTRAP", "1").status()?;
        tally += Tally::one(status.success());
    }
    Ok(tally.close())
}

/// Returns the names of the targets, sorted.
fn targets(folder: &Path) -> Result<Vec<String>> {
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
