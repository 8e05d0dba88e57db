//! What a job reads: brought to disk before its lease is started, read when it is run.
//!
//! All content goes by names, and names are public: they stand in orders and receipts for all to
//! read. So content is taken for a lease only if the network has shown it for a lease of the same
//! tenant, though it lies here for another; else a tenant would be given what another keeps to
//! itself, just for naming it. What the manifest says of a file's length binds, so that nothing
//! longer is ever taken than was counted.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use classes::job::Spec;
use executors::job::input_files;
use futures_util::{StreamExt, TryStreamExt, stream};
use thiserror::Error;
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout_at},
};
use types::{Address, ContentHash, Decode, Lease, LeaseId, Manifest};

use crate::{
    backoff::Backoff,
    market::{Market, MarketError},
    store::{Pins, Store},
};

/// Contents on their way at the same time, for one lease.
pub(crate) const TRANSFERS_MAX: usize = 8;
/// Times that inputs are fetched which are gone or damaged when they are read.
const READS_MAX: u32 = 3;

/// Why a job does not get what it reads.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum GatherError {
    /// The network does not have it, or does not show it for this lease.
    #[error("an input is missing: {0}")]
    Missing(String),
    /// It is not what is taken here.
    #[error("an input cannot be taken: {0}")]
    Unfit(String),
    /// This machine cannot keep it.
    #[error("an input cannot be kept: {0}")]
    Disk(String),
}

/// What a job reads, by name.
pub(crate) type Contents = BTreeMap<ContentHash, Arc<[u8]>>;

/// Brings what a job reads to disk.
#[derive(Debug)]
pub(crate) struct Gather<'a, M> {
    market: &'a M,
    store: &'a Arc<Store>,
    lease: LeaseId,
    tenant: Address,
    /// How long what is absent is waited for.
    until: Instant,
    /// Contents that are waited for.
    absent: AtomicUsize,
}

impl<'a, M: Market> Gather<'a, M> {
    pub(crate) fn new(market: &'a M, store: &'a Arc<Store>, lease: &Lease, until: Instant) -> Self {
        let (lease, tenant) = (lease.id, lease.tenant);
        Self { market, store, lease, tenant, until, absent: AtomicUsize::new(0) }
    }

    /// Returns whether something was not there when it was last asked for.
    pub(crate) fn is_waiting(&self) -> bool {
        self.absent.load(Ordering::Relaxed) > 0
    }

    /// Brings everything to disk that a job reads, at most so many bytes. It stays there as long
    /// as the pins.
    ///
    /// # Errors
    /// [`GatherError`]. What is absent is waited for, and so is a node that is away.
    pub(crate) async fn fetch(&self, spec: &Spec, bytes_max: u64) -> Result<Pins, GatherError> {
        let mut pins = self.store.pins();
        let mut left = bytes_max;
        for hash in [Some(spec.program), spec.stdin, spec.input].into_iter().flatten() {
            pins.add(hash);
            left = left.saturating_sub(self.content(hash, left).await?);
        }
        let Some(input) = spec.input else { return Ok(pins) };
        let files = self.files(input, left).await?;
        files.keys().for_each(|hash| pins.add(*hash));
        stream::iter(files)
            .map(|(hash, bytes)| self.file(hash, bytes))
            .buffer_unordered(TRANSFERS_MAX)
            .try_collect::<()>()
            .await?;
        Ok(pins)
    }

    /// Reads what was brought to disk, and fetches again what cannot be read.
    ///
    /// # Errors
    /// [`GatherError`].
    pub(crate) async fn read(&self, pins: &Pins) -> Result<Contents, GatherError> {
        let mut contents = Contents::new();
        for hash in pins.hashes() {
            if !contents.contains_key(hash) {
                contents.insert(*hash, self.read_content(*hash).await?);
            }
        }
        Ok(contents)
    }

    async fn read_content(&self, hash: ContentHash) -> Result<Arc<[u8]>, GatherError> {
        for _ in 0..READS_MAX {
            if let Some(content) = self.read_stored(hash).await {
                return Ok(content);
            }
            // Whatever has this name is as long as what was bounded before.
            self.content(hash, u64::MAX).await?;
        }
        Err(GatherError::Disk(format!("{hash} cannot be read again")))
    }

