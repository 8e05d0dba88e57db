//! Serves one lease: start, inputs, run, receipt, results.
//!
//! The job begins to run while `Start` is on its way; the receipt is signed when both are done.
//! Then the result goes to disk, then to the node, and only then is the receipt handed in: what
//! is paid can be fetched, and survives. Whatever interrupts this, the lease is served again
//! from the start, with the same result, or from the record on disk.
//!
//! A receipt's range ends at its start plus the time that passed here since the start was known,
//! so it cannot lie after the block that takes it, whatever this machine's clock says.

use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use api::LeaseView;
use classes::job::{Spec, Usage};
use executors::{
    job::input_files,
    worker::{Finished, JobError, Request},
};
use futures_util::{StreamExt, TryStreamExt, future::try_join, stream};
use tokio::{sync::mpsc, task::spawn_blocking};
use types::{
    Action, Blob, ContentHash, Decode, Encode, Hash, Lease, LeaseId, LeaseState, List, Manifest,
    Receipt, Reject, SecretKey, SignedReceipt, Time,
};

use crate::{
    backoff::Backoff,
    journal::{Ending, Journal, Record},
    market::{Market, MarketError},
    plan,
    runner::Runner,
    store::Store,
};

/// Contents on their way at the same time, for one lease.
const TRANSFERS_MAX: usize = 8;
/// How long inputs that the node does not have are waited for.
const MISSING_PATIENCE: Duration = Duration::from_secs(30);
/// What is left at the end of a lease to hand in the receipt.
const RECEIPT_MARGIN: types::Duration = types::Duration::from_ms(500);
/// Times that a receipt may come before the end of its range.
const EARLY_MAX: u32 = 8;
/// Times that a job is run before this machine gives it up.
const RUNS_MAX: u32 = 2;

/// How the work for a lease ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The ledger has the receipt.
    Delivered,
    /// It cannot be done here.
    GivenUp(String),
    /// The ledger's state of the lease does not allow it any more.
    Over,
    /// The result is not on disk any more; it can be made again.
    Lost,
}

/// Why a lease's work did not come to a receipt.
#[derive(Debug)]
enum Failure {
    Over,
    GiveUp(String),
}

impl Failure {
    fn refused(what: &str, error: &MarketError) -> Self {
        Self::GiveUp(format!("{what}: {error}"))
    }
}

/// When a lease was started.
#[derive(Debug, Clone, Copy)]
struct Started {
    since: Time,
    /// Not before that.
    known: Instant,
}

impl Started {
    fn new(since: Time) -> Self {
        Self { since, known: Instant::now() }
    }

    /// Returns a time that is not after the ledger's.
    fn now(&self) -> Time {
        let passed = u64::try_from(self.known.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.after(types::Duration::from_ms(passed))
    }
}

/// Everything that serving takes.
#[derive(Debug)]
pub(crate) struct Seller<M, R> {
    pub(crate) market: M,
    pub(crate) runner: R,
    pub(crate) store: Arc<Store>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) key: Arc<SecretKey>,
    pub(crate) genesis: Hash,
    pub(crate) wall_max: Duration,
    pub(crate) input_bytes_max: u64,
}

