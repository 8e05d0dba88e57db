//! Snapshots: a final state on disk, so that a start need not execute everything again.
//!
//! ```text
//! snapshot = "IWS2" ‖ header ‖ |finalization| ‖ finalization ‖ (|chunk| ‖ chunk)…     lengths u32
//! ```
//!
//! The finalization shows that the header is final, and the chunks lead to the header's state or
//! are refused: what is on disk is trusted no more than what a stranger sends. A snapshot that a
//! crash left unfinished lacks chunks, so it is none.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use commonware_codec::{Copying, Decode as _, Encode as _};
use commonware_consensus::simplex::{scheme::ed25519::Scheme, types::Finalization};
use commonware_cryptography::{blake3::Digest, certificate::Verifier as _};
use commonware_parallel::Sequential;
use commonware_runtime::{Blob as _, Clock, Error, ReadOptions, Spawner, Storage, WriteOptions};
use rand_core::CryptoRng;

use crate::{
    application::beside,
    block::{HEADER_BYTES, Header},
    machine::Machine,
    tree::Node,
};

const MAGIC: [u8; 4] = *b"IWS2";
/// Snapshots that are kept; an older one is there in case the newest does not read.
const KEPT: usize = 2;
/// Bytes of bodies after which a snapshot is due: they are executed again in about a second.
const BODY_BYTES: u64 = 4 * 1024 * 1024;
/// Blocks after which a snapshot is due.
const BLOCKS: u64 = 2_000;
/// The shortest time between snapshots.
const PAUSE: Duration = Duration::from_secs(30);
/// How many times as long as the last one took a pause lasts at least.
const PAUSE_FACTOR: u32 = 20;
/// Most bytes of a chunk.
pub(crate) const CHUNK_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes of an encoded finalization: 1,000 validators' signatures.
const FINALIZATION_BYTES_MAX: usize = 128 * 1024;

/// A final block with the signatures that say so.
pub(crate) type Final = Finalization<Scheme, Digest>;

/// A final state and the proof that it is one.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) node: Node,
    pub(crate) finalization: Final,
}

/// What is known between two snapshots.
struct Progress {
    /// Heights of those on disk, ascending.
    heights: Vec<u64>,
    writing: bool,
    written_at: Option<SystemTime>,
    took: Duration,
}

/// The snapshots of a chain.
pub(crate) struct Snapshots<E> {
    context: E,
    partition: String,
    progress: Arc<Mutex<Progress>>,
    body_bytes_since: u64,
    blocks_since: u64,
}

impl<E: Clock + CryptoRng + Spawner + Storage> Snapshots<E> {
    /// Opens the snapshots in a partition, and reads the newest that is whole.
    ///
    /// # Errors
    /// Why the disk does not say what is on it.
    pub(crate) async fn open(
        mut context: E,
        partition: String,
        machine: &Arc<dyn Machine>,
        scheme: &Scheme,
    ) -> Result<(Self, Option<Snapshot>), String> {
        let mut heights = Vec::new();
        match context.scan(&partition).await {
            Ok(names) => {
                let name = |name: Vec<u8>| name.try_into().ok().map(u64::from_be_bytes);
                heights.extend(names.into_iter().filter_map(name));
            }
            Err(Error::PartitionMissing(_)) => {}
            Err(error) => return Err(format!("snapshots cannot be listed: {error}")),
        }
        heights.sort_unstable();
        let mut newest = None;
        let mut withheld = None;
        while let Some(height) = heights.last().copied() {
            match read(&mut context, &partition, height, machine, scheme).await {
                Ok(snapshot) => {
                    newest = Some(snapshot);
                    break;
                }
                // Another time it may be there.
                Err(Unread::Disk(error)) => {
                    let why = format!("the snapshot of block {height} cannot be read: {error}");
                    tracing::warn!("{why}");
                    heights.pop();
                    withheld = Some(why);
                }
                Err(Unread::Bad(why)) => {
                    tracing::warn!(height, "a snapshot does not read: {why}");
                    heights.pop();
                    let _ = context.remove(&partition, Some(&height.to_be_bytes())).await;
                }
            }
        }
        if let (None, Some(why)) = (&newest, withheld) {
            return Err(why);
        }
        let progress = Progress { heights, writing: false, written_at: None, took: Duration::ZERO };
        let snapshots = Self {
            context,
            partition,
            progress: Arc::new(Mutex::new(progress)),
            body_bytes_since: 0,
            blocks_since: 0,
        };
        Ok((snapshots, newest))
    }

