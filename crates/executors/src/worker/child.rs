//! The worker's own side: reads commands, runs jobs on its threads, answers.
//!
//! The first command says how many jobs run at a time. Then the threads and the engine are made,
//! the process shuts itself in, and only then is a byte of a tenant's read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use classes::job::Spec;
use types::{ContentHash, Text, Time};

use super::protocol::{Command, Reply, chunks, read, write};
use super::sandbox;
use crate::job::{self, Bounds, Job, Outcome};
use crate::wasm::GuestStack;
use crate::wasm::compiler::{Compiler, CompilerOptions};

/// A job that waits for a thread.
struct Queued {
    job: u64,
    spec: Box<Spec>,
    created: Time,
    wall: Duration,
    stop: Arc<AtomicBool>,
}

/// What the reading thread and the running threads share.
#[derive(Default)]
struct State {
    queue: VecDeque<Queued>,
    /// What makes each accepted job stop.
    stops: BTreeMap<u64, Arc<AtomicBool>>,
    contents: Contents,
    closed: bool,
}

/// Content by name, as long as there is room for it.
#[derive(Default)]
struct Contents {
    whole: BTreeMap<ContentHash, (Arc<[u8]>, u64)>,
    partial: BTreeMap<ContentHash, Vec<u8>>,
    asked: BTreeSet<ContentHash>,
    missing: BTreeSet<ContentHash>,
    bytes: u64,
    bytes_max: u64,
    uses: u64,
}

impl Contents {
    fn get(&mut self, hash: &ContentHash) -> Option<Arc<[u8]>> {
        self.uses += 1;
        let (bytes, used) = self.whole.get_mut(hash)?;
        *used = self.uses;
        Some(Arc::clone(bytes))
    }

    fn append(&mut self, hash: ContentHash, chunk: &[u8], last: bool) {
        let partial = self.partial.entry(hash).or_default();
        partial.extend_from_slice(chunk);
        if last && let Some(bytes) = self.partial.remove(&hash) {
            self.asked.remove(&hash);
            self.uses += 1;
            self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.whole.insert(hash, (bytes.into(), self.uses));
        }
    }

    /// Forgets what was used longest ago, until the rest fits. Jobs that run keep what they have.
    fn shrink(&mut self) {
        while self.bytes > self.bytes_max {
            let oldest = self.whole.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(hash, _)| *hash) else { return };
            if let Some((bytes, _)) = self.whole.remove(&oldest) {
                self.bytes -= u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            }
        }
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    output: Mutex<io::Stdout>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked held no half-made state: each change is one insertion or removal.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, reply: &Reply) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if write(&mut *output, reply).is_err() {
            // The parent is gone, and with it all reason to go on.
            std::process::exit(0);
        }
    }
}

/// Runs the worker until its standard input ends.
///
/// # Errors
/// When it cannot set itself up, or when the parent says what no parent says.
pub fn main() -> io::Result<()> {
    sandbox::enter_before_threads()?;
    let mut input = io::stdin().lock();
    let Some(Command::Setup { slots, content_bytes_max }) = read(&mut input)? else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the first command is not setup"));
    };
    let options = CompilerOptions { guests_max: u32::from(slots), ..CompilerOptions::default() };
    let compiler = Arc::new(Compiler::new(&options).map_err(io::Error::other)?);
    let shared = Arc::new(Shared {
        state: Mutex::default(),
        changed: Condvar::new(),
        output: Mutex::new(io::stdout()),
    });
    shared.state().contents.bytes_max = content_bytes_max;
    let mut threads = Vec::new();
    for slot in 0..slots {
        let (shared, compiler) = (Arc::clone(&shared), Arc::clone(&compiler));
        let work = move |stack: &GuestStack| run_jobs(&shared, &compiler, stack);
        threads.push(GuestStack::spawn(&format!("slot-{slot}"), work)?);
    }
    sandbox::enter_with_threads()?;
    shared.reply(&Reply::Ready);
    while let Some(command) = read(&mut input)? {
        obey(&shared, command)?;
    }
    let mut state = shared.state();
    state.closed = true;
    state.stops.values().for_each(|stop| stop.store(true, Ordering::Relaxed));
    drop(state);
    shared.changed.notify_all();
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("a thread panicked"))?;
    }
    io::stdout().flush()
}

