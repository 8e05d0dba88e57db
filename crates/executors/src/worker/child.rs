//! The worker's own side: reads commands, runs jobs on its threads, answers.
//!
//! The first command says how many jobs run at a time. Then the threads and the engine are made,
//! the process shuts itself in, and only then is a byte of a tenant's read. The reading thread
//! never waits for a running one, so that the parent can always write.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use classes::job::Spec;
use types::{ContentHash, Time};

use super::protocol::{Command, Reply, chunks, excerpt, frame, read};
use super::sandbox;
use super::store::Store;
use crate::job::{self, Bounds, Job, Outcome};
use crate::wasm::compiler::{Compiler, CompilerOptions};
use crate::wasm::engine::{Engine, HostAbort};
use crate::wasm::interpreter::Interpreter;
use crate::wasm::{CacheLimits, EngineKind, GuestStack};

/// Bytes of frames that are gathered before they are written.
const WRITE_BYTES: usize = 64 << 10;
/// What the interpreter keeps for later jobs: less than the compiler, since disputes are few and
/// its modules are soon made.
const INTERPRETER_CACHE: CacheLimits = CacheLimits { modules_max: 16, bytes_max: 64 << 20 };

/// A job that waits for a thread.
struct Queued {
    job: u64,
    spec: Box<Spec>,
    created: Time,
    wall: Duration,
    engine: EngineKind,
    bill: Option<u64>,
    stop: Arc<AtomicBool>,
}

/// What runs programs, shared by all threads.
struct Engines {
    compiler: Compiler,
    interpreter: Interpreter,
}

impl Engines {
    fn new(slots: u16) -> Result<Self, HostAbort> {
        let options =
            CompilerOptions { guests_max: u32::from(slots), ..CompilerOptions::default() };
        let compiler = Compiler::new(&options)?;
        Ok(Self { compiler, interpreter: Interpreter::new(INTERPRETER_CACHE)? })
    }
}

/// What the reading thread and the running threads share.
struct State {
    queue: VecDeque<Queued>,
    /// What makes each accepted job stop.
    stops: BTreeMap<u64, Arc<AtomicBool>>,
    store: Store,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    output: Mutex<File>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked held no half-made state: each change is one insertion or removal.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, reply: &Reply) {
        self.write(&frame(reply));
    }

    fn write(&self, frames: &[u8]) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if output.write_all(frames).is_err() {
            // The parent is gone, and with it all reason to go on.
            std::process::exit(0);
        }
    }
}

/// Runs the worker until its standard input ends, and with it the process.
///
/// # Errors
/// When it cannot set itself up, or when the parent says what no parent says.
pub fn main() -> io::Result<()> {
    sandbox::enter_before_threads()?;
    let mut input = io::stdin().lock();
    let Some(Command::Setup { slots, content_bytes_max }) = read(&mut input)? else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the first command is not setup"));
    };
    let engines = Arc::new(Engines::new(slots).map_err(io::Error::other)?);
    let state = State {
        queue: VecDeque::new(),
        stops: BTreeMap::new(),
        store: Store::new(content_bytes_max),
    };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        changed: Condvar::new(),
        output: Mutex::new(io::stdout().as_fd().try_clone_to_owned()?.into()),
    });
    for slot in 0..slots {
        let (shared, engines) = (Arc::clone(&shared), Arc::clone(&engines));
        let work = move |stack: &GuestStack| run_jobs(&shared, &engines, stack);
        GuestStack::spawn(&format!("slot-{slot}"), work)?;
    }
    sandbox::enter_with_threads()?;
    shared.reply(&Reply::Ready);
    while let Some(command) = read(&mut input)? {
        obey(&shared, command)?;
    }
    // Nobody waits for what still runs, and nothing has to be saved.
    std::process::exit(0)
}

fn obey(shared: &Shared, command: Command) -> io::Result<()> {
    let mut state = shared.state();
    match command {
        Command::Setup { .. } => {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "setup comes once"));
        }
        Command::Run { job, spec, created, wall_ms, engine, bill } => {
            let stop = Arc::new(AtomicBool::new(false));
            state.stops.insert(job, Arc::clone(&stop));
            let wall = Duration::from_millis(wall_ms);
            state.queue.push_back(Queued { job, spec, created, wall, engine, bill, stop });
        }
        Command::Content { hash, chunk, last } => {
            state.store.append(hash, chunk.as_slice(), last);
        }
        Command::Cancel { job } => {
            if let Some(stop) = state.stops.get(&job) {
                stop.store(true, Ordering::Relaxed);
            }
        }
    }
    drop(state);
    shared.changed.notify_all();
    Ok(())
}

