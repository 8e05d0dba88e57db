//! The parent's side: one task writes to the worker, one reads from it, jobs wait for their end.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, path::PathBuf};

use classes::job::{Spec, Usage};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use types::{ContentHash, Decode, Hash, Manifest, Receipt, Time};

use super::protocol::{Command, Reply, chunks, frame, frame_length, message};

/// Frames that wait to be written to the worker.
const FRAMES_WAITING_MAX: usize = 64;
/// How long a worker has to set itself up.
const SETUP_TIMEOUT: Duration = Duration::from_secs(20);
/// What a manifest may take beyond the job's output, in bytes.
const MANIFEST_BYTES_MAX: u64 = types::manifest::MANIFEST_BYTES_MAX as u64;
/// What standard output and error may take each, in bytes.
const STREAM_BYTES_MAX: u64 = 16 << 20;

/// How to start a worker.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program, which runs [`super::main`] when its first argument is `__worker`.
    pub program: PathBuf,
    /// Jobs at the same time, at least one.
    pub slots: u16,
    /// Bytes of content that the worker keeps for later jobs.
    pub content_bytes_max: u64,
}

/// A job for a worker, with all the content that it may read.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is to be done.
    pub spec: Spec,
    /// When the lease was matched.
    pub created: Time,
    /// The wall-clock time that it may take.
    pub wall: Duration,
    /// The content that the job may read; the worker is given nothing else.
    pub contents: Arc<BTreeMap<ContentHash, Arc<[u8]>>>,
}

/// A job's checked result.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The meter reading.
    pub usage: Usage,
    /// The root over what only execution yields.
    pub trace_root: Hash,
    /// What the job wrote.
    pub manifest: Manifest,
    /// The content that the manifest names, and its own encoding.
    pub contents: BTreeMap<ContentHash, Vec<u8>>,
    /// How long the guest ran, as the worker says.
    pub guest: Duration,
}

impl Finished {
    /// Returns what a receipt commits to.
    #[must_use]
    pub fn work_root(&self) -> Hash {
        Receipt::commit(&self.usage.result_root(), &self.trace_root)
    }
}

/// Why a worker did not start.
#[derive(Debug, Error)]
pub enum SpawnError {
    /// The process could not be started or spoken to.
    #[error("cannot start a worker process")]
    Io(#[from] io::Error),
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
    lost: Mutex<Option<()>>,
    next: AtomicU64,
    reader: tokio::task::AbortHandle,
    id: Option<u32>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The reading task owns the process, which is killed when it is dropped.
        self.reader.abort();
    }
}

/// A job that the worker has.
#[derive(Debug)]
struct Running {
    contents: Arc<BTreeMap<ContentHash, Arc<[u8]>>>,
    outputs: BTreeMap<ContentHash, Vec<u8>>,
    bytes_left: u64,
    done: oneshot::Sender<Result<Finished, JobError>>,
}

impl Worker {
    /// Starts a worker process and waits until it has shut itself in.
    ///
    /// # Errors
    /// [`SpawnError`] when it does not come up.
    pub async fn spawn(settings: &Settings) -> Result<Self, SpawnError> {
        let mut child = tokio::process::Command::new(&settings.program)
            .arg("__worker")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        let id = child.id();
        let lost_pipe = || io::Error::other("the worker has no pipe");
        let mut input = child.stdin.take().ok_or_else(lost_pipe)?;
        let mut output = BufReader::new(child.stdout.take().ok_or_else(lost_pipe)?);
        let setup = Command::Setup {
            slots: settings.slots.max(1),
            content_bytes_max: settings.content_bytes_max,
        };
        let ready = async {
            input.write_all(&frame(&setup)).await?;
            read(&mut output).await
        };
        match tokio::time::timeout(SETUP_TIMEOUT, ready).await {
            Ok(Ok(Reply::Ready)) => {}
            Ok(Ok(_)) => return Err(io::Error::other("the worker spoke out of turn").into()),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(SpawnError::Timeout),
        }
        Ok(Self::run_tasks(child, input, output, id))
    }