    /// Counts a block that a snapshot would spare.
    pub(crate) fn count(&mut self, body_bytes: usize) {
        self.body_bytes_since += body_bytes as u64;
        self.blocks_since += 1;
    }

    /// Returns whether a snapshot is due.
    pub(crate) fn due(&self) -> bool {
        if self.body_bytes_since < BODY_BYTES && self.blocks_since < BLOCKS {
            return false;
        }
        let progress = lock(&self.progress);
        let pause = PAUSE.max(progress.took * PAUSE_FACTOR);
        let since = |at| self.context.current().duration_since(at).unwrap_or_default();
        !progress.writing && progress.written_at.is_none_or(|at| since(at) >= pause)
    }

    /// Returns the height from whose state a start can go on even if the newest does not read.
    pub(crate) fn oldest_height(&self) -> u64 {
        lock(&self.progress).heights.first().copied().unwrap_or(0)
    }

    /// Returns the height of the newest.
    pub(crate) fn newest_height(&self) -> Option<u64> {
        lock(&self.progress).heights.last().copied()
    }

    /// Begins to write a snapshot beside the work.
    pub(crate) fn start_write(&mut self, snapshot: Snapshot) {
        self.body_bytes_since = 0;
        self.blocks_since = 0;
        lock(&self.progress).writing = true;
        let (partition, progress) = (self.partition.clone(), Arc::clone(&self.progress));
        self.context.child("snapshot").spawn(|context| async move {
            let height = snapshot.node.header.height;
            let began = context.current();
            let written = write(&context, &partition, &snapshot).await;
            let took = context.current().duration_since(began).unwrap_or_default();
            let old = {
                let mut progress = lock(&progress);
                progress.writing = false;
                progress.took = took;
                progress.written_at = Some(context.current());
                if written.is_ok() {
                    progress.heights.push(height);
                }
                let surplus = progress.heights.len().saturating_sub(KEPT);
                progress.heights.drain(..surplus).collect::<Vec<_>>()
            };
            let unfinished = written.is_err().then_some(height);
            match written {
                Ok(()) => tracing::info!(height, ?took, "wrote a snapshot"),
                // The next start executes more; nothing is lost.
                Err(error) => tracing::warn!("a snapshot could not be written: {error}"),
            }
            for height in old.into_iter().chain(unfinished) {
                let _ = context.remove(&partition, Some(&height.to_be_bytes())).await;
            }
        });
    }

    /// Writes a snapshot and waits until it is on disk.
    pub(crate) async fn write(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        write(&self.context, &self.partition, snapshot).await?;
        let mut progress = lock(&self.progress);
        progress.heights.push(snapshot.node.header.height);
        Ok(())
    }
}

fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    // It is whole between any two statements that hold the lock.
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns a length as it is written.
fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("far below 4 GiB").to_le_bytes()
}

async fn write<E: Spawner + Storage>(
    context: &E,
    partition: &str,
    snapshot: &Snapshot,
) -> Result<(), Error> {
    let name = snapshot.node.header.height.to_be_bytes();
    let (blob, _) = context.open(partition, &name).await?;
    blob.resize(0).await?;
    let finalization = snapshot.finalization.encode();
    let header = snapshot.node.header.to_bytes();
    let head = [&MAGIC[..], &header, &length(&finalization), &finalization].concat();
    let mut offset = head.len() as u64;
    blob.write_at(0, head, WriteOptions::default()).await?;
    let mut from = Some(Vec::new());
    while let Some(key) = from {
        let state = Arc::clone(&snapshot.node.state);
        let Some(chunk) = beside(context, move || state.chunk(&key)).await else { break };
        let framed = [&length(&chunk.bytes)[..], &chunk.bytes].concat();
        let written = framed.len() as u64;
        blob.write_at(offset, framed, WriteOptions::default()).await?;
        offset += written;
        from = chunk.next;
    }
    blob.sync().await
}

