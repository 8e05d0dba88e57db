//! Runs one job: a specification and its content in, an outcome out.
//!
//! Everything that a guest sees comes from the arguments, so an auditor that has the same ones
//! gets the same [`Outcome`], bit for bit, on either engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blake3::Hasher;
use classes::job::{Exit, Limits, Spec, Usage};
use types::manifest::{Entry, EntryKind, MANIFEST_BYTES_MAX, RelativePath};
use types::{ContentHash, Decode, Encode, Hash, LeaseId, Manifest, Receipt, Text, Time};

use crate::wasi::{
    Content, Host, HostConfig, HostLimits, InputPath, Inputs, Output, OutputKind, Outputs,
    RESULT_ENTRIES_MAX,
};
use crate::wasm::GuestStack;
use crate::wasm::engine::{self, Engine, HostAbort, PrepareError, RunLimits, TrapKind};
use crate::wasm::instrument::{ModuleError, ModuleLimits};
use crate::wasm::specification::{METERING_VERSION, bounds};

/// The most bytes of standard output, and of standard error.
pub const STREAM_BYTES_MAX: u64 = 16 << 20;

/// A job with all that it reads.
#[derive(Debug, Clone)]
pub struct Job {
    /// What is to be done.
    pub spec: Spec,
    /// When the lease was matched: where the program's clock starts.
    pub created: Time,
    /// The program.
    pub program: Arc<[u8]>,
    /// What is below `/in`.
    pub input: Input,
    /// Standard input.
    pub stdin: Arc<[u8]>,
}

/// What a job finds below `/in`.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// The files.
    pub files: Vec<(RelativePath, Arc<[u8]>)>,
    /// The directories that have no files.
    pub directories: Vec<RelativePath>,
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
    /// Names result and trace, for comparing.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Receipt::work_root(&self.usage.result_root(), &self.trace_root)
    }

    /// Returns what the receipt of a lease says of how it came about.
    #[must_use]
    pub fn trace(&self, lease: &LeaseId) -> Hash {
        Receipt::commit(&Receipt::seal(lease, &self.trace_root))
    }
}