fn obey(shared: &Shared, command: Command) -> io::Result<()> {
    let mut state = shared.state();
    match command {
        Command::Setup { .. } => {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "setup comes once"));
        }
        Command::Run { job, spec, created, wall_ms } => {
            let stop = Arc::new(AtomicBool::new(false));
            state.stops.insert(job, Arc::clone(&stop));
            let wall = Duration::from_millis(wall_ms);
            state.queue.push_back(Queued { job, spec, created, wall, stop });
        }
        Command::Content { hash, chunk, last } => {
            state.contents.append(hash, chunk.as_slice(), last);
        }
        Command::Missing { hash } => {
            state.contents.asked.remove(&hash);
            state.contents.missing.insert(hash);
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

/// Takes jobs from the queue until the input ends.
fn run_jobs(shared: &Shared, compiler: &Compiler, stack: &GuestStack) {
    loop {
        let mut state = shared.state();
        let queued = loop {
            if let Some(queued) = state.queue.pop_front() {
                break queued;
            }
            if state.closed {
                return;
            }
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        let number = queued.job;
        match run_job(shared, compiler, stack, queued) {
            Ok((outcome, guest)) => send(shared, number, &outcome, guest),
            Err(why) => {
                let cut: String = why.chars().take(120).collect();
                let why = Text::new(cut).expect("120 characters are at most 480 bytes");
                shared.reply(&Reply::Abort { job: number, why });
            }
        }
        let mut state = shared.state();
        state.stops.remove(&number);
        state.contents.shrink();
    }
}

fn run_job(
    shared: &Shared,
    compiler: &Compiler,
    stack: &GuestStack,
    queued: Queued,
) -> Result<(Outcome, Duration), String> {
    let Queued { job: number, spec, created, wall, stop } = queued;
    let get = |hash| get_content(shared, number, hash, &stop);
    let program = get(spec.program)?;
    let stdin = spec.stdin.map(get).transpose()?.unwrap_or_default();
    let mut input = Vec::new();
    if let Some(manifest) = spec.input {
        for (path, hash) in job::input_files(&*get(manifest)?)? {
            input.push((path, get(hash)?));
        }
    }
    let job = Job { spec: *spec, created, program, input, stdin };
    let bounds = Bounds { wall: Some(wall), stop: Some(Arc::clone(&stop)) };
    let began = Instant::now();
    let outcome = job::run(compiler, stack, job, &bounds).map_err(|abort| abort.to_string())?;
    Ok((outcome, began.elapsed()))
}

/// Takes content from the store, or asks the parent for it and waits.
fn get_content(
    shared: &Shared,
    job: u64,
    hash: ContentHash,
    stop: &AtomicBool,
) -> Result<Arc<[u8]>, String> {
    let mut state = shared.state();
    state.contents.missing.remove(&hash);
    loop {
        if let Some(bytes) = state.contents.get(&hash) {
            return Ok(bytes);
        }
        if state.contents.missing.contains(&hash) {
            return Err(format!("content {hash} is missing"));
        }
        if state.closed || stop.load(Ordering::Relaxed) {
            return Err("the run was stopped".to_owned());
        }
        if state.contents.asked.insert(hash) {
            drop(state);
            shared.reply(&Reply::Need { job, hash });
            state = shared.state();
        } else {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn send(shared: &Shared, job: u64, outcome: &Outcome, guest: Duration) {
    for (hash, bytes) in &outcome.contents {
        for (chunk, last) in chunks(bytes) {
            shared.reply(&Reply::Output { job, hash: *hash, chunk, last });
        }
    }
    let guest_us = u64::try_from(guest.as_micros()).unwrap_or(u64::MAX);
    let (usage, trace_root) = (outcome.usage.clone(), outcome.trace_root);
    shared.reply(&Reply::Done { job, usage, trace_root, guest_us });
}
