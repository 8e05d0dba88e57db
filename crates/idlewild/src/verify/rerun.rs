//! Runs a lease's job again on this machine and compares what came of it with the receipt.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::ValueEnum;
use classes::job::{Spec, Usage};
use executors::job::{Bounds, Input, Job, Outcome as JobOutcome, run};
use executors::wasm::GuestStack;
use executors::wasm::compiler::{Compiler, CompilerOptions};
use executors::wasm::interpreter::Interpreter;
use types::{ContentHash, Decode, manifest::EntryKind};

use super::Proven;
use crate::failure::{Explain, Failure, Outcome};
use crate::output::count;
use crate::part::describe;

/// What runs a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Engine {
    /// Native code, as providers run it.
    #[default]
    Compiler,
    /// An interpreter that shares no code with the compiler; slower by a factor of ten or more.
    Interpreter,
}

/// The files that a job was given.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// The program.
    pub(crate) program: PathBuf,
    /// The directory that it sees as `/in`.
    pub(crate) input: Option<PathBuf>,
    /// Its standard input.
    pub(crate) stdin: Option<PathBuf>,
}

/// Runs the job of a proven lease again.
///
/// # Errors
/// When the files are not those of the order, the job cannot be run here, or another work root
/// comes of it.
pub(crate) fn rerun(proven: &Proven, given: &Given, engine: Engine) -> Outcome<String> {
    let receipt = proven.receipts.last().ok_or_else(|| {
        Failure::usage("the lease has no receipt, so there is nothing to compare a run with")
    })?;
    if proven.lease.class != classes::job::ID {
        return Err(Failure::usage("only leases of class `job` can be run again"));
    }
    let job = job(proven, given)?;
    let outcome = execute(job, engine)?;
    let claimed = Usage::from_bytes(receipt.receipt.usage.as_slice())
        .because("the receipt's usage cannot be decoded")?;
    if outcome.usage != claimed {
        return Err(Failure::new(
            crate::failure::Exit::Failed,
            format_args!(
                "this machine gets another result: {} fuel and `{}` here, {} fuel and `{}` in the \
                 receipt",
                count(outcome.usage.fuel),
                describe(outcome.usage.exit),
                count(claimed.fuel),
                describe(claimed.exit)
            ),
        )
        .hint("if both engines agree here, the provider's receipt is false"));
    }
    let receipt = &receipt.receipt;
    if outcome.trace(&receipt.lease) != receipt.trace {
        return Err(Failure::new(
            crate::failure::Exit::Failed,
            "the result is the same, but not the way to it: the work root differs",
        )
        .hint("the provider may have copied the result instead of computing it"));
    }
    let root = types::Receipt::work_root(&claimed.result_root(), &receipt.trace);
    Ok(format!("{} fuel again, the same work root {root}", count(claimed.fuel)))
}

fn job(proven: &Proven, given: &Given) -> Outcome<Job> {
    let spec = Spec::from_bytes(proven.order.terms.spec.as_slice())
        .because("the order's specification cannot be decoded")?;
    let program = read(&given.program)?;
    named(&program, spec.program, "--program is not the program of this lease")?;
    let stdin: Arc<[u8]> = match (spec.stdin, &given.stdin) {
        (None, None) => Arc::default(),
        (Some(hash), Some(path)) => {
            let bytes = read(path)?;
            named(&bytes, hash, "--stdin is not the standard input of this lease")?;
            bytes
        }
        (Some(_), None) => {
            return Err(Failure::usage("this lease had standard input: give it with --stdin"));
        }
        (None, Some(_)) => {
            return Err(Failure::usage("this lease had no standard input: leave out --stdin"));
        }
    };
    let input = input(spec.input, given)?;
    Ok(Job { spec, created: proven.lease.created, program, input, stdin })
}

fn input(expected: Option<ContentHash>, given: &Given) -> Outcome<Input> {
    let (expected, directory) = match (expected, &given.input) {
        (None, None) => return Ok(Input::default()),
        (Some(expected), Some(directory)) => (expected, directory),
        (Some(_), None) => {
            return Err(Failure::usage("this lease had inputs: give them with --input"));
        }
        (None, Some(_)) => {
            return Err(Failure::usage("this lease had no inputs: leave out --input"));
        }
    };
    let packed = api::directory::pack(directory)?;
    if packed.manifest.hash() != expected {
        return Err(Failure::usage("--input is not the directory of this lease"));
    }
    let mut contents: BTreeMap<ContentHash, Arc<[u8]>> = BTreeMap::new();
    let mut input = Input::default();
    for entry in packed.manifest.entries() {
        let hash = match entry.kind {
            EntryKind::File { hash, .. } => hash,
            EntryKind::Directory {} => {
                input.directories.push(entry.path.clone());
                continue;
            }
            EntryKind::Symlink { .. } => continue,
        };
        let bytes = match (contents.get(&hash), packed.files.get(&hash)) {
            (Some(bytes), _) => Arc::clone(bytes),
            (None, Some(path)) => read(path)?,
            (None, None) => continue,
        };
        named(&bytes, hash, "a file of --input changed while it was read")?;
        contents.insert(hash, Arc::clone(&bytes));
        input.files.push((entry.path.clone(), bytes));
    }
    Ok(input)
}

fn read(path: &PathBuf) -> Outcome<Arc<[u8]>> {
    let bytes = fs::read(path).because(format_args!("cannot read {}", path.display()))?;
    Ok(bytes.into())
}

fn named(bytes: &[u8], hash: ContentHash, otherwise: &str) -> Outcome<()> {
    let found = ContentHash::of(bytes);
    if found == hash {
        return Ok(());
    }
    Err(Failure::usage(otherwise).hint(format_args!("expected {hash}, found {found}")))
}

/// Runs a job in this process, which holds no key while it verifies.
fn execute(job: Job, engine: Engine) -> Outcome<JobOutcome> {
    let bounds = Bounds::default();
    let result = GuestStack::scope(|stack| match engine {
        Engine::Compiler => {
            let options = CompilerOptions { guests_max: 1, ..CompilerOptions::default() };
            run(&Compiler::new(&options)?, stack, job, &bounds)
        }
        Engine::Interpreter => run(&Interpreter::new(Default::default())?, stack, job, &bounds),
    });
    let outcome = result.because("cannot start a thread for the job")?;
    outcome.because("this machine cannot finish the job")
}