/// Bounds the run from outside; reaching one gives no outcome.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// The fuel beyond which nobody wants to know more: a run that has used more is aborted soon,
    /// unless it ends first.
    pub bill: Option<u64>,
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
    let mut input = Input::default();
    if let Some(manifest) = spec.input {
        match input_tree(&get(manifest)?) {
            Ok((files, directories)) => {
                let mut got = Contents::new();
                for (path, hash) in files {
                    let bytes = match got.get(&hash) {
                        Some(bytes) => Arc::clone(bytes),
                        None => get(hash)?,
                    };
                    got.insert(hash, Arc::clone(&bytes));
                    input.files.push((path, bytes));
                }
                input.directories = directories;
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
    let module = match prepare(engine, &job, bounds)? {
        Ok(module) => module,
        Err(outcome) => return Ok(outcome),
    };
    let wall = bounds.wall.map(|wall| wall.saturating_sub(began.elapsed()));
    run_prepared(engine, stack, job, &module, &Bounds { wall, ..bounds.clone() })
}

/// Makes the program of `job` ready, which cannot be interrupted; the outcome if it cannot begin.
///
/// # Errors
/// [`HostAbort`] when this machine could not do it; says nothing about the job.
pub fn prepare<E: Engine>(
    engine: &E,
    job: &Job,
    bounds: &Bounds,
) -> Result<Result<Arc<E::Module>, Outcome>, HostAbort> {
    if job.spec.metering != METERING_VERSION {
        let why = format!("version {} of the metering is not served", job.spec.metering);
        return Err(HostAbort::Engine(why));
    }
    if let Err(malformed) = job.spec.validate() {
        return Ok(Err(unrunnable(malformed.to_string())));
    }
    if bounds.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
        return Err(HostAbort::Stopped);
    }
    if let Some(outcome) = too_large(job.program.len()) {
        return Ok(Err(outcome));
    }
    let Limits { fuel, memory_pages, .. } = job.spec.limits;
    let limits = ModuleLimits { memory_pages, fuel };
    match engine.prepare(&job.program, &limits) {
        Ok(module) => Ok(Ok(module)),
        Err(PrepareError::Module(ModuleError::OutOfFuel)) => Ok(Err(unpaid(fuel))),
        Err(PrepareError::Module(error)) => Ok(Err(unrunnable(error.to_string()))),
        Err(PrepareError::Abort(abort)) => Err(abort),
    }
}

/// Runs `job`, whose program is `module`, on a thread that has a guest's stack.
///
/// # Errors
/// [`HostAbort`] when this machine could not finish it; says nothing about the job.
pub fn run_prepared<E: Engine>(
    engine: &E,
    stack: &GuestStack,
    job: Job,
    module: &E::Module,
    bounds: &Bounds,
) -> Result<Outcome, HostAbort> {
    let paid = E::compile_fuel(module);
    let fuel = job.spec.limits.fuel.saturating_sub(paid);
    let host = match host(job, fuel) {
        Ok(host) => host,
        Err(error) => return Ok(unrunnable(error)),
    };
    let Bounds { bill, wall, stop } = bounds.clone();
    let bill = match bill {
        Some(bill) => Some(bill.checked_sub(paid).ok_or(HostAbort::OverBill)?),
        None => None,
    };
    let limits = RunLimits { fuel, bill, wall, stop };
    let run = engine.run(stack, module, host, &limits)?;
    let trace_root = Hash::from_bytes(run.trace_root);
    let used = paid.saturating_add(run.fuel_used);
    Ok(outcome(run.host.finish(), exit(run.exit), used, trace_root))
}

/// The size that no result exceeds, but for inputs that the program moved to its outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultSize {
    /// The bytes of all contents.
    pub bytes: u64,
    /// The number of contents.
    pub contents: u64,
}

/// Returns the size of the largest result of a job that may write `output_bytes`: its files, two
/// streams, and the manifest that names them.
#[must_use]
pub const fn largest_result(output_bytes: u64) -> ResultSize {
    let named = output_bytes.saturating_add(streams_bytes(output_bytes));
    ResultSize {
        bytes: named.saturating_add(MANIFEST_BYTES_MAX as u64),
        contents: RESULT_ENTRIES_MAX as u64 + 3,
    }
}

/// Returns the most bytes of standard output and standard error together.
#[must_use]
pub const fn streams_bytes(output_bytes: u64) -> u64 {
    2 * stream_bytes(output_bytes)
}

const fn stream_bytes(output_bytes: u64) -> u64 {
    if output_bytes < STREAM_BYTES_MAX { output_bytes } else { STREAM_BYTES_MAX }
}

/// Returns the outcome of a job whose program has `bytes` bytes, if those are too many to look at.
#[must_use]
pub fn too_large(bytes: usize) -> Option<Outcome> {
    let most = bounds::MODULE_BYTES_MAX;
    let why = || format!("bytes of the module: {bytes} is above the limit of {most}");
    (bytes > most).then(|| unrunnable(why()))
}

/// Returns the outcome of a job whose fuel does not suffice to make its program ready.
fn unpaid(fuel: u64) -> Outcome {
    let trace_root = Hash::of("idlewild unpaid", &[]);
    outcome(Outputs::default(), Exit::OutOfFuel, fuel, trace_root)
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
    assert!(encoded.len() <= MANIFEST_BYTES_MAX, "the host bounds what a manifest takes");
    let usage = Usage { fuel, exit, output: ContentHash::of(&encoded) };
    contents.insert(usage.output, encoded);
    Outcome { usage, trace_root, manifest, contents, unrunnable: None }
}

