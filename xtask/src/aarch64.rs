//! `cargo xtask aarch64`: what must be equal on every architecture, run as aarch64 code.
//!
//! The pure crates' tests and whole jobs on both engines are built for aarch64 and run by qemu's
//! user mode. Their roots are pinned, so a pass here and a pass of the same tests on this machine
//! say that both architectures agree. Left out are the tests of worker processes: user mode passes
//! system calls on to this machine's kernel, which can neither start an aarch64 program nor filter
//! the system calls of one.

use anyhow::Result;
use std::env::consts::ARCH;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Arguments;
use crate::house::{House, answers, output_of};
use crate::steps::{self, Tally};

const TARGET: &str = "aarch64-unknown-linux-gnu";
const COMPILER: &str = "aarch64-linux-gnu-gcc";
/// The emulator under the names that packages give it.
const EMULATORS: &[&str] = &["qemu-aarch64-static", "qemu-aarch64"];
/// The system's loader of programs, which a program for this target names.
const LOADER: &str = "ld-linux-aarch64.so.1";

/// The tests: those inside the crates' sources, and `jobs`, which runs whole jobs.
const TESTS: &[&str] = &[
    "test",
    "--profile=ci",
    "--color=never",
    "--no-fail-fast",
    "--package=types",
    "--package=classes",
    "--package=ledger",
    "--package=executors",
    "--lib",
    "--test=jobs",
];

/// Runs the tests that the filter leaves.
pub(crate) fn run(house: &House, arguments: &Arguments) -> Result<bool> {
    Ok(tests(house, arguments.operand())?.close())
}

/// Runs the tests at their everyday size, where the tools are installed.
pub(crate) fn tests(house: &House, filter: Option<&str>) -> Result<Tally> {
    if ARCH == "aarch64" {
        eprintln!("skipped: aarch64: this machine is one, its own tests are what would run");
        return Ok(Tally::default());
    }
    let tools = match Tools::find(house)? {
        Ok(tools) => tools,
        Err(missing) => {
            eprintln!(
                "skipped: aarch64: no {missing}, `apt-get install qemu-user-static \
                 gcc-aarch64-linux-gnu libc6-dev-arm64-cross` and `rustup target add {TARGET}` \
                 add it"
            );
            return Ok(Tally::default());
        }
    };
    let mut command = house.cargo(TESTS);
    command.args(["--target", TARGET]).args(filter);
    tools.set(&mut command);
    eprintln!("cargo {} --target {TARGET}", TESTS.join(" "));
    steps::count_libtest(&mut command)
}

/// What builds and runs programs for the target.
#[derive(Debug, PartialEq, Eq)]
struct Tools {
    emulator: &'static str,
    /// The folder that stands for the root of the file system when libraries are looked for.
    system: PathBuf,
}

impl Tools {
    /// Finds the tools, or says which is missing.
    fn find(house: &House) -> Result<Result<Self, &'static str>> {
        let runs = |program: &str| answers(&mut house.command(Path::new(program), &["--version"]));
        let Some(emulator) = EMULATORS.iter().copied().find(|name| runs(name)) else {
            return Ok(Err("qemu-aarch64"));
        };
        if !runs(COMPILER) {
            return Ok(Err(COMPILER));
        }
        let file_name = format!("-print-file-name={LOADER}");
        let loader = output_of(&mut house.command(Path::new(COMPILER), &[&file_name]))?;
        // A file that it does not find is a bare name to it.
        let loader = Path::new(loader.trim()).canonicalize().ok();
        let Some(system) = loader.as_deref().and_then(system_of).map(PathBuf::from) else {
            return Ok(Err("C library for aarch64"));
        };
        if !steps::has_target(house, TARGET)? {
            return Ok(Err("Rust standard library for aarch64"));
        }
        Ok(Ok(Self { emulator, system }))
    }

    /// Tells cargo and the build scripts that it runs about the tools.
    fn set(&self, command: &mut Command) {
        let mut runner = OsString::from(self.emulator);
        runner.push(" -L ");
        runner.push(&self.system);
        command
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", COMPILER)
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", runner)
            .env("CC_aarch64_unknown_linux_gnu", COMPILER)
            // Bounds on time are for machines, not for emulators.
            .env("IDLEWILD_EMULATED", "1");
    }
}

/// Returns the folder that has the loader in its `lib`, where programs look for it.
fn system_of(loader: &Path) -> Option<&Path> {
    let libraries = loader.parent()?;
    libraries.parent().filter(|_| libraries.ends_with("lib"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn cargo_is_told_of_compiler_and_emulator() {
        let tools = Tools { emulator: EMULATORS[0], system: PathBuf::from("/usr/arm") };
        let mut command = Command::new("cargo");
        tools.set(&mut command);
        let set: Vec<_> = command.get_envs().collect();
        let runner = OsStr::new("qemu-aarch64-static -L /usr/arm");
        let name = OsStr::new("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER");
        assert!(set.contains(&(name, Some(runner))), "{set:?}");
        let name = OsStr::new("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER");
        assert!(set.contains(&(name, Some(OsStr::new(COMPILER)))), "{set:?}");
    }

    #[test]
    fn the_system_is_above_the_loaders_folder() {
        let of = |path| system_of(Path::new(path));
        assert_eq!(of("/usr/arm/lib/ld.so"), Some(Path::new("/usr/arm")));
        assert_eq!(of("/usr/arm/ld.so"), None);
        assert_eq!(of("ld.so"), None);
    }
}
