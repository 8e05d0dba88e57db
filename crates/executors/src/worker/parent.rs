//! The parent's side: one task writes to the worker, one reads from it, jobs wait for their end.
//!
//! A job goes to the worker when one of its slots is free, and from then on has its wall-clock
//! time and a little more: a worker that has not answered by then is killed. So is one that is not
//! done in time with making a program ready, which nothing else can interrupt. A job that nobody
//! waits for any more is cancelled, and keeps its slot until the worker has let go of it.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use std::{io, path::PathBuf};

use classes::job::Spec;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use types::{ContentHash, Time};

use super::protocol::{Command, Reply, chunks, frame, frame_length, message};
use super::running::{Finished, Running, Statement, Timer};
use super::start::start;
use crate::job;
use crate::wasm::EngineKind;

/// Frames that wait to be written to the worker, each up to a chunk of content.
const FRAMES_WAITING_MAX: usize = 16;
/// How long a worker has to set itself up.
const SETUP_TIMEOUT: Duration = Duration::from_secs(20);
/// The most wall-clock time of one job.
const WALL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// What a worker may say on standard error, in bytes; the rest is dropped.
const LOG_BYTES_MAX: u64 = 64 << 10;
/// Bytes that one read from the worker takes.
const READ_BYTES: usize = 64 << 10;

/// How to start a worker.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program, which runs [`super::main`] when its first argument is `__worker`.
    pub program: PathBuf,
    /// Jobs at the same time, at least one.
    pub slots: u16,
    /// Bytes of content that the worker keeps for later jobs.
    pub content_bytes_max: u64,
    /// What a job's program may take to be made ready, and what a job may take beyond its
    /// wall-clock time; a worker that has not answered by then is killed. Two minutes suit most
    /// machines.
    pub grace: Duration,
}

/// A job for a worker, with all the content that it may read.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is to be done.
    pub spec: Spec,
    /// When the lease was matched.
    pub created: Time,
    /// The wall-clock time that it may take, at most 30 days.
    pub wall: Duration,
    /// What runs its program: the compiler, but for those who judge.
    pub engine: EngineKind,
    /// The fuel beyond which nobody wants to know more.
    pub bill: Option<u64>,
    /// The content that the job may read; the worker is given nothing else.
    pub contents: Arc<BTreeMap<ContentHash, Arc<[u8]>>>,
}

/// Why a worker did not start.
#[derive(Debug, Error)]
pub enum SpawnError {
    /// The process could not be started or spoken to.
    #[error("cannot start a worker process")]
    Io(#[from] io::Error),
    /// It started, but ended before it was set up.
    #[error("the worker process did not set itself up: {0}")]
    Setup(String),
    /// It started, but did not set itself up in time.
    #[error("the worker process did not set itself up within {} s", SETUP_TIMEOUT.as_secs())]
    Timeout,
}

/// Why a job has no result. None of it says anything about the job.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JobError {
    /// This machine could not finish the job.
    #[error("this machine could not finish the job: {0}")]
    Aborted(String),
    /// The worker process ended, or broke a rule and was killed.
    #[error("the worker process was lost")]
    WorkerLost,
    /// The job's time was over before it ended, or the worker was killed because it was not done
    /// with this job in time. It would be no other the next time.
    #[error("the job did not end in time")]
    TimedOut,
    /// The job used more fuel than [`Request::bill`], on any machine.
    #[error("the job uses more fuel than was billed")]
    OverBill,
}