/// Returns the manifest of what a run left behind, and the content that it names.
pub(crate) fn describe(outputs: Outputs) -> (Manifest, Contents) {
    let mut entries = Vec::with_capacity(outputs.entries.len().saturating_add(2));
    let mut contents = Contents::new();
    let file = |path: &str, hash, bytes: &[u8]| {
        let bytes = u64::try_from(bytes.len()).expect("a length fits 64 bits");
        entry(path, EntryKind::File { hash, bytes })
    };
    for Output { path, kind } in outputs.entries {
        let path = format!("out/{path}");
        match kind {
            OutputKind::File { content, hash } => {
                let hash = ContentHash::from_bytes(hash);
                entries.push(file(&path, hash, content.as_slice()));
                // A file may have many names; its bytes are copied once.
                contents.entry(hash).or_insert_with(|| match &*content {
                    Content::Shared(bytes) => Arc::clone(bytes),
                    Content::Owned(bytes) => bytes.as_slice().into(),
                });
            }
            OutputKind::Symlink(target) => {
                let target = Text::new(&*target).expect("the host bounds link targets");
                entries.push(entry(&path, EntryKind::Symlink { target }));
            }
            OutputKind::Directory => entries.push(entry(&path, EntryKind::Directory {})),
        }
    }
    for (path, bytes) in [("stderr", outputs.stderr), ("stdout", outputs.stdout)] {
        let hash = ContentHash::of(&bytes);
        entries.push(file(path, hash, &bytes));
        contents.insert(hash, bytes.into());
    }
    entries.sort_by(|a, b| a.path.as_str().split('/').cmp(b.path.as_str().split('/')));
    let manifest = Manifest::new(entries).expect("the host's tree is a tree within the limits");
    (manifest, contents)
}

fn entry(path: &str, kind: EntryKind) -> Entry {
    let path = RelativePath::new(path).expect("the host bounds names and depths");
    Entry { path, kind }
}

