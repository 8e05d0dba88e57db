//! `idlewild run`

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use classes::job::Exit as JobExit;
use serde_json::{Value, json};
use types::{Amount, Readers, Units};

use super::Context;
use crate::failure::{Explain, Failure, NO_RESULT, Outcome};
use crate::jobs::{self, Done, Jobs, Results, Step};
use crate::output::{Output, bytes, count, dollars, duration, plural, short, usd};
use crate::request::{JobArguments, Request, Stdin};
use crate::signals::asked_to_end;

/// Have a program run by a provider, and bring the results home
///
/// The program sees --input as /in, writes files to /out (which go to --output) or to its working
/// directory, and has standard streams, arguments and an environment. It has no network, and its
/// clock and randomness follow from the lease, so that the same job gives the same result
/// everywhere.
///
/// Exit codes: the program's own, its lowest byte. A program that is stopped ends with 128 plus a
/// signal's number, as shells have it: 132 called a function that is not there, 134 reached
/// `unreachable` (a panic or abort), 136 divided by zero or overflowed, 139 went out of memory's
/// or the stack's bounds, 152 used up its fuel. 126: it could not begin. 125: there is no result,
/// for a reason that has nothing to do with the program; 130: stopped with Ctrl-C. With --split
/// it is the code of the first part that did not end with 0.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    job: JobArguments,

    /// Where the files of /out go; must be empty or absent
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Keep the proof of each lease's bill, for `idlewild verify`; parts go to FILE.0, FILE.1, …
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Outcome<u8> {
    match execute(context, arguments).await {
        Ok(code) => Ok(code),
        Err(failure) => {
            context.output.fail(&failure);
            Ok(if failure.is_stop() { failure.code() } else { NO_RESULT })
        }
    }
}

async fn execute(context: &Context, arguments: Arguments) -> Outcome<u8> {
    let Arguments { job, output, bundle } = arguments;
    let request = job.request(Stdin::Taken)?;
    if let Some(directory) = &output {
        check_empty(directory)?;
    }
    let (network, signer) = context.signer().await?;
    let began = Instant::now();
    let bar = context.output.bar(u64::from(request.count()), "jobs");
    let told = |what: &str| bar.set_message(format!("uploading {what}"));
    let names = jobs::upload(&signer, &request.contents, &told).await?;
    let specs = request.specs(&names)?;
    let jobs = Jobs::new(signer, request.terms.clone()).await?;
    let watch = |index: usize, step: Step| show_step(context.output, &bar, &request, index, step);
    let done = tokio::select! {
        done = jobs.run_many(&specs, &watch) => done,
        () = asked_to_end() => Err(Failure::stopped()),
    };
    // Whatever happened, nothing is left running that nobody waits for.
    jobs.close().await;
    bar.finish_and_clear();
    let done = done?;
    let mut parts = Vec::with_capacity(done.len());
    for (index, done) in done.into_iter().enumerate() {
        let results = jobs.results(&done).await?;
        if let Some(directory) = &output {
            let to = part_directory(directory, &request, index);
            jobs.save(&done, &results, &to).await?;
        }
        if let Some(path) = &bundle {
            let bundle = network.client.bundle(done.lease.id).await?;
            let text = serde_json::to_vec(&bundle).because("cannot write the bundle")?;
            let path = part_file(path, &request, index);
            let unwritten = || format!("cannot write {}", path.display());
            std::fs::write(&path, text).because(unwritten())?;
        }
        parts.push(Part { done, results });
    }
    let code = parts.iter().map(|part| exit_code(part.done.usage.exit)).find(|code| *code != 0);
    let report = Report { request: &request, parts: &parts, began, saved: output.as_deref() };
    report.show(context.output)?;
    Ok(code.unwrap_or(0))
}

/// A job with what it wrote.
struct Part {
    done: Done,
    results: Results,
}

/// What is shown at the end.
struct Report<'a> {
    request: &'a Request,
    parts: &'a [Part],
    began: Instant,
    saved: Option<&'a Path>,
}

