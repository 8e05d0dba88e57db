//! Both engines, and what must be equal between them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use executors::job::{self, Bounds, Outcome};
use executors::wasm::compiler::{Compiler, CompilerOptions};
use executors::wasm::engine::Engine;
use executors::wasm::interpreter::Interpreter;
use executors::wasm::{CacheLimits, GuestStack};
use types::Encode;

use crate::work::{CREATED, Work, content_of};

static COMPILER: LazyLock<Compiler> =
    LazyLock::new(|| Compiler::new(&CompilerOptions::default()).unwrap());
static INTERPRETER: LazyLock<Interpreter> =
    LazyLock::new(|| Interpreter::new(CacheLimits::default()).unwrap());

pub(crate) fn run_on<E: Engine>(engine: &E, work: &Work) -> Outcome {
    let get = |hash| work.contents.get(&hash).cloned().ok_or(hash);
    match job::gather(work.spec.clone(), CREATED, get).unwrap() {
        Ok(job) => {
            let run = |stack: &GuestStack| job::run(engine, stack, job, &Bounds::default());
            GuestStack::scope(run).unwrap().unwrap()
        }
        Err(outcome) => outcome,
    }
}

pub(crate) fn compiled(work: &Work) -> Outcome {
    run_on(&*COMPILER, work)
}

pub(crate) fn interpreted(work: &Work) -> Outcome {
    run_on(&*INTERPRETER, work)
}

/// Runs a job on both engines, asserts that they agree on everything, and returns the outcome.
pub(crate) fn on_both(work: &Work) -> Outcome {
    let compiled = compiled(work);
    assert_same(&compiled, &interpreted(work));
    compiled
}

/// Asserts that two outcomes of one job are equal in all that is part of the result.
pub(crate) fn assert_same(one: &Outcome, other: &Outcome) {
    assert_eq!(one.usage.exit, other.usage.exit);
    assert_eq!(one.usage.fuel, other.usage.fuel);
    assert_eq!(one.manifest, other.manifest);
    assert_eq!(one.trace_root, other.trace_root);
    assert_eq!(one.digest(), other.digest());
    assert_eq!(one.contents, other.contents);
}

/// Returns a text that a job wrote.
pub(crate) fn text(outcome: &Outcome, path: &str) -> String {
    String::from_utf8(content_of(&outcome.manifest, &outcome.contents, path)).unwrap()
}

/// Asserts that an outcome has the usage and the trace root that every build of this crate gives,
/// on every machine.
pub(crate) fn assert_pinned(outcome: &Outcome, usage: &str, trace_root: &str) {
    let found: String = outcome.usage.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("usage {found}, trace root {}", outcome.trace_root);
    assert_eq!((found.as_str(), outcome.trace_root.to_string().as_str()), (usage, trace_root));
}

/// Returns the root of the repository.
pub(crate) fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Returns whether the tests run at their full size.
pub(crate) fn is_long() -> bool {
    std::env::var_os("IDLEWILD_LONG").is_some()
}

/// Returns whether the tests run under an emulator, of which the speed says nothing.
pub(crate) fn is_emulated() -> bool {
    std::env::var_os("IDLEWILD_EMULATED").is_some()
}

/// Runs a script; returns whether it could do its work, having said why not.
pub(crate) fn script(command: &mut Command) -> bool {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) {
        println!("skipped: {}", said.trim_end());
        return false;
    }
    assert!(output.status.success(), "{command:?}: {said}");
    true
}