/// A worker process. Clones speak to the same one; it ends with the last of them.
#[derive(Debug, Clone)]
pub struct Worker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    frames: mpsc::Sender<Vec<u8>>,
    jobs: Mutex<BTreeMap<u64, Running>>,
    slots: Arc<Semaphore>,
    is_lost: AtomicBool,
    grace: Duration,
    next: AtomicU64,
    /// The task that owns the process, which is killed when the task is dropped.
    reader: tokio::task::AbortHandle,
    runtime: Handle,
    id: Option<u32>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Worker {
    /// Starts a worker process and waits until it has shut itself in.
    ///
    /// # Errors
    /// [`SpawnError`] when it does not come up.
    pub async fn spawn(settings: &Settings) -> Result<Self, SpawnError> {
        let mut command = tokio::process::Command::new(&settings.program);
        command
            .arg("__worker")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Not the parent's own, which may be a terminal that can be read.
            .stderr(Stdio::piped())
            // An interrupt from that terminal is the parent's to handle.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = start(command).await?;
        let id = child.id();
        let lost_pipe = || io::Error::other("the worker has no pipe");
        let mut input = child.stdin.take().ok_or_else(lost_pipe)?;
        let output = child.stdout.take().ok_or_else(lost_pipe)?;
        let mut output = BufReader::with_capacity(READ_BYTES, output);
        let errors = child.stderr.take().ok_or_else(lost_pipe)?;
        let setup = Command::Setup {
            slots: settings.slots.max(1),
            content_bytes_max: settings.content_bytes_max,
        };
        let ready = async {
            input.write_all(&frame(&setup)).await?;
            read(&mut output).await
        };
        match timeout(SETUP_TIMEOUT, ready).await {
            Ok(Ok(Reply::Ready)) => {}
            Ok(Ok(_)) => return Err(io::Error::other("the worker spoke out of turn").into()),
            Ok(Err(error)) => {
                let _ = child.start_kill();
                let said = first_errors(errors).await;
                return Err(SpawnError::Setup(if said.is_empty() {
                    error.to_string()
                } else {
                    said
                }));
            }
            Err(_) => return Err(SpawnError::Timeout),
        }
        tokio::spawn(log_errors(errors, id));
        Ok(Self::run_tasks(child, input, output, settings))
    }

    fn run_tasks(
        child: Child,
        input: ChildStdin,
        output: BufReader<ChildStdout>,
        settings: &Settings,
    ) -> Self {
        let (frames, waiting) = mpsc::channel(FRAMES_WAITING_MAX);
        tokio::spawn(write_frames(input, waiting));
        let id = child.id();
        let shared = Arc::new_cyclic(|weak| {
            let reader = tokio::spawn(read_replies(child, output, Weak::clone(weak)));
            Shared {
                frames,
                jobs: Mutex::default(),
                slots: Arc::new(Semaphore::new(usize::from(settings.slots.max(1)))),
                is_lost: AtomicBool::new(false),
                grace: settings.grace,
                next: AtomicU64::new(0),
                reader: reader.abort_handle(),
                runtime: Handle::current(),
                id,
            }
        });
        Self { shared }
    }

    /// Returns the process's number, for those who watch it.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.shared.id
    }

    /// Returns whether the process is gone, so that every job fails.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.shared.is_lost.load(Ordering::SeqCst)
    }

    /// Runs a job to its end, as soon as a slot is free. Dropping the future cancels it.
    ///
    /// # Errors
    /// [`JobError`] when there is no result.
    pub async fn run(&self, request: Request) -> Result<Finished, JobError> {
        if let Some(missing) = missing(&request) {
            return Err(JobError::Aborted(format!("content {missing} is missing")));
        }
        let program = request.contents.get(&request.spec.program);
        if let Some(outcome) = program.and_then(|program| job::too_large(program.len())) {
            return Ok(Finished::from(outcome));
        }
        let slots = Arc::clone(&self.shared.slots);
        let slot = slots.acquire_owned().await.map_err(|_| JobError::WorkerLost)?;
        let deadline = Instant::now() + request.wall.min(WALL_MAX) + self.shared.grace;
        let place = match timeout_at(deadline, self.shared.frames.reserve()).await {
            Ok(place) => place.map_err(|_| JobError::WorkerLost)?,
            Err(_) => return Err(self.shared.give_up()),
        };
        // From here to the answer the job is the worker's: registered and sent in one go.
        let mut waiting = Waiting::begin(&self.shared, &request, slot, deadline);
        place.send(frame(&Command::Run {
            job: waiting.job,
            spec: Box::new(request.spec),
            created: request.created,
            wall_ms: u64::try_from(request.wall.min(WALL_MAX).as_millis()).unwrap_or(u64::MAX),
            engine: request.engine,
            bill: request.bill,
        }));
        if self.is_lost() {
            self.shared.lose();
        }
        waiting.end().await
    }
}