impl Report<'_> {
    fn show(&self, output: Output) -> Outcome<()> {
        if output.json {
            output.show("", &self.to_json())?;
        } else {
            for part in self.parts {
                output.raw(&part.results.stdout)?;
                output.raw_error(&part.results.stderr);
            }
        }
        for (index, part) in self.parts.iter().enumerate() {
            output.say(self.line(index, part));
        }
        if self.parts.len() > 1 {
            output.say(format_args!(
                "all {} parts: {} Mfuel, {} paid, {}",
                self.parts.len(),
                count(self.units().get()),
                usd(self.paid()),
                duration(self.began.elapsed()),
            ));
        }
        output.say(format_args!("inputs seen by: {}", self.seen_by().join("; ")));
        output.say("CONFIDENTIALITY: NONE (providers run on ordinary hardware)");
        Ok(())
    }

    fn line(&self, index: usize, part: &Part) -> String {
        let Part { done, results } = part;
        let lease = &done.lease;
        let name = if self.request.is_split() { format!("part {index}: ") } else { String::new() };
        let again = if done.attempts > 1 {
            format!(", placed {} times", done.attempts)
        } else {
            String::new()
        };
        let files: u64 = results.files.contents().map(|(_, length)| length).sum();
        let files = match (results.files.entries().len(), self.saved) {
            (0, _) => String::new(),
            (number, Some(_)) => format!(", {} ({})", plural(number, "file"), bytes(files)),
            (number, None) => {
                let (number, size) = (plural(number, "file"), bytes(files));
                format!(", {number} ({size}) not kept: --output DIR keeps them")
            }
        };
        format!(
            "{name}{}; {} Mfuel, {} paid to {}{again}{files}; lease {}",
            describe(done.usage.exit),
            count(lease.settlement.units.get()),
            usd(lease.settlement.gross.saturating_plus(lease.settlement.premium)),
            lease.provider,
            lease.id,
        )
    }

    fn to_json(&self) -> Value {
        let parts: Vec<Value> = self.parts.iter().map(part_json).collect();
        let codes = self.parts.iter().map(|part| exit_code(part.done.usage.exit));
        json!({
            "ok": true,
            "exit_code": codes.clone().find(|code| *code != 0).unwrap_or(0),
            "jobs": parts,
            "units": self.units(),
            "paid_usd": dollars(self.paid()),
            "elapsed_ms": u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "inputs_seen_by": self.seen_by(),
            "confidentiality": "none",
            "output": self.saved,
        })
    }

    fn units(&self) -> Units {
        let units = self.parts.iter().map(|part| part.done.lease.settlement.units);
        units.fold(Units::ZERO, Units::saturating_plus)
    }

    fn paid(&self) -> Amount {
        let paid = self.parts.iter().map(|part| {
            let settlement = &part.done.lease.settlement;
            settlement.gross.saturating_plus(settlement.premium)
        });
        paid.fold(Amount::ZERO, Amount::saturating_plus)
    }

    fn seen_by(&self) -> Vec<String> {
        let mut seen: Vec<String> = self
            .parts
            .iter()
            .map(|part| format!("provider {}", part.done.lease.provider))
            .collect();
        seen.sort();
        seen.dedup();
        match self.request.terms.audit.readers {
            Readers::Auditors => seen.push("auditors drawn for it, if any".to_owned()),
            Readers::Nobody => seen.push("nobody else (the work is unverified)".to_owned()),
        }
        seen.push("the node that stores them".to_owned());
        seen
    }
}

fn part_json(part: &Part) -> Value {
    let Part { done, results } = part;
    let lease = &done.lease;
    let files: Vec<&str> =
        results.files.entries().iter().map(|entry| entry.path.as_str()).collect();
    json!({
        "lease": lease.id,
        "provider": lease.provider,
        "exit": done.usage.exit,
        "exit_code": exit_code(done.usage.exit),
        "fuel": done.usage.fuel,
        "units": lease.settlement.units,
        "paid_usd": dollars(lease.settlement.gross.saturating_plus(lease.settlement.premium)),
        "work_root": done.receipt.receipt.work_root,
        "attempts": done.attempts,
        "stdout": String::from_utf8_lossy(&results.stdout),
        "stderr": String::from_utf8_lossy(&results.stderr),
        "files": files,
    })
}

fn show_step(
    output: Output,
    bar: &indicatif::ProgressBar,
    request: &Request,
    index: usize,
    step: Step,
) {
    let job = if request.is_split() { format!("part {index}") } else { "the job".to_owned() };
    match step {
        Step::Waiting => bar.set_message(format!("{job} waits: everybody is busy")),
        Step::Leased(provider) => bar.set_message(format!("{job} leased to {}", short(provider))),
        Step::Started(provider) => bar.set_message(format!("{job} runs at {}", short(provider))),
        Step::Lost(provider, why) => bar.suspend(|| {
            output.say(format_args!("{job} is placed again: {why} ({provider})"));
        }),
        Step::Done(_) => bar.inc(1),
    }
}

/// Returns where the files of a part go.
fn part_directory(directory: &Path, request: &Request, index: usize) -> PathBuf {
    if request.is_split() { directory.join(index.to_string()) } else { directory.to_owned() }
}

/// Returns where the bundle of a part goes.
fn part_file(path: &Path, request: &Request, index: usize) -> PathBuf {
    if !request.is_split() {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{index}"));
    name.into()
}

fn check_empty(directory: &Path) -> Outcome<()> {
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

fn describe(exit: JobExit) -> String {
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