/// Takes jobs from the queue for as long as the process lives.
fn run_jobs(shared: &Shared, engines: &Engines, stack: &GuestStack) {
    loop {
        let mut state = shared.state();
        let queued = loop {
            if let Some(queued) = state.queue.pop_front() {
                break queued;
            }
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        let number = queued.job;
        // A fault of ours in one job must neither end the others nor leave this one unanswered.
        let ended = catch_unwind(AssertUnwindSafe(|| run_job(shared, engines, stack, queued)))
            .unwrap_or_else(|_| Err(Failure::Abort("the executor panicked".to_owned())));
        // Before the answer, after which the parent may send the next job.
        let mut state = shared.state();
        state.stops.remove(&number);
        state.store.shrink();
        drop(state);
        match ended {
            Ok((outcome, guest)) => send(shared, number, &outcome, guest),
            Err(Failure::TimedOut) => shared.reply(&Reply::TimedOut { job: number }),
            Err(Failure::OverBill) => shared.reply(&Reply::OverBill { job: number }),
            Err(Failure::Abort(why)) => {
                shared.reply(&Reply::Abort { job: number, why: excerpt(&why) });
            }
        }
    }
}

/// Why a job has no result.
enum Failure {
    TimedOut,
    OverBill,
    Abort(String),
}

impl From<HostAbort> for Failure {
    fn from(abort: HostAbort) -> Self {
        match abort {
            HostAbort::WallClock => Self::TimedOut,
            HostAbort::OverBill => Self::OverBill,
            abort => Self::Abort(abort.to_string()),
        }
    }
}

fn run_job(
    shared: &Shared,
    engines: &Engines,
    stack: &GuestStack,
    queued: Queued,
) -> Result<(Outcome, Duration), Failure> {
    let Queued { job: number, spec, created, wall, engine, bill, stop } = queued;
    let deadline = Instant::now().checked_add(wall);
    let get = |hash| get_content(shared, number, hash, &stop);
    let job = match job::gather(*spec, created, get).map_err(Failure::Abort)? {
        Ok(job) => job,
        Err(outcome) => return Ok((outcome, Duration::ZERO)),
    };
    let began = Instant::now();
    let bounds = || {
        let wall = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        Bounds { bill, wall, stop: Some(Arc::clone(&stop)) }
    };
    let outcome = match engine {
        EngineKind::Compiler => execute(shared, number, &engines.compiler, stack, job, bounds),
        EngineKind::Interpreter => {
            execute(shared, number, &engines.interpreter, stack, job, bounds)
        }
    };
    Ok((outcome?, began.elapsed()))
}

/// Makes a job's program ready and runs it, and tells the parent which of the two it does.
fn execute<E: Engine>(
    shared: &Shared,
    number: u64,
    engine: &E,
    stack: &GuestStack,
    job: Job,
    bounds: impl Fn() -> Bounds,
) -> Result<Outcome, HostAbort> {
    shared.reply(&Reply::Preparing { job: number });
    let prepared = job::prepare(engine, &job, &bounds())?;
    shared.reply(&Reply::Running { job: number });
    match prepared {
        Ok(module) => job::run_prepared(engine, stack, job, &module, &bounds()),
        Err(outcome) => Ok(outcome),
    }
}

/// Takes content from the store, or asks the parent for it and waits.
///
/// What another job asked for may not be what its name says: that is the other's affair, and this
/// one asks for itself.
fn get_content(
    shared: &Shared,
    job: u64,
    hash: ContentHash,
    stop: &AtomicBool,
) -> Result<Arc<[u8]>, String> {
    let mut state = shared.state();
    state.store.wait_for(hash);
    let mut has_asked = false;
    let got = loop {
        if let Some(bytes) = state.store.get(&hash) {
            break Ok(bytes);
        }
        if stop.load(Ordering::Relaxed) {
            break Err("the run was stopped".to_owned());
        }
        if state.store.is_asked(&hash) {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        } else if has_asked {
            break Err(format!("content {hash} is not what its name says"));
        } else {
            state.store.ask(hash);
            has_asked = true;
            drop(state);
            shared.reply(&Reply::Need { job, hash });
            state = shared.state();
        }
    };
    state.store.end_wait(&hash);
    got
}

fn send(shared: &Shared, job: u64, outcome: &Outcome, guest: Duration) {
    let mut frames = Vec::new();
    let mut push = |reply: &Reply| {
        frames.extend_from_slice(&frame(reply));
        if frames.len() >= WRITE_BYTES {
            shared.write(&frames);
            frames.clear();
        }
    };
    for (hash, bytes) in &outcome.contents {
        for (chunk, last) in chunks(bytes) {
            push(&Reply::Output { job, hash: *hash, chunk, last });
        }
    }
    push(&Reply::Done {
        job,
        usage: outcome.usage.clone(),
        trace_root: outcome.trace_root,
        guest_us: u64::try_from(guest.as_micros()).unwrap_or(u64::MAX),
        unrunnable: outcome.unrunnable.as_deref().map(excerpt),
    });
    shared.write(&frames);
}
