//! The project's own tools, run as `cargo xtask COMMAND`.
//!
//! `tidy` checks what no compiler checks, `test` is the one command before a change is handed in,
//! `bench` measures every figure of the workspace, `ci` is what a machine runs, `docs` writes the
//! files that are made from code. Each command is a file; a new one is a file and a table line.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks on its own streams"
)]

mod aarch64;
mod bench_command;
mod ci;
mod docs;
mod fuzz;
mod house;
mod machine;
mod sim;
mod steps;
mod test;
mod tidy;

use anyhow::{Result, bail};
use std::process::ExitCode;

use house::House;

/// One command of the tool.
struct Command {
    name: &'static str,
    usage: &'static str,
    help: &'static str,
    run: fn(&House, &Arguments) -> Result<bool>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "tidy",
        usage: "",
        help: "check layering, lengths, words and promises",
        run: tidy::run,
    },
    Command {
        name: "test",
        usage: "[--long] [--quick] [FILTER]",
        help: "run all tests and checks",
        run: test::run,
    },
    Command {
        name: "bench",
        usage: "[--json] [FILTER]",
        help: "measure every figure, one table",
        run: bench_command::run,
    },
    Command {
        name: "ci",
        usage: "[--extras]",
        help: "all that a machine checks; --extras leaves out what `test` runs",
        run: ci::run,
    },
    Command {
        name: "fuzz",
        usage: "[SECONDS]",
        help: "run each fuzz target with coverage, for 40 s unless told",
        run: fuzz::run,
    },
    Command {
        name: "sim",
        usage: "[--seeds] [N]",
        help: "play networks under faults for so many seeds, 1,000 unless told",
        run: sim::run,
    },
    Command {
        name: "aarch64",
        usage: "[FILTER]",
        help: "run what must be equal on every architecture as aarch64 code, under qemu",
        run: aarch64::run,
    },
    Command {
        name: "docs",
        usage: "[--check]",
        help: "write the files of docs/ that are made from code",
        run: docs::run,
    },
];

/// What stands behind the command's name: flags, and at most one operand.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    flags: Vec<String>,
    operand: Option<String>,
}

impl Arguments {
    /// Sorts the arguments into flags and the operand; refuses what `usage` does not name.
    fn parse(usage: &str, raw: impl Iterator<Item = String>) -> Result<Self> {
        let mut arguments = Self::default();
        for argument in raw {
            if argument.starts_with('-') {
                if !usage.contains(&format!("[{argument}]")) {
                    bail!("unknown flag `{argument}`\nhint: this command takes: {usage}");
                }
                arguments.flags.push(argument);
            } else if !takes_operand(usage) || arguments.operand.is_some() {
                bail!("unexpected argument `{argument}`\nhint: this command takes: {usage}");
            } else {
                arguments.operand = Some(argument);
            }
        }
        Ok(arguments)
    }

    /// Returns whether the flag was given, dashes included in the name.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    /// Returns what was given besides flags, such as a filter.
    pub(crate) fn operand(&self) -> Option<&str> {
        self.operand.as_deref()
    }
}

/// Returns whether a usage has a part such as `[FILTER]`, which is no flag.
fn takes_operand(usage: &str) -> bool {
    usage.split(' ').any(|part| part.starts_with('[') && !part.starts_with("[-"))
}

fn main() -> ExitCode {
    match dispatch(std::env::args().skip(1)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(mut raw: impl Iterator<Item = String>) -> Result<bool> {
    let name = raw.next().unwrap_or_default();
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprintln!("cargo xtask COMMAND");
        for command in COMMANDS {
            eprintln!("  {:<8}{:<28} {}", command.name, command.usage, command.help);
        }
        return Ok(matches!(name.as_str(), "help" | "--help" | "-h"));
    };
    let arguments = Arguments::parse(command.usage, raw)?;
    (command.run)(&House::find()?, &arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(usage: &str, raw: &[&str]) -> Result<Arguments> {
        Arguments::parse(usage, raw.iter().map(ToString::to_string))
    }

    #[test]
    fn flags_and_operand_are_told_apart() {
        let arguments = parse("[--long] [FILTER]", &["book", "--long"]).unwrap();
        assert!(arguments.has("--long"));
        assert!(!arguments.has("--json"));
        assert_eq!(arguments.operand(), Some("book"));
    }

    #[test]
    fn an_operand_has_any_name() {
        assert_eq!(parse("[SECONDS]", &["40"]).unwrap().operand(), Some("40"));
        assert_eq!(parse("[SECONDS]", &[]).unwrap().operand(), None);
    }

    #[test]
    fn what_the_usage_does_not_name_is_refused() {
        assert!(parse("[--long] [FILTER]", &["--json"]).is_err());
        assert!(parse("[--check]", &["book"]).is_err());
        assert!(parse("[FILTER]", &["one", "two"]).is_err());
    }
}
