//! Runs one job: a specification and its content in, an outcome out.
//!
//! Everything that a guest sees comes from the arguments, so an auditor that has the same ones
//! gets the same [`Outcome`], bit for bit, on either engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blake3::Hasher;
use classes::job::{Exit, Spec, Usage};
use types::manifest::{Entry, EntryKind, RelativePath};
use types::{ContentHash, Decode, Encode, Hash, Manifest, Receipt, Text, Time};

use crate::wasi::{Host, HostConfig, HostLimits, InputPath, Inputs, Output, OutputKind, Outputs};
use crate::wasm::GuestStack;
use crate::wasm::engine::{self, Engine, HostAbort, PrepareError, RunLimits, TrapKind};
use crate::wasm::instrument::ModuleLimits;
use crate::wasm::specification::{METERING_VERSION, bounds};

/// The most bytes of standard output, and of standard error.
const STREAM_BYTES_MAX: u64 = 16 << 20;

/// A job with all that it reads.
#[derive(Debug, Clone)]
pub struct Job {
    /// What is to be done.
    pub spec: Spec,
    /// When the lease was matched: where the program's clock starts.
    pub created: Time,
    /// The program.
    pub program: Arc<[u8]>,
    /// The files below `/in`.
    pub input: Vec<(RelativePath, Arc<[u8]>)>,
    /// Standard input.
    pub stdin: Arc<[u8]>,
}

/// What came of a job: the same on every machine.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The meter reading.
    pub usage: Usage,
    /// The root over what only execution yields.
    pub trace_root: Hash,
    /// What the job wrote.
    pub manifest: Manifest,
    /// The content that the manifest names, and its own encoding.
    pub contents: Contents,
    /// Why the job could not begin, for people to read; not part of the result.
    pub unrunnable: Option<String>,
}

/// Content by name.
pub type Contents = BTreeMap<ContentHash, Arc<[u8]>>;

impl Outcome {
    /// Returns what a receipt commits to.
    #[must_use]
    pub fn work_root(&self) -> Hash {
        Receipt::commit(&self.usage.result_root(), &self.trace_root)
    }
}

/// Bounds the run from outside; reaching one gives no outcome.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// The wall-clock time after which the run is aborted.
    pub wall: Option<Duration>,
    /// Aborts the run soon after it becomes true.
    pub stop: Option<Arc<AtomicBool>>,
}

/// Puts together what `spec` names, with content from `get`; the outcome if it cannot begin.
///
/// # Errors
/// That of `get`.
pub fn gather<E>(
    spec: Spec,
    created: Time,
    mut get: impl FnMut(ContentHash) -> Result<Arc<[u8]>, E>,
) -> Result<Result<Job, Outcome>, E> {
    let program = get(spec.program)?;
    let stdin = spec.stdin.map(&mut get).transpose()?.unwrap_or_default();
    let mut input = Vec::new();
    if let Some(manifest) = spec.input {
        match input_files(&get(manifest)?) {
            Ok(files) => {
                for (path, hash) in files {
                    input.push((path, get(hash)?));
                }
            }
            Err(why) => return Ok(Err(unrunnable(why))),
        }
    }
    Ok(Ok(Job { spec, created, program, input, stdin }))
}

/// Runs `job` on `engine`, on a thread that has a guest's stack.
///
/// # Errors
/// [`HostAbort`] when this machine could not finish it; says nothing about the job.
pub fn run<E: Engine>(
    engine: &E,
    stack: &GuestStack,
    job: Job,
    bounds: &Bounds,
) -> Result<Outcome, HostAbort> {
    let began = Instant::now();
    if job.spec.metering != METERING_VERSION {
        let why = format!("version {} of the metering is not served", job.spec.metering);
        return Err(HostAbort::Engine(why));
    }
    if let Err(malformed) = job.spec.validate() {
        return Ok(unrunnable(malformed.to_string()));
    }
    if bounds.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
        return Err(HostAbort::Stopped);
    }
    if let Some(outcome) = too_large(job.program.len()) {
        return Ok(outcome);
    }
    let limits = ModuleLimits { memory_pages: job.spec.limits.memory_pages };
    let module = match engine.prepare(&job.program, &limits) {
        Ok(module) => module,
        Err(PrepareError::Module(error)) => return Ok(unrunnable(error.to_string())),
        Err(PrepareError::Abort(abort)) => return Err(abort),
    };
    let fuel = job.spec.limits.fuel;
    let host = match host(job) {
        Ok(host) => host,
        Err(error) => return Ok(unrunnable(error)),
    };
    let wall = bounds.wall.map(|wall| wall.saturating_sub(began.elapsed()));
    let limits = RunLimits { fuel, wall, stop: bounds.stop.clone() };
    let run = engine.run(stack, &module, host, &limits)?;
    let trace_root = Hash::from_bytes(run.trace_root);
    Ok(outcome(run.host.finish(), exit(run.exit), run.fuel_used, trace_root))
}

