//! The steps that `test` and `ci` are made of; each says how many checks passed and failed.

use anyhow::{Result, bail};
use std::env;
use std::ops::AddAssign;
use std::path::Path;
use std::process::Command;

use crate::house::{House, Stream, answers, output_of, watch};
use crate::tidy;

/// Programs of tenants, and the library that browsers check proofs with, are built for these.
const WASM_TARGETS: [&str; 2] = ["wasm32-wasip1", "wasm32-unknown-unknown"];

/// How many checks passed and failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// Counts one check.
    pub(crate) fn one(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed) }
    }

    /// Prints the closing line and returns whether nothing failed.
    pub(crate) fn close(self) -> bool {
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Which tests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Only tests inside the crates' sources.
    Quick,
    /// All tests at their everyday size.
    Normal,
    /// All tests at their full size.
    Long,
}

/// Fails, saying what to do, unless the machine has what the build needs.
pub(crate) fn needs(house: &House) -> Result<()> {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".into());
    let words: Vec<&str> = compiler.split_whitespace().chain(["--version"]).collect();
    let (program, arguments) = words.split_first().expect("the chain ends with one word");
    if !answers(&mut house.command(Path::new(program), arguments)) {
        bail!(
            "no C compiler: `{compiler} --version` does not run\n\
             hint: install one (Debian: apt-get install gcc), or name yours in CC"
        );
    }
    WASM_TARGETS.into_iter().try_for_each(|target| need_target(house, target))
}

/// Adds a target to the Rust toolchain unless it is there.
fn need_target(house: &House, target: &str) -> Result<()> {
    if has_target(house, target)? {
        return Ok(());
    }
    let add = ["target", "add", target];
    let added = house.command(Path::new("rustup"), &add).status();
    if !added.is_ok_and(|status| status.success()) || !has_target(house, target)? {
        bail!(
            "the Rust toolchain has no {target} target and it could not be added\n\
             hint: run `rustup target add {target}` in this folder, or install your \
             distribution's standard library for {target}"
        );
    }
    Ok(())
}

/// Returns whether the Rust toolchain has the standard library of the target.
pub(crate) fn has_target(house: &House, target: &str) -> Result<bool> {
    let rustc = Path::new("rustc");
    let libraries = ["--print", "target-libdir", "--target", target];
    let folder = output_of(&mut house.command(rustc, &libraries))?;
    Ok(Path::new(folder.trim()).is_dir())
}

/// Runs the tests of the workspace, and its documentation's examples.
pub(crate) fn tests(house: &House, extent: Extent, filter: Option<&str>) -> Result<Tally> {
    let mut arguments = vec!["--workspace", "--no-fail-fast"];
    if extent == Extent::Quick {
        arguments.extend(["--lib", "--bins"]);
    }
    let nextest = answers(&mut house.cargo(&["nextest", "--version"]));
    let mut tally = if nextest {
        arguments.extend(filter);
        nextest_run(house, extent, &arguments)?
    } else {
        if extent != Extent::Quick {
            arguments.extend(["--lib", "--bins", "--tests", "--examples"]);
        }
        arguments.extend(filter);
        cargo_test(house, extent, &arguments)?
    };
    if extent != Extent::Quick {
        let mut doc = vec!["--doc", "--workspace", "--no-fail-fast"];
        doc.extend(filter);
        tally += cargo_test(house, extent, &doc)?;
    }
    Ok(tally)
}

fn nextest_run(house: &House, extent: Extent, arguments: &[&str]) -> Result<Tally> {
    let run = ["nextest", "run", "--cargo-profile", "ci", "--color=never", "--no-tests=pass"];
    let mut command = house.cargo(&run);
    command.args(arguments);
    set_extent(&mut command, extent);
    let mut tally = Tally::default();
    let passed = watch(&mut command, Stream::Err, |line| tally += nextest_summary(line))?;
    Ok(agreeing(tally, passed))
}

fn cargo_test(house: &House, extent: Extent, arguments: &[&str]) -> Result<Tally> {
    let mut command = house.cargo(&["test", "--profile", "ci", "--color=never"]);
    command.args(arguments);
    set_extent(&mut command, extent);
    count_libtest(&mut command)
}