impl<M: Market, R: Runner> Seller<M, R> {
    /// Serves a lease to its end. Sends its record once that is on disk.
    pub(crate) async fn serve(&self, view: LeaseView, records: mpsc::Sender<Arc<Record>>) -> End {
        let id = view.lease.id;
        let record = match try_join(self.start(&view.lease), self.run(&view)).await {
            Ok((started, finished)) => {
                let record = self.sign(&view.lease, started, &finished);
                tracing::debug!(lease = %id, fuel = finished.usage.fuel, "receipt signed");
                self.persist(record, Some(finished)).await
            }
            Err(Failure::Over) => return End::Over,
            Err(Failure::GiveUp(why)) => return self.give_up(&view.lease, why).await,
        };
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let why = format!("the result cannot be written: {error}");
                return self.give_up(&view.lease, why).await;
            }
        };
        // The agent may be stopping; the record is on disk in any case.
        let _ = records.send(Arc::clone(&record)).await;
        self.deliver(record).await
    }

    /// Hands over the result of a record, then its receipt.
    pub(crate) async fn deliver(&self, record: Arc<Record>) -> End {
        let Ending::Finished { receipt, .. } = &record.ending else { return End::Over };
        if !self.upload(&record).await {
            return End::Lost;
        }
        let mut backoff = Backoff::new();
        let mut early = 0;
        loop {
            let action = Action::SubmitReceipt(receipt.clone());
            match self.market.submit(action).await {
                Ok(()) => return End::Delivered,
                // Where blocks follow each other faster than the clock's ticks, the ledger's time
                // may run ahead of both clocks for a moment; it then comes to the range's end.
                Err(MarketError::Refused { reject: Some(Reject::ReceiptRange), .. })
                    if early < EARLY_MAX =>
                {
                    early += 1;
                }
                Err(MarketError::Refused { reject: Some(Reject::ReceiptSequence), .. }) => {
                    return End::Delivered;
                }
                Err(MarketError::Refused {
                    reject: Some(Reject::LeaseState | Reject::LeaseUnknown),
                    ..
                }) => return End::Over,
                Err(MarketError::Refused { reject: Some(_), text }) => {
                    return End::GivenUp(format!("the receipt was refused: {text}"));
                }
                Err(error) => tracing::debug!(lease = %record.lease, "no receipt yet: {error}"),
            }
            backoff.wait().await;
        }
    }

    /// Sees to it that the node has the result of a record; returns whether it has.
    pub(crate) async fn keep(&self, record: Arc<Record>) -> bool {
        let Ending::Finished { receipt, .. } = &record.ending else { return true };
        let Ok(usage) = Usage::from_bytes(receipt.receipt.usage.as_slice()) else { return true };
        match self.market.has(record.lease, usage.output).await {
            Ok(true) => true,
            Ok(false) => {
                tracing::info!(lease = %record.lease, "the node lost the result; it gets it again");
                self.upload(&record).await
            }
            Err(error) => {
                tracing::debug!(lease = %record.lease, "the result was not looked for: {error}");
                false
            }
        }
    }

    /// Starts the lease if it waits for that.
    async fn start(&self, lease: &Lease) -> Result<Started, Failure> {
        let mut state = lease.state;
        let mut backoff = Backoff::new();
        loop {
            match state {
                LeaseState::Active { since } | LeaseState::Reclaiming { since, .. } => {
                    return Ok(Started::new(since));
                }
                LeaseState::Closing { .. } | LeaseState::Closed { .. } => {
                    return Err(Failure::Over);
                }
                LeaseState::Pending { .. } => {}
            }
            match self.market.submit(Action::Start { lease: lease.id }).await {
                Ok(()) | Err(MarketError::Refused { reject: Some(Reject::LeaseState), .. }) => {
                    state = self.state(lease.id).await?;
                }
                Err(MarketError::Refused { reject: Some(Reject::LeaseUnknown), .. }) => {
                    return Err(Failure::Over);
                }
                Err(error @ MarketError::Refused { reject: Some(_), .. }) => {
                    return Err(Failure::refused("it cannot be started", &error));
                }
                Err(error) => {
                    tracing::debug!(lease = %lease.id, "not started yet: {error}");
                    backoff.wait().await;
                }
            }
        }
    }

    async fn state(&self, id: LeaseId) -> Result<LeaseState, Failure> {
        let mut backoff = Backoff::new();
        loop {
            match self.market.lease(id).await {
                Ok(view) => return Ok(view.lease.state),
                Err(error) => tracing::debug!(lease = %id, "not seen: {error}"),
            }
            backoff.wait().await;
        }
    }

    /// Runs the job to its end.
    async fn run(&self, view: &LeaseView) -> Result<Finished, Failure> {
        let unread = || Failure::GiveUp("its specification cannot be read".to_owned());
        let spec = plan::specification(view).ok_or_else(unread)?;
        let contents = Arc::new(self.gather(view.lease.id, &spec).await?);
        let mut why = String::new();
        for run in 1..=RUNS_MAX {
            let left = plan::deadline(&view.lease).since(api::now().after(RECEIPT_MARGIN));
            let wall = Duration::from_millis(left.as_ms()).min(self.wall_max);
            if wall.is_zero() {
                return Err(Failure::GiveUp(format!("the lease ends; {why}")));
            }
            let (spec, contents) = (spec.clone(), Arc::clone(&contents));
            let request = Request { spec, created: view.lease.created, wall, contents };
            match self.runner.run(request).await {
                Ok(finished) => {
                    if let Some(why) = &finished.unrunnable {
                        tracing::info!(lease = %view.lease.id, "the job could not begin: {why}");
                    }
                    return Ok(finished);
                }
                Err(error @ JobError::WorkerLost) => {
                    return Err(Failure::GiveUp(error.to_string()));
                }
                Err(error @ JobError::Aborted(_)) => why = error.to_string(),
            }
            tracing::warn!(lease = %view.lease.id, run, "no result: {why}");
        }
        Err(Failure::GiveUp(why))
    }

    /// Fetches everything that the job reads.
    async fn gather(
        &self,
        lease: LeaseId,
        spec: &Spec,
    ) -> Result<BTreeMap<ContentHash, Arc<[u8]>>, Failure> {
        let mut contents = BTreeMap::new();
        let mut left = self.input_bytes_max;
        for hash in [Some(spec.program), spec.stdin, spec.input].into_iter().flatten() {
            let content = self.content(lease, hash, left).await?;
            left = left.saturating_sub(u64::try_from(content.len()).unwrap_or(u64::MAX));
            contents.insert(hash, content);
        }
        let Some(manifest) = spec.input.and_then(|hash| contents.get(&hash)) else {
            return Ok(contents);
        };
        // One that cannot be laid out is for the worker to judge, by the class's rules.
        let (Ok(files), Ok(manifest)) = (input_files(manifest), Manifest::from_bytes(manifest))
        else {
            return Ok(contents);
        };
        let bytes = manifest.contents().fold(0_u64, |sum, (_, bytes)| sum.saturating_add(bytes));
        if bytes > left {
            return Err(Failure::GiveUp("its inputs are larger than is taken here".to_owned()));
        }
        let mut hashes: Vec<ContentHash> = files.into_iter().map(|(_, hash)| hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let fetched: Vec<(ContentHash, Arc<[u8]>)> = stream::iter(hashes)
            .map(|hash| async move { Ok((hash, self.content(lease, hash, left).await?)) })
            .buffer_unordered(TRANSFERS_MAX)
            .try_collect()
            .await?;
        contents.extend(fetched);
        Ok(contents)
    }

    /// Returns one content from the cache, or from the node.
    async fn content(
        &self,
        lease: LeaseId,
        hash: ContentHash,
        bytes_max: u64,
    ) -> Result<Arc<[u8]>, Failure> {
        if let Some(content) = self.stored(hash).await {
            return Ok(content);
        }
        let began = Instant::now();
        let mut backoff = Backoff::new();
        loop {
            match self.market.fetch(lease, hash, bytes_max).await {
                Ok(content) => {
                    let content: Arc<[u8]> = content.into();
                    let (store, kept) = (Arc::clone(&self.store), Arc::clone(&content));
                    // Nobody waits for it: the cache is only for the jobs that follow.
                    drop(spawn_blocking(move || {
                        if let Err(error) = store.put(hash, &kept) {
                            tracing::warn!(%hash, "content was not cached: {error}");
                        }
                    }));
                    return Ok(content);
                }
                Err(error @ MarketError::Refused { .. }) => {
                    return Err(Failure::refused("an input cannot be had", &error));
                }
                Err(error @ MarketError::Absent(_)) if began.elapsed() > MISSING_PATIENCE => {
                    return Err(Failure::refused("an input is missing", &error));
                }
                Err(error) => tracing::debug!(%lease, %hash, "an input is not there: {error}"),
            }
            backoff.wait().await;
        }
    }

    async fn stored(&self, hash: ContentHash) -> Option<Arc<[u8]>> {
        if !self.store.has(&hash) {
            return None;
        }
        let store = Arc::clone(&self.store);
        spawn_blocking(move || store.get(&hash)).await.ok().flatten()
    }

    fn sign(&self, lease: &Lease, started: Started, finished: &Finished) -> Record {
        let usage = Blob::new(finished.usage.to_bytes()).expect("a job's usage is under 64 bytes");
        let receipt = Receipt {
            lease: lease.id,
            sequence: 1,
            from: started.since,
            to: started.now(),
            usage,
            work_root: finished.work_root(),
        };
        let receipt = Box::new(SignedReceipt::sign(receipt, &self.genesis, &self.key));
        let contents = List::new(finished.contents.keys().copied().collect())
            .expect("a result is a manifest and the content that it names");
        let ending = Ending::Finished { receipt, contents };
        Record { lease: lease.id, ends: lease.ends, ending }
    }

    /// Writes a result and its record to disk.
    async fn persist(&self, record: Record, finished: Option<Finished>) -> io::Result<Arc<Record>> {
        let (store, journal) = (Arc::clone(&self.store), Arc::clone(&self.journal));
        let record = Arc::new(record);
        let written = Arc::clone(&record);
        let write = move || {
            // Pinned first, so that none of it leaves before all of it is there.
            store.pin(written.contents());
            let contents = finished.into_iter().flat_map(|finished| finished.contents);
            let result = contents
                .into_iter()
                .try_for_each(|(hash, bytes)| store.put(hash, &bytes))
                .and_then(|()| journal.write(&written));
            if result.is_err() {
                store.unpin(written.contents());
            }
            result
        };
        spawn_blocking(write).await.map_err(io::Error::other)??;
        Ok(record)
    }

    /// Records that a lease cannot be done here, so that it is not tried again for ever.
    async fn give_up(&self, lease: &Lease, why: String) -> End {
        let record = Record::given_up(lease.id, lease.ends, &why);
        if let Err(error) = self.persist(record, None).await {
            tracing::error!(lease = %lease.id, "a record cannot be written: {error}");
        }
        End::GivenUp(why)
    }

    /// Gives the node all content of a result; returns whether all of it was there.
    async fn upload(&self, record: &Record) -> bool {
        let lease = record.lease;
        let hashes = record.contents().to_vec();
        let uploads = stream::iter(hashes).map(|hash| self.upload_content(lease, hash));
        let mut uploads = uploads.buffer_unordered(TRANSFERS_MAX);
        let mut whole = true;
        while let Some(there) = uploads.next().await {
            whole &= there;
        }
        whole
    }

    async fn upload_content(&self, lease: LeaseId, hash: ContentHash) -> bool {
        let Some(content) = self.stored(hash).await else { return false };
        let mut backoff = Backoff::new();
        loop {
            match self.market.store(Arc::clone(&content)).await {
                Ok(()) => return true,
                Err(error @ MarketError::Away(_)) => {
                    tracing::debug!(%lease, %hash, "a result is not uploaded yet: {error}");
                }
                // What a node refuses now it may take later, and unpaid work is lost anyway.
                Err(error) => tracing::warn!(%lease, %hash, "a result is not taken: {error}"),
            }
            backoff.wait().await;
        }
    }
}