/// Returns the outcome of a job whose program has `bytes` bytes, if those are too many to look at.
#[must_use]
pub fn too_large(bytes: usize) -> Option<Outcome> {
    let most = bounds::MODULE_BYTES_MAX;
    let why = || format!("bytes of the module: {bytes} is above the limit of {most}");
    (bytes > most).then(|| unrunnable(why()))
}

/// Returns the outcome of a job that cannot begin; what it says is not part of the result.
fn unrunnable(why: String) -> Outcome {
    let trace_root = Hash::of("idlewild unrunnable", &[]);
    let empty = outcome(Outputs::default(), Exit::Unrunnable, 0, trace_root);
    Outcome { unrunnable: Some(why), ..empty }
}

fn outcome(outputs: Outputs, exit: Exit, fuel: u64, trace_root: Hash) -> Outcome {
    let (manifest, mut contents) = describe(outputs);
    let encoded: Arc<[u8]> = manifest.to_bytes().into();
    let usage = Usage { fuel, exit, output: ContentHash::of(&encoded) };
    contents.insert(usage.output, encoded);
    Outcome { usage, trace_root, manifest, contents, unrunnable: None }
}

/// Returns the manifest of what a run left behind, and the content that it names.
pub(crate) fn describe(outputs: Outputs) -> (Manifest, Contents) {
    let mut entries = Vec::with_capacity(outputs.entries.len().saturating_add(2));
    let mut contents = Contents::new();
    let mut add_file = |entries: &mut Vec<Entry>, path: &str, bytes: Arc<[u8]>| {
        let hash = ContentHash::of(&bytes);
        let count = u64::try_from(bytes.len()).expect("a length fits 64 bits");
        entries.push(entry(path, EntryKind::File { hash, bytes: count }));
        contents.insert(hash, bytes);
    };
    for Output { path, kind } in outputs.entries {
        let path = format!("out/{path}");
        match kind {
            OutputKind::File { content, .. } => {
                add_file(&mut entries, &path, content.as_slice().into());
            }
            OutputKind::Symlink(target) => {
                let target = Text::new(&*target).expect("the host bounds link targets");
                entries.push(entry(&path, EntryKind::Symlink { target }));
            }
            OutputKind::Directory => entries.push(entry(&path, EntryKind::Directory {})),
        }
    }
    add_file(&mut entries, "stderr", outputs.stderr.into());
    add_file(&mut entries, "stdout", outputs.stdout.into());
    entries.sort_by(|a, b| a.path.as_str().split('/').cmp(b.path.as_str().split('/')));
    let manifest = Manifest::new(entries).expect("the host's tree is a tree within the limits");
    (manifest, contents)
}

fn entry(path: &str, kind: EntryKind) -> Entry {
    let path = RelativePath::new(path).expect("the host bounds names and depths");
    Entry { path, kind }
}