/// Runs tests and counts them from what they print.
pub(crate) fn count_libtest(command: &mut Command) -> Result<Tally> {
    let mut tally = Tally::default();
    let passed = watch(command, Stream::Out, |line| tally += libtest_summary(line))?;
    Ok(agreeing(tally, passed))
}

fn set_extent(command: &mut Command, extent: Extent) {
    if extent == Extent::Long {
        command.env("IDLEWILD_LONG", "1");
    }
}

/// Counts a failure that no summary told of: a build that broke, a runner that died.
fn agreeing(mut tally: Tally, passed: bool) -> Tally {
    if !passed && tally.failed == 0 {
        tally.failed = 1;
    }
    tally
}

/// Reads `Summary [ 0.1s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 0 skipped`.
fn nextest_summary(line: &str) -> Tally {
    let mut tally = Tally::default();
    let Some((_, counts)) =
        line.trim_start().strip_prefix("Summary [").and_then(|rest| rest.split_once(" run: "))
    else {
        return tally;
    };
    let mut depth = 0_u32;
    let plain: String = counts
        .chars()
        .filter(|letter| match letter {
            '(' => {
                depth += 1;
                false
            }
            ')' => {
                depth = depth.saturating_sub(1);
                false
            }
            _ => depth == 0,
        })
        .collect();
    for count in plain.split(',') {
        let Some((number, what)) = count.trim().split_once(' ') else { continue };
        let number = number.parse().unwrap_or(0);
        match what.trim() {
            "passed" => tally.passed += number,
            "skipped" => {}
            _ => tally.failed += number,
        }
    }
    tally
}

/// Reads `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
fn libtest_summary(line: &str) -> Tally {
    let mut tally = Tally::default();
    let Some(rest) = line.strip_prefix("test result: ") else { return tally };
    for count in rest.split(['.', ';']) {
        match count.trim().split_once(' ') {
            Some((number, "passed")) => tally.passed += number.parse::<u64>().unwrap_or(0),
            Some((number, "failed")) => tally.failed += number.parse::<u64>().unwrap_or(0),
            _ => {}
        }
    }
    tally
}

/// Runs `tidy` as one check.
pub(crate) fn tidiness(house: &House) -> Result<Tally> {
    Ok(Tally::one(tidy::check(house)?))
}

/// Checks the form of the code.
pub(crate) fn form(house: &House) -> Result<Tally> {
    one(house, &["fmt", "--all", "--check"])
}

/// Runs the linter; a warning fails.
pub(crate) fn lints(house: &House) -> Result<Tally> {
    let clippy = ["clippy", "--workspace", "--all-targets", "--profile", "ci"];
    one(house, &[&clippy[..], &["--", "-D", "warnings"]].concat())
}

/// Checks licences, sources and bans of the dependencies, where the tool is installed.
pub(crate) fn dependencies(house: &House) -> Result<Tally> {
    if !answers(&mut house.cargo(&["deny", "--version"])) {
        eprintln!("skipped: cargo-deny is not here, `cargo install cargo-deny --locked` adds it");
        return Ok(Tally::default());
    }
    one(house, &["deny", "check", "bans", "licenses", "sources"])
}

fn one(house: &House, arguments: &[&str]) -> Result<Tally> {
    eprintln!("cargo {}", arguments.join(" "));
    Ok(Tally::one(house.cargo(arguments).status()?.success()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_summaries_are_counted() {
        let nextest = "     Summary [   1.5s] 9/12 tests run: 6 passed (1 slow, 1 flaky), \
                       2 failed, 1 timed out, 3 skipped\n";
        assert_eq!(nextest_summary(nextest), Tally { passed: 6, failed: 3 });
        let libtest = "test result: FAILED. 4 passed; 1 failed; 0 ignored; 0 measured; \
                       0 filtered out; finished in 0.00s\n";
        assert_eq!(libtest_summary(libtest), Tally { passed: 4, failed: 1 });
        assert_eq!(nextest_summary("        PASS [ 0.1s] a b"), Tally::default());
        assert_eq!(libtest_summary("test a ... ok"), Tally::default());
    }

    #[test]
    fn a_broken_build_is_a_failure_though_no_test_failed() {
        assert_eq!(agreeing(Tally::default(), false).failed, 1);
        assert_eq!(agreeing(Tally { passed: 1, failed: 2 }, false).failed, 2);
        assert_eq!(agreeing(Tally { passed: 1, failed: 0 }, true).failed, 0);
    }
}
