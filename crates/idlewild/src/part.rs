//! A job that is done, with what it wrote, as commands show it.

use std::path::Path;

use classes::job::Exit as JobExit;
use serde_json::{Value, json};
use types::{Amount, CheckState};

use crate::failure::{Explain, Failure, Outcome};
use crate::jobs::{Done, Results};
use crate::output::{Output, bytes, count, dollars, plural, usd};

/// A job that is done, with what it wrote.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// How it ended and what it cost.
    pub(crate) done: Done,
    /// What it wrote.
    pub(crate) results: Results,
}

impl Part {
    /// Returns what the tenant paid: the price and the audit premium.
    pub(crate) fn paid(&self) -> Amount {
        let settlement = &self.done.lease.settlement;
        settlement.gross.saturating_plus(settlement.premium)
    }

    /// Returns whether its work may still be found wrong, and the price then come back.
    pub(crate) fn is_held(&self) -> bool {
        self.done.lease.check != CheckState::Unchecked && self.done.lease.release.is_some()
    }

    /// Returns the process's exit code for how it ended.
    pub(crate) const fn exit_code(&self) -> u8 {
        exit_code(self.done.usage.exit)
    }

    /// Writes its streams to this process's.
    pub(crate) fn show_streams(&self, output: Output) -> Outcome<()> {
        output.program(&self.results.stdout)?;
        output.program_error(&self.results.stderr);
        Ok(())
    }

    /// Returns how it went in a line; `saved` is where its files went.
    pub(crate) fn line(&self, saved: Option<&Path>) -> String {
        let Self { done, results } = self;
        let lease = &done.lease;
        let again = if done.attempts > 1 {
            format!(", placed {} times", done.attempts)
        } else {
            String::new()
        };
        let sizes = results.files.contents().map(|(_, length)| length);
        let files = sizes.fold(0, u64::saturating_add);
        let files = match (results.files.entries().len(), saved) {
            (0, _) => String::new(),
            (number, Some(_)) => format!(", {} ({})", plural(number, "file"), bytes(files)),
            (number, None) => {
                let (number, size) = (plural(number, "file"), bytes(files));
                format!(
                    ", {number} ({size}) not kept: `idlewild lease fetch {} --output DIR` gets \
                     them",
                    lease.id
                )
            }
        };
        format!(
            "{}; {} Mfuel by {} for {}{again}{files}; lease {}",
            describe(done.usage.exit),
            count(lease.settlement.units.get()),
            lease.provider,
            usd(self.paid()),
            lease.id,
        )
    }

    /// Returns it as JSON.
    pub(crate) fn to_json(&self) -> Value {
        let Self { done, results } = self;
        let lease = &done.lease;
        let files: Vec<&str> =
            results.files.entries().iter().map(|entry| entry.path.as_str()).collect();
        let trace = &done.receipt.receipt.trace;
        let work_root = types::Receipt::work_root(&done.usage.result_root(), trace);
        json!({
            "lease": lease.id,
            "provider": lease.provider,
            "exit": done.usage.exit,
            "exit_code": self.exit_code(),
            "fuel": done.usage.fuel,
            "units": lease.settlement.units,
            "paid_usd": dollars(self.paid()),
            "work_root": work_root,
            "check": lease.check.name(),
            "attempts": done.attempts,
            "stdout": String::from_utf8_lossy(&results.stdout),
            "stderr": String::from_utf8_lossy(&results.stderr),
            "files": files,
        })
    }
}

/// Refuses a directory that holds something: results never replace files.
///
/// # Errors
/// When it is not empty, or cannot be looked into.
pub(crate) fn check_empty(directory: &Path) -> Outcome<()> {
    match std::fs::read_dir(directory) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Failure::usage(format_args!("{} is not empty", directory.display()))
                .hint("results never replace files: name an empty or new directory")),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).because(format_args!("cannot write to {}", directory.display())),
    }
}

/// Returns the process's exit code for how a job ended.
const fn exit_code(exit: JobExit) -> u8 {
    match exit {
        JobExit::Code(code) => {
            let [low, ..] = code.to_le_bytes();
            // A failure must not pass for success because its lowest byte is zero.
            if low == 0 && code != 0 { 1 } else { low }
        }
        JobExit::Unrunnable => 126,
        JobExit::BadCall => 132,
        JobExit::Unreachable => 134,
        JobExit::DivisionByZero | JobExit::IntegerOverflow => 136,
        JobExit::OutOfBounds | JobExit::StackExhausted => 139,
        JobExit::OutOfFuel => 152,
    }
}

/// Refuses a file that could not be written at the end of the work.
pub(crate) fn check_file(path: &Path) -> Outcome<()> {
    if path.is_dir() {
        let text = format!("cannot write {}: it is a directory", path.display());
        return Err(Failure::usage(text).hint("name a file"));
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            let (path, parent) = (path.display(), parent.display());
            Err(Failure::usage(format_args!("cannot write {path}: there is no directory {parent}")))
        }
        _ => Ok(()),
    }
}

/// Says how a job ended.
pub(crate) fn describe(exit: JobExit) -> String {
    match exit {
        JobExit::Code(0) => "done".to_owned(),
        JobExit::Code(code) => format!("ended with code {code}"),
        JobExit::OutOfFuel => "stopped: its fuel is used up (--fuel allows more)".to_owned(),
        JobExit::StackExhausted => "stopped: it called too deeply".to_owned(),
        JobExit::Unreachable => "stopped: it gave up (a panic or abort)".to_owned(),
        JobExit::OutOfBounds => "stopped: it went out of its memory's bounds".to_owned(),
        JobExit::DivisionByZero => "stopped: it divided by zero".to_owned(),
        JobExit::IntegerOverflow => "stopped: a number overflowed".to_owned(),
        JobExit::BadCall => "stopped: it called a function that is not there".to_owned(),
        JobExit::Unrunnable => "could not begin: it is malformed, above a limit, or imports what \
            WASI preview 1 does not have"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_the_programs_own() {
        let code = |code| exit_code(JobExit::Code(code));
        assert_eq!([0, 7, 255, 256, 257, u32::MAX].map(code), [0, 7, 255, 1, 1, 255]);
        let stops = [JobExit::OutOfFuel, JobExit::Unreachable, JobExit::Unrunnable];
        assert_eq!(stops.map(exit_code), [152, 134, 126]);
    }

    #[test]
    fn results_never_replace_files() {
        let directory = tempfile::tempdir().unwrap();
        assert!(check_empty(directory.path()).is_ok());
        assert!(check_empty(&directory.path().join("new")).is_ok());
        std::fs::write(directory.path().join("a"), b"").unwrap();
        assert_eq!(check_empty(directory.path()).unwrap_err().code(), 2);
    }
}