/// Reads a snapshot and checks everything that it says.
async fn read<E: CryptoRng + Spawner + Storage>(
    context: &mut E,
    partition: &str,
    height: u64,
    machine: &Arc<dyn Machine>,
    scheme: &Scheme,
) -> Result<Snapshot, Unread> {
    let (blob, size) = context.open(partition, &height.to_be_bytes()).await?;
    let mut source = Source { blob: &blob, offset: 0, size };
    let head = source.take(MAGIC.len() + HEADER_BYTES).await?;
    let (magic, header) = head.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(Unread::bad("it is in another form"));
    }
    let header = Header::from_bytes(header.try_into().expect("taken with this length"));
    let finalization = source.framed(FINALIZATION_BYTES_MAX).await?;
    let finalization =
        Final::decode_cfg(Copying(&finalization[..]), &scheme.certificate_codec_config())
            .map_err(|error| Unread::Bad(format!("its finalization is malformed: {error}")))?;
    if !is_final(&header, &finalization, scheme, context) || header.height != height {
        return Err(Unread::bad("its block is not final"));
    }
    let mut restore = machine.restore(header.state);
    while source.offset < source.size {
        let chunk = source.framed(CHUNK_BYTES_MAX).await?;
        restore = beside(context, move || {
            let accepted = restore.accept(&chunk);
            accepted.map(|_| restore).map_err(|refusal| Unread::Bad(refusal.to_string()))
        })
        .await?;
    }
    let state = restore.finish(&header);
    let state = state.map_err(|refusal| Unread::Bad(refusal.to_string()))?;
    Ok(Snapshot { node: Node::new(header, state), finalization })
}

/// Why a snapshot was not read.
enum Unread {
    /// What is there is none.
    Bad(String),
    /// The disk does not say what is there.
    Disk(Error),
}

impl Unread {
    fn bad(why: &str) -> Self {
        Self::Bad(why.to_owned())
    }
}

impl From<Error> for Unread {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(_) | Error::ReadFailed | Error::BlobOpenFailed(..) => Self::Disk(error),
            // The runtime keeps a head of its own in each file.
            error => Self::Bad(error.to_string()),
        }
    }
}

/// Returns whether a finalization is of the block with a header, and good.
pub(crate) fn is_final(
    header: &Header,
    finalization: &Final,
    scheme: &Scheme,
    random: &mut impl CryptoRng,
) -> bool {
    finalization.proposal.payload.0 == header.digest()
        && finalization.verify(random, scheme, &Sequential)
}

/// Reads a blob from front to back.
struct Source<'a, B> {
    blob: &'a B,
    offset: u64,
    size: u64,
}

impl<B: commonware_runtime::Blob> Source<'_, B> {
    async fn take(&mut self, count: usize) -> Result<Vec<u8>, Unread> {
        if self.size - self.offset < count as u64 {
            return Err(Unread::bad("it is not whole"));
        }
        let read = self.blob.read_at(self.offset, count, ReadOptions::DONT_CACHE).await;
        self.offset += count as u64;
        Ok(read?.coalesce().as_ref().to_vec())
    }

    async fn framed(&mut self, count_max: usize) -> Result<Vec<u8>, Unread> {
        let count = self.take(4).await?;
        let count = u32::from_le_bytes(count.try_into().expect("taken with this length"));
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > count_max {
            return Err(Unread::bad("a part of it is too long"));
        }
        self.take(count).await
    }
}