/// Returns a content that the job names and the request does not hold.
fn missing(request: &Request) -> Option<ContentHash> {
    let Spec { program, stdin, input, .. } = &request.spec;
    let is_missing = |hash: &ContentHash| !request.contents.contains_key(hash);
    if let Some(hash) = [Some(program), stdin.as_ref(), input.as_ref()]
        .into_iter()
        .flatten()
        .find(|hash| is_missing(hash))
    {
        return Some(*hash);
    }
    // What is no manifest of files is the job's own fault, and the worker says so.
    let manifest = request.contents.get(input.as_ref()?)?;
    let files = job::input_files(manifest).ok()?;
    files.into_iter().map(|(_, hash)| hash).find(is_missing)
}

impl Shared {
    fn jobs(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails every job; none is accepted any more.
    fn lose(&self) {
        self.is_lost.store(true, Ordering::SeqCst);
        self.slots.close();
        for running in std::mem::take(&mut *self.jobs()).into_values() {
            let _ = running.done.send(Err(JobError::WorkerLost));
        }
    }

    /// Kills a worker that does not answer; returns what its slow job is told.
    fn give_up(&self) -> JobError {
        tracing::warn!(worker = ?self.id, "worker process killed: it does not answer");
        self.lose();
        self.reader.abort();
        JobError::TimedOut
    }

    /// Kills the worker if it still makes the program of `job` ready, whose fault that is.
    fn end_preparation(&self, job: u64) {
        let mut jobs = self.jobs();
        if !jobs.get(&job).is_some_and(Running::is_preparing) {
            return;
        }
        let slow = jobs.remove(&job);
        drop(jobs);
        let error = self.give_up();
        if let Some(slow) = slow {
            let _ = slow.done.send(Err(error));
        }
    }
}

/// A job that the worker has, and who waits for it.
struct Waiting<'a> {
    shared: &'a Arc<Shared>,
    job: u64,
    deadline: Instant,
    result: Option<oneshot::Receiver<Result<Finished, JobError>>>,
}

impl<'a> Waiting<'a> {
    fn begin(
        shared: &'a Arc<Shared>,
        request: &Request,
        slot: OwnedSemaphorePermit,
        deadline: Instant,
    ) -> Self {
        let job = shared.next.fetch_add(1, Ordering::Relaxed);
        let (done, result) = oneshot::channel();
        shared.jobs().insert(job, Running::new(request, slot, done));
        Self { shared, job, deadline, result: Some(result) }
    }

    async fn end(&mut self) -> Result<Finished, JobError> {
        let Some(result) = &mut self.result else { return Err(JobError::WorkerLost) };
        let ended = timeout_at(self.deadline, result).await;
        self.result = None;
        match ended {
            Ok(result) => result.unwrap_or(Err(JobError::WorkerLost)),
            Err(_) => Err(self.shared.give_up()),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(result) = self.result.take() {
            let (frames, weak) = (self.shared.frames.clone(), Arc::downgrade(self.shared));
            self.shared.runtime.spawn(cancel(frames, weak, self.job, self.deadline, result));
        }
    }
}

/// Tells the worker that a job is not wanted, and kills it if it does not let go of it.
async fn cancel(
    frames: mpsc::Sender<Vec<u8>>,
    shared: Weak<Shared>,
    job: u64,
    deadline: Instant,
    result: oneshot::Receiver<Result<Finished, JobError>>,
) {
    let told = async {
        let _ = frames.send(frame(&Command::Cancel { job })).await;
        drop(frames);
        let _ = result.await;
    };
    if timeout_at(deadline, told).await.is_err()
        && let Some(shared) = shared.upgrade()
    {
        shared.give_up();
    }
}

async fn write_frames(mut input: ChildStdin, mut frames: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        if input.write_all(&frame).await.is_err() {
            return;
        }
    }
}

async fn read(output: &mut (impl AsyncRead + Unpin)) -> io::Result<Reply> {
    let mut length = [0; 4];
    output.read_exact(&mut length).await?;
    let mut bytes = vec![0; frame_length(length)?];
    output.read_exact(&mut bytes).await?;
    message(&bytes)
}

/// Returns what a worker that has ended said on standard error.
async fn first_errors(stderr: ChildStderr) -> String {
    let mut text = Vec::new();
    // What the pipe holds at its end comes at once; a descendant may hold it open.
    let _ = timeout(Duration::from_secs(1), stderr.take(512).read_to_end(&mut text)).await;
    String::from_utf8_lossy(&text).trim_end().escape_debug().to_string()
}