/// Returns the world that the job sees, whose clock is what is used of `fuel`.
fn host(job: Job, fuel: u64) -> Result<Host, String> {
    let Job { spec, created, input, stdin, .. } = job;
    let stream_bytes = stream_bytes(spec.limits.output_bytes);
    let limits = HostLimits {
        written_bytes_max: spec.limits.output_bytes,
        stdout_bytes_max: stream_bytes,
        stderr_bytes_max: stream_bytes,
        ..HostLimits::default()
    };
    let parse =
        |path: &RelativePath| InputPath::parse(path.as_str()).map_err(|error| error.to_string());
    let mut files = Vec::with_capacity(input.files.len());
    for (path, bytes) in input.files {
        files.push((parse(&path)?, bytes));
    }
    let directories = input.directories.iter().map(parse).collect::<Result<_, _>>()?;
    let mut arguments = vec!["program".to_owned()];
    arguments.extend(spec.arguments.iter().map(|text| text.as_str().to_owned()));
    let variable = |text: &Text<{ classes::job::ARGUMENT_BYTES_MAX }>| {
        let (name, value) = text.as_str().split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    let mut seed = Hasher::new_derive_key("idlewild 1 job randomness");
    seed.update(spec.seed.as_bytes());
    let config = HostConfig {
        inputs: Inputs { files, directories, stdin },
        arguments,
        environment: spec.environment.iter().filter_map(variable).collect(),
        realtime_start_ns: created.as_ms().saturating_mul(1_000_000),
        fuel,
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

/// Decodes the manifest of a job's inputs and returns its files.
///
/// # Errors
/// Text that says what is wrong with it: it may hold files and empty directories only.
pub fn input_files(manifest: &[u8]) -> Result<Vec<(RelativePath, ContentHash)>, String> {
    input_tree(manifest).map(|(files, _)| files)
}

/// The files of a manifest, and its empty directories.
type InputTree = (Vec<(RelativePath, ContentHash)>, Vec<RelativePath>);

fn input_tree(manifest: &[u8]) -> Result<InputTree, String> {
    let manifest = Manifest::from_bytes(manifest)
        .map_err(|error| format!("the manifest of the inputs is malformed: {error}"))?;
    let mut files = Vec::with_capacity(manifest.entries().len());
    let mut directories = Vec::new();
    for Entry { path, kind } in manifest.entries() {
        match kind {
            EntryKind::File { hash, .. } => files.push((path.clone(), *hash)),
            EntryKind::Symlink { .. } => {
                return Err(format!("the input {path} is a symbolic link"));
            }
            EntryKind::Directory {} => directories.push(path.clone()),
        }
    }
    Ok((files, directories))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn inputs_are_files_and_empty_directories() {
        let target = Text::new("/etc/passwd").unwrap();
        let link = Manifest::new(vec![entry("link", EntryKind::Symlink { target })]).unwrap();
        assert_eq!(input_files(&link.to_bytes()).unwrap_err(), "the input link is a symbolic link");
        let empty = Manifest::new(vec![entry("empty", EntryKind::Directory {})]).unwrap();
        let (files, directories) = input_tree(&empty.to_bytes()).unwrap();
        assert!(files.is_empty());
        assert_eq!(directories, [RelativePath::new("empty").unwrap()]);
        assert!(input_files(b"\x01").is_err());
    }

    #[test]
    fn outputs_are_described_in_the_order_of_their_components() {
        let file = |path: &str| Output {
            path: path.to_owned(),
            kind: OutputKind::File {
                content: Arc::new(Content::Shared(Arc::default())),
                hash: *ContentHash::of(b"").as_bytes(),
            },
        };
        let entries = vec![file("a-b"), file("a/b"), file("a.b")];
        let (manifest, contents) = describe(Outputs { entries, ..Outputs::default() });
        let paths: Vec<_> = manifest.entries().iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["out/a/b", "out/a-b", "out/a.b", "stderr", "stdout"]);
        assert_eq!(contents.len(), 1, "all of them are empty");
    }

    #[test]
    fn a_file_of_many_names_is_neither_copied_nor_hashed_for_each() {
        let bytes: Arc<[u8]> = b"shared".as_slice().into();
        let content = Arc::new(Content::Shared(Arc::clone(&bytes)));
        // Not its hash: that the host gave it is enough.
        let hash = *ContentHash::of(b"another").as_bytes();
        let name = |number: u32| Output {
            path: format!("name{number}"),
            kind: OutputKind::File { content: Arc::clone(&content), hash },
        };
        let entries = (0..3).map(name).collect();
        let (manifest, contents) = describe(Outputs { entries, ..Outputs::default() });
        let hash = ContentHash::from_bytes(hash);
        assert_eq!(manifest.contents().filter(|entry| *entry == (hash, 6)).count(), 3);
        assert!(Arc::ptr_eq(&contents[&hash], &bytes));
    }

    #[test]
    fn an_input_of_many_names_is_fetched_once() {
        let hash = ContentHash::of(b"bytes");
        let file = |path| entry(path, EntryKind::File { hash, bytes: 5 });
        let manifest = Manifest::new(vec![file("a"), file("b")]).unwrap().to_bytes();
        let spec = Spec {
            metering: METERING_VERSION,
            program: ContentHash::of(b"program"),
            input: Some(ContentHash::of(&manifest)),
            stdin: None,
            arguments: types::List::default(),
            environment: types::List::default(),
            seed: Hash::ZERO,
            limits: Limits { fuel: 1, memory_pages: 1, output_bytes: 0 },
        };
        let mut asked = Vec::new();
        let get = |wanted| {
            asked.push(wanted);
            let bytes: &[u8] = if wanted == hash { b"bytes" } else { &manifest };
            Ok::<_, ()>(bytes.into())
        };
        let job = gather(spec, Time::from_ms(0), get).unwrap().unwrap();
        assert_eq!(asked.iter().filter(|wanted| **wanted == hash).count(), 1);
        assert!(Arc::ptr_eq(&job.input.files[0].1, &job.input.files[1].1));
    }
}
