//! One job as the parent sees it: what the worker may ask and send for it, and the check of what
//! came. Each function returns the rule that the worker broke, if it broke one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use blake3::Hasher;
use classes::job::Usage;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::AbortHandle;
use types::{ContentHash, Decode, Hash, LeaseId, Manifest, Receipt};

use super::parent::{JobError, Request};
use super::protocol::CHUNK_BYTES_MAX;
use crate::job::{Outcome, largest_result};

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
    /// Why the job could not begin, for people to read; not part of the result.
    pub unrunnable: Option<String>,
}

impl Finished {
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

impl From<Outcome> for Finished {
    fn from(outcome: Outcome) -> Self {
        let Outcome { usage, trace_root, manifest, contents, unrunnable } = outcome;
        let contents = contents.into_iter().map(|(hash, bytes)| (hash, bytes.to_vec())).collect();
        Self { usage, trace_root, manifest, contents, guest: Duration::ZERO, unrunnable }
    }
}

/// The end of a job as the worker states it.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) usage: Usage,
    pub(super) trace_root: Hash,
    pub(super) guest: Duration,
    pub(super) unrunnable: Option<String>,
}

/// A job that the worker has.
#[derive(Debug)]
pub(super) struct Running {
    contents: Arc<BTreeMap<ContentHash, Arc<[u8]>>>,
    /// Whether a content is on its way to the worker; a job waits for one at a time.
    pub(super) is_sending: bool,
    stage: Stage,
    /// Kills the worker unless the program is ready in time.
    timer: Option<Timer>,
    partial: Option<Partial>,
    outputs: BTreeMap<ContentHash, Vec<u8>>,
    bytes_left: u64,
    contents_left: u64,
    fuel_max: u64,
    pub(super) done: oneshot::Sender<Result<Finished, JobError>>,
    /// Held until the worker has ended the job, wanted or not.
    _slot: OwnedSemaphorePermit,
}

/// How far the worker has come with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Gathering,
    Preparing,
    Running,
}

/// A task that is stopped when this is dropped.
#[derive(Debug)]
pub(super) struct Timer(pub(super) AbortHandle);

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A content that has not come whole.
#[derive(Debug)]
struct Partial {
    hash: ContentHash,
    bytes: Vec<u8>,
    hasher: Hasher,
}

impl Running {
    pub(super) fn new(
        request: &Request,
        slot: OwnedSemaphorePermit,
        done: oneshot::Sender<Result<Finished, JobError>>,
    ) -> Self {
        let limits = &request.spec.limits;
        let most = largest_result(limits.output_bytes);
        // A program may move its inputs to its outputs, which takes nothing of what it may write.
        let inputs = request.contents.values();
        let inputs = inputs.map(|bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let bytes_left = inputs.fold(most.bytes, u64::saturating_add);
        Self {
            contents: Arc::clone(&request.contents),
            is_sending: false,
            stage: Stage::Gathering,
            timer: None,
            partial: None,
            outputs: BTreeMap::new(),
            bytes_left,
            contents_left: most.contents,
            fuel_max: limits.fuel,
            done,
            _slot: slot,
        }
    }

    /// Takes the worker's wish for a content; returns it.
    pub(super) fn need(&mut self, hash: &ContentHash) -> Result<Arc<[u8]>, &'static str> {
        if self.is_sending {
            return Err("it asked for a content while another was on its way");
        }
        let content = self.contents.get(hash).ok_or("it asked for what the job does not read")?;
        self.is_sending = true;
        Ok(Arc::clone(content))
    }

    /// Takes that the worker makes the program ready, for which it has until `timer` runs out.
    pub(super) fn prepare(&mut self, timer: Timer) -> Result<(), &'static str> {
        self.timer = Some(timer);
        self.advance(Stage::Gathering, Stage::Preparing)
    }

    /// Takes that the program is ready.
    pub(super) fn run(&mut self) -> Result<(), &'static str> {
        self.timer = None;
        self.advance(Stage::Preparing, Stage::Running)
    }

    fn advance(&mut self, from: Stage, to: Stage) -> Result<(), &'static str> {
        if self.stage != from {
            return Err("it went from one stage of a job to another that does not follow");
        }
        self.stage = to;
        Ok(())
    }

    /// Returns whether the worker makes the program ready.
    pub(super) fn is_preparing(&self) -> bool {
        self.stage == Stage::Preparing
    }

    /// Takes the next part of an output.
    pub(super) fn output(
        &mut self,
        hash: ContentHash,
        chunk: &[u8],
        last: bool,
    ) -> Result<(), &'static str> {
        if !last && chunk.len() != CHUNK_BYTES_MAX {
            return Err("it sent a part that is not full");
        }
        let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.bytes_left =
            self.bytes_left.checked_sub(length).ok_or("it sent more than a job may write")?;
        let mut partial = self.partial.take().unwrap_or_else(|| Partial {
            hash,
            bytes: Vec::new(),
            hasher: Hasher::new(),
        });
        if partial.hash != hash || self.outputs.contains_key(&hash) {
            return Err("it sent parts out of order");
        }
        partial.hasher.update(chunk);
        partial.bytes.extend_from_slice(chunk);
        if !last {
            self.partial = Some(partial);
            return Ok(());
        }
        if partial.hasher.finalize() != *hash.as_bytes() {
            return Err("it sent content under another's name");
        }
        self.contents_left =
            self.contents_left.checked_sub(1).ok_or("it sent more than a manifest can name")?;
        self.outputs.insert(hash, partial.bytes);
        Ok(())
    }

    /// Takes the end of the job.
    pub(super) fn finish(self, statement: Statement) -> Result<(), &'static str> {
        if self.partial.is_some() {
            return Err("it ended a job amid an output");
        }
        if statement.usage.fuel > self.fuel_max {
            return Err("it counted more fuel than the job has");
        }
        let finished = check(statement, self.outputs)?;
        // Whoever cancelled the job does not listen any more.
        let _ = self.done.send(Ok(finished));
        Ok(())
    }
}

/// Checks that the outputs are what the result names, no less and no more.
fn check(
    statement: Statement,
    contents: BTreeMap<ContentHash, Vec<u8>>,
) -> Result<Finished, &'static str> {
    let Statement { usage, trace_root, guest, unrunnable } = statement;
    let encoded = contents.get(&usage.output).ok_or("its result names what it did not send")?;
    let manifest = Manifest::from_bytes(encoded).map_err(|_| "its result is no manifest")?;
    let mut named = BTreeSet::from([usage.output]);
    for (hash, bytes) in manifest.contents() {
        let content = contents.get(&hash).ok_or("its manifest names what it did not send")?;
        if u64::try_from(content.len()) != Ok(bytes) {
            return Err("its manifest states another length");
        }
        named.insert(hash);
    }
    if named.len() != contents.len() {
        return Err("it sent what its manifest does not name");
    }
    Ok(Finished { usage, trace_root, manifest, contents, guest, unrunnable })
}