/// Logs what the worker says on standard error, which is what a panic says, and drops what is
/// beyond the bound.
async fn log_errors(stderr: ChildStderr, id: Option<u32>) {
    let mut stderr = BufReader::new(stderr);
    let mut text = Vec::new();
    if (&mut stderr).take(LOG_BYTES_MAX).read_to_end(&mut text).await.is_ok() && !text.is_empty() {
        let text = String::from_utf8_lossy(&text);
        tracing::warn!(worker = ?id, "worker process says: {}", text.escape_debug());
    }
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
}

/// Fails all jobs when the reading task ends, however it ends.
struct LoseAtEnd(Weak<Shared>);

impl Drop for LoseAtEnd {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.lose();
        }
    }
}

async fn read_replies(mut child: Child, mut output: BufReader<ChildStdout>, weak: Weak<Shared>) {
    let _lose = LoseAtEnd(Weak::clone(&weak));
    loop {
        let reply = read(&mut output).await;
        let Some(shared) = weak.upgrade() else { return };
        let kept = match reply {
            Ok(reply) => take_reply(&shared, reply),
            Err(_) => Err("its pipe ended, or what it said is no message"),
        };
        if let Err(why) = kept {
            tracing::warn!(worker = ?shared.id, "worker process lost: {why}");
            let _ = child.start_kill();
            shared.lose();
            drop(shared);
            let _ = child.wait().await;
            return;
        }
    }
}

/// Takes one reply.
///
/// # Errors
/// The rule that the worker broke.
fn take_reply(shared: &Arc<Shared>, reply: Reply) -> Result<(), &'static str> {
    let mut jobs = shared.jobs();
    let unknown = "it spoke of a job that it does not have";
    match reply {
        Reply::Ready => Err("it was ready twice"),
        Reply::Need { job, hash } => {
            let content = jobs.get_mut(&job).ok_or(unknown)?.need(&hash)?;
            drop(jobs);
            // In a task of its own: the reader must go on while the worker's pipe is full.
            let frames = shared.frames.clone();
            tokio::spawn(send_content(frames, Arc::downgrade(shared), job, hash, content));
            Ok(())
        }
        Reply::Output { job, hash, chunk, last } => {
            jobs.get_mut(&job).ok_or(unknown)?.output(hash, chunk.as_slice(), last)
        }
        Reply::Done { job, usage, trace_root, guest_us, unrunnable } => {
            let running = jobs.remove(&job).ok_or(unknown)?;
            drop(jobs);
            let guest = Duration::from_micros(guest_us);
            let unrunnable = unrunnable.map(|why| why.as_str().to_owned());
            running.finish(Statement { usage, trace_root, guest, unrunnable })
        }
        Reply::Abort { job, why } => {
            let running = jobs.remove(&job).ok_or(unknown)?;
            let _ = running.done.send(Err(JobError::Aborted(why.as_str().to_owned())));
            Ok(())
        }
        Reply::TimedOut { job } => {
            let running = jobs.remove(&job).ok_or(unknown)?;
            let _ = running.done.send(Err(JobError::TimedOut));
            Ok(())
        }
        Reply::OverBill { job } => {
            let running = jobs.remove(&job).ok_or(unknown)?;
            let _ = running.done.send(Err(JobError::OverBill));
            Ok(())
        }
        Reply::Preparing { job } => {
            let (deadline, weak) = (Instant::now() + shared.grace, Arc::downgrade(shared));
            let timer = tokio::spawn(async move {
                sleep_until(deadline).await;
                if let Some(shared) = weak.upgrade() {
                    shared.end_preparation(job);
                }
            });
            jobs.get_mut(&job).ok_or(unknown)?.prepare(Timer(timer.abort_handle()))
        }
        Reply::Running { job } => jobs.get_mut(&job).ok_or(unknown)?.run(),
    }
}

async fn send_content(
    frames: mpsc::Sender<Vec<u8>>,
    shared: Weak<Shared>,
    job: u64,
    hash: ContentHash,
    content: Arc<[u8]>,
) {
    for (chunk, last) in chunks(&content) {
        let Ok(place) = frames.reserve().await else { return };
        if last
            && let Some(shared) = shared.upgrade()
            && let Some(running) = shared.jobs().get_mut(&job)
        {
            // Before the last part, after which the job may ask for the next.
            running.is_sending = false;
        }
        place.send(frame(&Command::Content { hash, chunk, last }));
    }
}