/// Returns the world that the job sees.
fn host(job: Job) -> Result<Host, String> {
    let Job { spec, created, input, stdin, .. } = job;
    let stream_bytes = spec.limits.output_bytes.min(STREAM_BYTES_MAX);
    let limits = HostLimits {
        written_bytes_max: spec.limits.output_bytes,
        stdout_bytes_max: stream_bytes,
        stderr_bytes_max: stream_bytes,
        ..HostLimits::default()
    };
    let mut files = Vec::with_capacity(input.len());
    for (path, bytes) in input {
        let path = InputPath::parse(path.as_str()).map_err(|error| error.to_string())?;
        files.push((path, bytes));
    }
    let mut arguments = vec!["program".to_owned()];
    arguments.extend(spec.arguments.iter().map(|text| text.as_str().to_owned()));
    let variable = |text: &Text<{ classes::job::ARGUMENT_BYTES_MAX }>| {
        let (name, value) = text.as_str().split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    let mut seed = Hasher::new_derive_key("idlewild 1 job randomness");
    seed.update(spec.seed.as_bytes());
    let config = HostConfig {
        inputs: Inputs { files, stdin },
        arguments,
        environment: spec.environment.iter().filter_map(variable).collect(),
        realtime_start_ns: created.as_ms().saturating_mul(1_000_000),
        fuel: spec.limits.fuel,
        random_seed: *seed.finalize().as_bytes(),
        limits,
    };
    Host::new(&config).map_err(|error| error.to_string())
}

const fn exit(exit: engine::Exit) -> Exit {
    match exit {
        engine::Exit::Code(code) => Exit::Code(code),
        engine::Exit::Trap(kind) => match kind {
            TrapKind::Unreachable => Exit::Unreachable,
            TrapKind::MemoryOutOfBounds | TrapKind::TableOutOfBounds => Exit::OutOfBounds,
            TrapKind::IndirectCallToNull | TrapKind::BadSignature => Exit::BadCall,
            TrapKind::IntegerDivideByZero => Exit::DivisionByZero,
            TrapKind::IntegerOverflow | TrapKind::BadConversionToInteger => Exit::IntegerOverflow,
            TrapKind::OutOfFuel => Exit::OutOfFuel,
            TrapKind::StackExhausted => Exit::StackExhausted,
        },
    }
}

/// Decodes the manifest of a job's inputs, which may hold files only.
///
/// # Errors
/// Text that says what is wrong with it.
pub fn input_files(manifest: &[u8]) -> Result<Vec<(RelativePath, ContentHash)>, String> {
    let manifest = Manifest::from_bytes(manifest)
        .map_err(|error| format!("the manifest of the inputs is malformed: {error}"))?;
    let mut files = Vec::with_capacity(manifest.entries().len());
    for Entry { path, kind } in manifest.entries() {
        match kind {
            EntryKind::File { hash, .. } => files.push((path.clone(), *hash)),
            EntryKind::Symlink { .. } => {
                return Err(format!("the input {path} is a symbolic link"));
            }
            EntryKind::Directory {} => {}
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wasi::Content;

    #[test]
    fn a_program_is_too_large_above_the_bound_only() {
        assert!(too_large(bounds::MODULE_BYTES_MAX).is_none());
        let outcome = too_large(bounds::MODULE_BYTES_MAX + 1).unwrap();
        assert_eq!((outcome.usage.exit, outcome.usage.fuel), (Exit::Unrunnable, 0));
        // Standard output and error are one empty content.
        assert_eq!(outcome.contents.len(), 2);
        assert!(outcome.manifest.contents().all(|(hash, _)| outcome.contents.contains_key(&hash)));
    }

    #[test]
    fn inputs_are_files() {
        let target = Text::new("/etc/passwd").unwrap();
        let link = Manifest::new(vec![entry("link", EntryKind::Symlink { target })]).unwrap();
        assert_eq!(input_files(&link.to_bytes()).unwrap_err(), "the input link is a symbolic link");
        let empty = Manifest::new(vec![entry("empty", EntryKind::Directory {})]).unwrap();
        assert!(input_files(&empty.to_bytes()).unwrap().is_empty());
        assert!(input_files(b"\x01").is_err());
    }

    #[test]
    fn outputs_are_described_in_the_order_of_their_components() {
        let file = |path: &str| Output {
            path: path.to_owned(),
            kind: OutputKind::File {
                content: Arc::new(Content::Shared(Arc::default())),
                hash: [0; 32],
            },
        };
        let entries = vec![file("a-b"), file("a/b"), file("a.b")];
        let (manifest, contents) = describe(Outputs { entries, ..Outputs::default() });
        let paths: Vec<_> = manifest.entries().iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["out/a/b", "out/a-b", "out/a.b", "stderr", "stdout"]);
        assert_eq!(contents.len(), 1, "all of them are empty");
    }
}
