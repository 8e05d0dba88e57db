//! `idlewild run`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::Args;
use serde_json::{Value, json};
use types::{Amount, LeaseId, Readers, Units};

use super::Context;
use crate::failure::{Explain, Failure, NO_RESULT, Outcome};
use crate::jobs::{self, Done, Ends, Jobs, Step};
use crate::output::{Output, count, dollars, duration, short, usd};
use crate::part::{Part, check_empty, check_file};
use crate::request::{JobArguments, Request, Stdin};
use crate::signals::asked_to_end;

/// Have a program run by a provider, and bring the results home
///
/// The program sees --input as /in, writes files to /out (which go to --output) or to its working
/// directory, and has standard streams, arguments and an environment. It has no network, and its
/// clock and randomness follow from the lease, so that the same job gives the same result
/// everywhere. A terminal is shown no control characters of it; a file or pipe gets all bytes.
///
/// Each lease is checked as `idlewild verify` does it before it counts as done, and each part is
/// saved as soon as it is. Where it ends early, the leases that are paid are named: `idlewild
/// lease fetch` gets results later.
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
    if let Some(path) = &bundle {
        let parts = 0..usize::try_from(request.count()).unwrap_or(usize::MAX);
        parts
            .map(|index| part_file(path, &request, index))
            .try_for_each(|path| check_file(&path))?;
    }
    let (_, signer) = context.signer().await?;
    let began = Instant::now();
    let bar = context.output.bar(u64::from(request.count()), "jobs");
    let told = |what: &str| bar.set_message(format!("uploading {what}"));
    let names = jobs::upload(&signer, &request.contents, &told).await?;
    let specs = request.specs(&names)?;
    let jobs = Jobs::new(signer, request.terms.clone()).await?;
    let watch = |index: usize, step: Step| show_step(context.output, &bar, &request, index, step);
    let kept = Kept { request: &request, output, bundle, parts: Mutex::default() };
    let deliver = async |index: usize, done: Done| kept.keep(&jobs, index, done).await;
    let end = tokio::select! {
        end = jobs.run_many(&specs, &watch, deliver) => end,
        () = stopped(&jobs, &bar) => Err(Failure::stopped()),
    };
    // Whatever happened, nothing is left running that nobody waits for.
    let ends = jobs.close().await;
    bar.finish_and_clear();
    let parts = kept.parts.lock().unwrap_or_else(PoisonError::into_inner);
    let saved = kept.output.as_deref();
    let report = Report { request: &request, parts: &parts, began, saved };
    // Jobs that wait for a provider end without a result when they are asked to.
    let is_whole = u64::try_from(parts.len()) == Ok(u64::from(request.count()));
    match end.and_then(|()| if is_whole { Ok(()) } else { Err(Failure::stopped()) }) {
        Ok(()) => {
            report.show(context.output)?;
            Ok(report.exit_code())
        }
        Err(failure) => {
            let here = |lease: &LeaseId| parts.values().any(|part| part.done.lease.id == *lease);
            let mut unfetched = jobs.paid();
            unfetched.retain(|lease| !here(lease));
            report.show_failed(context.output, failure, &unfetched, &ends)
        }
    }
}

/// Waits until the tenant wants no more, and for the answer to an order that is on its way then.
async fn stopped(jobs: &Jobs, bar: &indicatif::ProgressBar) {
    asked_to_end().await;
    bar.set_message("closing what is open");
    jobs.stop().await;
}

/// What is kept of each part, as soon as it is done.
struct Kept<'a> {
    request: &'a Request,
    output: Option<PathBuf>,
    bundle: Option<PathBuf>,
    parts: Mutex<BTreeMap<usize, Part>>,
}

impl Kept<'_> {
    async fn keep(&self, jobs: &Jobs, index: usize, done: Done) -> Outcome<()> {
        if let Some(path) = &self.bundle {
            let text = serde_json::to_vec(&done.bundle).because("cannot write the bundle")?;
            let path = part_file(path, self.request, index);
            let unwritten = || format!("cannot write {}", path.display());
            std::fs::write(&path, text).because(unwritten())?;
        }
        let results = jobs.results(&done).await?;
        if let Some(directory) = &self.output {
            let to = part_directory(directory, self.request, index);
            jobs.save(&done, &results, &to).await?;
        }
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.insert(index, Part { done, results });
        Ok(())
    }
}