    /// Returns the files that a manifest names, with their lengths.
    async fn files(
        &self,
        manifest: ContentHash,
        bytes_max: u64,
    ) -> Result<BTreeMap<ContentHash, u64>, GatherError> {
        let manifest = self.read_content(manifest).await?;
        let mut files = BTreeMap::new();
        // One that cannot be laid out is for the worker to judge, by the class's rules.
        let (Ok(_), Ok(manifest)) = (input_files(&manifest), Manifest::from_bytes(&manifest))
        else {
            return Ok(files);
        };
        let mut left = bytes_max;
        for (hash, bytes) in manifest.contents() {
            left = left.checked_sub(bytes).ok_or_else(too_large)?;
            if files.insert(hash, bytes).is_some_and(|other| other != bytes) {
                return Err(wrong_length(hash));
            }
        }
        Ok(files)
    }

    async fn file(&self, hash: ContentHash, bytes: u64) -> Result<(), GatherError> {
        if self.content(hash, bytes).await? == bytes { Ok(()) } else { Err(wrong_length(hash)) }
    }

    /// Sees to it that content is on disk and shown for this tenant, and returns its length.
    async fn content(&self, hash: ContentHash, bytes_max: u64) -> Result<u64, GatherError> {
        let mut backoff = Backoff::new();
        let mut absence = None;
        loop {
            match self.look(hash, bytes_max).await {
                Ok(bytes) if bytes <= bytes_max => return Ok(bytes),
                Ok(_) => return Err(too_large()),
                Err(MarketError::Refused { text, .. }) => return Err(GatherError::Unfit(text)),
                Err(MarketError::Disk(text)) => return Err(GatherError::Disk(text)),
                Err(MarketError::Absent(text)) => {
                    if Instant::now() >= self.until {
                        return Err(GatherError::Missing(text));
                    }
                    absence.get_or_insert_with(|| Absence::begin(&self.absent));
                    tracing::debug!(lease = %self.lease, %hash, "an input is not there: {text}");
                    // It is looked for once more when the time is over.
                    let _ = timeout_at(self.until, backoff.wait()).await;
                }
                Err(MarketError::Away(text)) => {
                    tracing::debug!(lease = %self.lease, %hash, "an input is not here: {text}");
                    backoff.wait().await;
                }
            }
        }
    }

    async fn look(&self, hash: ContentHash, bytes_max: u64) -> Result<u64, MarketError> {
        let Some(bytes) = self.length(hash).await else {
            return self.transfer(hash, bytes_max).await;
        };
        if !self.store.is_for(self.tenant, &hash) {
            if !self.market.has(self.lease, hash).await? {
                return Err(MarketError::Absent(format!("{hash} is not shown for this lease")));
            }
            self.store.allow(self.tenant, &hash);
        }
        Ok(bytes)
    }

    /// Returns the length of content that is here.
    async fn length(&self, hash: ContentHash) -> Option<u64> {
        if let Some(bytes) = self.store.length(&hash) {
            return Some(bytes);
        }
        // What an earlier process left is read once before it counts.
        self.read_stored(hash).await.map(|content| u64::try_from(content.len()).unwrap_or(u64::MAX))
    }

    async fn read_stored(&self, hash: ContentHash) -> Option<Arc<[u8]>> {
        let store = Arc::clone(self.store);
        spawn_blocking(move || store.get(&hash)).await.ok().flatten()
    }

    async fn transfer(&self, hash: ContentHash, bytes_max: u64) -> Result<u64, MarketError> {
        let draft = self.store.draft(hash);
        let bytes = self.market.fetch(self.lease, hash, draft.path(), bytes_max).await?;
        let (store, tenant) = (Arc::clone(self.store), self.tenant);
        spawn_blocking(move || store.keep(draft, hash, bytes, tenant))
            .await
            .map_err(|error| MarketError::Disk(error.to_string()))?
            .map_err(|error| MarketError::Disk(error.to_string()))?;
        Ok(bytes)
    }
}

/// Counts as long as it lasts.
struct Absence<'a>(&'a AtomicUsize);

impl<'a> Absence<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Absence<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn too_large() -> GatherError {
    GatherError::Unfit("the inputs are larger than is taken here".to_owned())
}

fn wrong_length(hash: ContentHash) -> GatherError {
    GatherError::Unfit(format!("{hash} is not as long as its manifest says"))
}