    fn run_tasks(
        child: Child,
        input: ChildStdin,
        output: BufReader<ChildStdout>,
        id: Option<u32>,
    ) -> Self {
        let (frames, waiting) = mpsc::channel(FRAMES_WAITING_MAX);
        tokio::spawn(write_frames(input, waiting));
        let shared = Arc::new_cyclic(|weak| {
            let reader = tokio::spawn(read_replies(child, output, std::sync::Weak::clone(weak)));
            Shared {
                frames,
                jobs: Mutex::default(),
                lost: Mutex::default(),
                next: AtomicU64::new(0),
                reader: reader.abort_handle(),
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
        self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Runs a job to its end. Dropping the future cancels it.
    ///
    /// # Errors
    /// [`JobError`] when there is no result.
    pub async fn run(&self, request: Request) -> Result<Finished, JobError> {
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (done, result) = oneshot::channel();
        let output_bytes = request.spec.limits.output_bytes;
        let streams = output_bytes.min(STREAM_BYTES_MAX).saturating_mul(2);
        let running = Running {
            contents: Arc::clone(&request.contents),
            outputs: BTreeMap::new(),
            // A job that cannot begin still says why on standard error.
            bytes_left: output_bytes.saturating_add(streams).saturating_add(MANIFEST_BYTES_MAX),
            done,
        };
        self.shared.jobs().insert(number, running);
        let mut cancel = Cancel { shared: &self.shared, job: Some(number) };
        if self.is_lost() {
            return Err(JobError::WorkerLost);
        }
        let run = Command::Run {
            job: number,
            spec: Box::new(request.spec),
            created: request.created,
            wall_ms: u64::try_from(request.wall.as_millis()).unwrap_or(u64::MAX),
        };
        let sent = self.shared.frames.send(frame(&run)).await;
        let result = match sent {
            Ok(()) => result.await.unwrap_or(Err(JobError::WorkerLost)),
            Err(_) => Err(JobError::WorkerLost),
        };
        cancel.job = None;
        self.shared.jobs().remove(&number);
        result
    }
}

impl Shared {
    fn jobs(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails every job; none is accepted any more.
    fn lose(&self) {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(());
        for running in std::mem::take(&mut *self.jobs()).into_values() {
            let _ = running.done.send(Err(JobError::WorkerLost));
        }
    }
}

/// Tells the worker that a job is not wanted, unless it has ended.
struct Cancel<'a> {
    shared: &'a Shared,
    job: Option<u64>,
}

impl Drop for Cancel<'_> {
    fn drop(&mut self) {
        if let Some(job) = self.job {
            self.shared.jobs().remove(&job);
            // If the queue is full the job runs to its wall-clock limit, and is then ignored.
            let _ = self.shared.frames.try_send(frame(&Command::Cancel { job }));
        }
    }
}

async fn write_frames(mut input: ChildStdin, mut frames: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        if input.write_all(&frame).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
}

async fn read(output: &mut BufReader<ChildStdout>) -> io::Result<Reply> {
    let mut length = [0; 4];
    output.read_exact(&mut length).await?;
    let mut bytes = vec![0; frame_length(length)?];
    output.read_exact(&mut bytes).await?;
    message(&bytes)
}

async fn read_replies(
    mut child: Child,
    mut output: BufReader<ChildStdout>,
    shared: std::sync::Weak<Shared>,
) {
    loop {
        let reply = read(&mut output).await;
        let Some(shared) = shared.upgrade() else { return };
        let kept = match reply {
            Ok(reply) => take_reply(&shared, reply).await,
            Err(_) => Err("its pipe ended"),
        };
        if let Err(why) = kept {
            let status = child.try_wait().ok().flatten();
            tracing::warn!(worker = ?shared.id, ?status, "worker process lost: {why}");
            let _ = child.start_kill();
            shared.lose();
            let _ = child.wait().await;
            return;
        }
    }
}

/// Takes one reply.
///
/// # Errors
/// The rule that the worker broke.
async fn take_reply(shared: &Arc<Shared>, reply: Reply) -> Result<(), &'static str> {
    match reply {
        Reply::Ready => Err("it was ready twice"),
        Reply::Need { job, hash } => {
            let contents = match shared.jobs().get(&job) {
                Some(running) => running.contents.get(&hash).cloned(),
                None => None,
            };
            // In a task of its own: the reader must go on while the worker's pipe is full.
            let frames = shared.frames.clone();
            tokio::spawn(send_content(frames, hash, contents));
            Ok(())
        }
        Reply::Output { job, hash, chunk, last: _ } => {
            let mut jobs = shared.jobs();
            let Some(running) = jobs.get_mut(&job) else { return Ok(()) };
            let length = u64::try_from(chunk.as_slice().len()).unwrap_or(u64::MAX);
            running.bytes_left = running
                .bytes_left
                .checked_sub(length)
                .ok_or("it sent more than a job may write")?;
            running.outputs.entry(hash).or_default().extend_from_slice(chunk.as_slice());
            Ok(())
        }
        Reply::Done { job, usage, trace_root, guest_us } => {
            let Some(running) = shared.jobs().remove(&job) else { return Ok(()) };
            let guest = Duration::from_micros(guest_us);
            let finished = check(usage, trace_root, running.outputs, guest)?;
            let _ = running.done.send(Ok(finished));
            Ok(())
        }
        Reply::Abort { job, why } => {
            let Some(running) = shared.jobs().remove(&job) else { return Ok(()) };
            let _ = running.done.send(Err(JobError::Aborted(why.as_str().to_owned())));
            Ok(())
        }
    }
}

async fn send_content(
    frames: mpsc::Sender<Vec<u8>>,
    hash: ContentHash,
    content: Option<Arc<[u8]>>,
) {
    let Some(content) = content else {
        let _ = frames.send(frame(&Command::Missing { hash })).await;
        return;
    };
    for (chunk, last) in chunks(&content) {
        if frames.send(frame(&Command::Content { hash, chunk, last })).await.is_err() {
            return;
        }
    }
}

/// Checks that the content has its names and is what the result names.
fn check(
    usage: Usage,
    trace_root: Hash,
    contents: BTreeMap<ContentHash, Vec<u8>>,
    guest: Duration,
) -> Result<Finished, &'static str> {
    if contents.iter().any(|(hash, bytes)| ContentHash::of(bytes) != *hash) {
        return Err("it sent content under another's name");
    }
    let encoded = contents.get(&usage.output).ok_or("its result names what it did not send")?;
    let manifest = Manifest::from_bytes(encoded).map_err(|_| "its result is no manifest")?;
    if manifest.contents().any(|(hash, _)| !contents.contains_key(&hash)) {
        return Err("its manifest names what it did not send");
    }
    Ok(Finished { usage, trace_root, manifest, contents, guest })
}

#[cfg(test)]
mod tests {
    use types::Encode;

    use super::*;

    fn usage(output: ContentHash) -> Usage {
        Usage { fuel: 1, exit: classes::job::Exit::Code(0), output }
    }

    #[test]
    fn content_under_another_name_is_refused() {
        let manifest = Manifest::default().to_bytes();
        let name = ContentHash::of(&manifest);
        let accept = |contents: BTreeMap<_, _>| {
            check(usage(name), Hash::ZERO, contents, Duration::ZERO).map(|_| ())
        };
        assert_eq!(accept([(name, manifest.clone())].into()), Ok(()));
        let other = ContentHash::of(b"other");
        let forged = [(name, manifest.clone()), (other, b"forged".to_vec())];
        assert_eq!(accept(forged.into()), Err("it sent content under another's name"));
        assert_eq!(accept(BTreeMap::new()), Err("its result names what it did not send"));
    }
}