/// What is shown at the end.
struct Report<'a> {
    request: &'a Request,
    parts: &'a BTreeMap<usize, Part>,
    began: Instant,
    saved: Option<&'a Path>,
}

impl Report<'_> {
    fn show(&self, output: Output) -> Outcome<()> {
        if output.json {
            return output.show("", &self.to_json()).map(|()| self.say(output));
        }
        self.show_streams(output)?;
        self.say(output);
        Ok(())
    }

    /// Shows what there is although not everything is, and which leases are paid without a result
    /// here; returns the failure with all of it.
    fn show_failed(
        &self,
        output: Output,
        failure: Failure,
        unfetched: &[LeaseId],
        ends: &Ends,
    ) -> Outcome<u8> {
        if !output.json {
            self.show_streams(output)?;
        }
        if !self.parts.is_empty() {
            self.say(output);
        }
        for lease in unfetched {
            output.warn(format_args!(
                "lease {lease} is paid and its results are not here: `idlewild lease fetch {lease} \
                 --output DIR` gets them"
            ));
        }
        for lease in &ends.given_up {
            output.warn(format_args!(
                "lease {lease} was closed before its end: `idlewild lease {lease}` says what it \
                 cost"
            ));
        }
        for lease in &ends.unknown {
            output.warn(format_args!(
                "the node did not say what became of the order {lease}: `idlewild lease {lease}` \
                 says whether it is leased"
            ));
        }
        let parts: Vec<Value> = self.parts.values().map(Part::to_json).collect();
        Err(failure
            .with("jobs", json!(parts))
            .with("unfetched", json!(unfetched))
            .with("given_up", json!(ends.given_up))
            .with("unknown", json!(ends.unknown)))
    }

    fn show_streams(&self, output: Output) -> Outcome<()> {
        self.parts.values().try_for_each(|part| part.show_streams(output))
    }

    fn say(&self, output: Output) {
        for (index, part) in self.parts {
            let name = match self.request.is_split() {
                true => format!("part {index}: "),
                false => String::new(),
            };
            output.say(format_args!("{name}{}", part.line(self.saved)));
        }
        if self.parts.len() > 1 {
            let count_of = match self.parts.len() == usize_of(self.request.count()) {
                true => format!("all {} parts", self.parts.len()),
                false => format!("{} of {} parts", self.parts.len(), self.request.count()),
            };
            output.say(format_args!(
                "{count_of}: {} Mfuel, {} paid, {}",
                count(self.units().get()),
                usd(self.paid()),
                duration(self.began.elapsed()),
            ));
        }
        let mut held = self.parts.values().filter(|part| part.is_held());
        if let Some(first) = held.next() {
            let lease = match held.next() {
                None => first.done.lease.id.to_string(),
                Some(_) => "LEASE".to_owned(),
            };
            output.say(format_args!(
                "the price is held while the work may be found wrong; `idlewild lease {lease}` \
                 says how far that is"
            ));
        }
        output.say(format_args!("inputs seen by: {}", self.seen_by().join("; ")));
        output.say("CONFIDENTIALITY: NONE (providers run on ordinary hardware)");
    }

    fn exit_code(&self) -> u8 {
        self.parts.values().map(Part::exit_code).find(|code| *code != 0).unwrap_or(0)
    }

    fn to_json(&self) -> Value {
        let parts: Vec<Value> = self.parts.values().map(Part::to_json).collect();
        json!({
            "ok": true,
            "exit_code": self.exit_code(),
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
        let units = self.parts.values().map(|part| part.done.lease.settlement.units);
        units.fold(Units::ZERO, Units::saturating_plus)
    }

    fn paid(&self) -> Amount {
        self.parts.values().map(Part::paid).fold(Amount::ZERO, Amount::saturating_plus)
    }

    fn seen_by(&self) -> Vec<String> {
        let mut seen: Vec<String> = self
            .parts
            .values()
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

fn usize_of(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
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
        Step::Waiting { reach: Some(reach), beyond: Some(beyond) } => bar.set_message(format!(
            "{job} waits: who asks at most {} is busy (--max-price would allow the {} of others)",
            usd(reach),
            usd(beyond),
        )),
        Step::Waiting { .. } => bar.set_message(format!("{job} waits: everybody is busy")),
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
