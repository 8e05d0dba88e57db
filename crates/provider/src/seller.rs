//! Serves one lease: inputs, start, run, receipt, results.
//!
//! A lease is started once what its job reads is here, or on its way: one that names what nobody
//! has is not started, so that it is over with its window and costs nobody a slot for longer.
//! Where the ledger would take the offers down for one more of these, it is started, and the
//! tenant given notice. So it is with one for whose result there is no room as long as results of
//! others wait to be handed over.
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
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};

use api::LeaseView;
use classes::job::{Spec, Usage};
use executors::wasm::EngineKind;
use executors::worker::{Finished, JobError, Request};
use futures_util::{StreamExt, future::try_join, stream};
use tokio::{
    sync::{Mutex, mpsc},
    task::spawn_blocking,
    time::{sleep, timeout_at},
};
use types::{
    Action, Blob, ContentHash, Decode, Encode, Hash, Lease, LeaseId, LeaseState, List, Receipt,
    Reject, SecretKey, SignedReceipt, Time,
};

use crate::{
    backoff::Backoff,
    config::result_bytes,
    inputs::{Gather, GatherError, TRANSFERS_MAX},
    journal::{Ending, Journal, Record},
    market::{Market, MarketError},
    plan,
    results::{NoRoom, Results, Room},
    runner::Runner,
    store::{Pins, Store},
};

/// How long what a lease lacks is waited for once it is started.
const MISSING_PATIENCE: Duration = Duration::from_secs(30);
/// How long before the end of its window it is decided whether a lease is started that lacks
/// something; a quarter of the window if that is less.
const START_MARGIN: types::Duration = types::Duration::from_seconds(10);
/// How long inputs that are there may be on their way before the lease is started meanwhile: the
/// tenant takes one for lost that is not started soon.
const TRANSFER_PATIENCE: Duration = Duration::from_secs(1);
/// How long after the end of its window the ledger has counted a lease that was not started.
const COUNTED_AFTER: types::Duration = types::Duration::from_seconds(5);
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

impl From<GatherError> for Failure {
    fn from(error: GatherError) -> Self {
        Self::GiveUp(error.to_string())
    }
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

/// Returns when what a lease lacks has been waited for long enough.
fn patience(lease: &Lease) -> tokio::time::Instant {
    let wait = match lease.state {
        LeaseState::Pending { start_by } => {
            let window = start_by.since(lease.created);
            let margin = START_MARGIN.min(types::Duration::from_ms(window.as_ms() / 4));
            let wait = start_by.since(api::now().after(margin));
            Duration::from_millis(wait.as_ms())
        }
        _ => MISSING_PATIENCE,
    };
    tokio::time::Instant::now() + wait
}

/// Everything that serving takes.
#[derive(Debug)]
pub(crate) struct Seller<M, R> {
    pub(crate) market: Arc<M>,
    pub(crate) runner: R,
    pub(crate) store: Arc<Store>,
    pub(crate) results: Arc<Results>,
    pub(crate) journal: Arc<Journal<Record>>,
    pub(crate) key: Arc<SecretKey>,
    pub(crate) genesis: Hash,
    pub(crate) input_bytes_max: u64,
    /// Leases that were left without a start, with the ends of their windows.
    pub(crate) left: Mutex<BTreeMap<LeaseId, Time>>,
}

impl<M: Market, R: Runner> Seller<M, R> {
    /// Serves a lease to its end. Sends its record once that is on disk.
    pub(crate) async fn serve(&self, view: LeaseView, records: mpsc::Sender<Arc<Record>>) -> End {
        let id = view.lease.id;
        let Some(spec) = plan::specification(&view) else {
            return self.give_up(&view.lease, "its specification cannot be read".to_owned()).await;
        };
        let until = patience(&view.lease);
        let room = match self.room(&spec, until).await {
            Ok(room) => room,
            Err(lack @ NoRoom::Taken) => {
                return self.turn_down(&view.lease, lack.to_string()).await;
            }
            Err(lack @ NoRoom::Disk) => return self.give_up(&view.lease, lack.to_string()).await,
        };
        let gather = Gather::new(&*self.market, &self.store, &view.lease, until);
        let mut fetch = pin!(gather.fetch(&spec, self.input_bytes_max));
        let fetched = match self.fetched_before_start(&view.lease, &gather, fetch.as_mut()).await {
            Some(Err(error @ GatherError::Disk(_))) => {
                return self.give_up(&view.lease, error.to_string()).await;
            }
            Some(Err(error)) => return self.turn_down(&view.lease, error.to_string()).await,
            Some(Ok(pins)) => Some(pins),
            None => None,
        };
        let work = async {
            let pins = match fetched {
                Some(pins) => pins,
                None => fetch.await?,
            };
            self.run(&view, &spec, &gather, pins).await
        };
        let record = match try_join(self.start(&view.lease), work).await {
            Ok((started, finished)) => {
                let record = self.sign(&view.lease, started, &finished);
                let guest_us = u64::try_from(finished.guest.as_micros()).unwrap_or(u64::MAX);
                tracing::debug!(lease = %id, guest_us, "receipt signed");
                // Inputs that became results are not counted before.
                let more = self.results.reserve_beyond(&room, &finished.contents);
                match more.map_err(io::Error::other) {
                    Ok(_more) => self.persist(record, Some(finished)).await,
                    Err(error) => Err(error),
                }
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
        drop(room);
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
                Ok(()) => {
                    self.results.spare(record.lease);
                    return End::Delivered;
                }
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
            Ok(true) => {
                self.results.spare(record.lease);
                true
            }
            Ok(false) if !record.contents().iter().all(|hash| self.results.has(hash)) => {
                tracing::warn!(lease = %record.lease, "the node lost the result, and it is gone");
                true
            }
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

    /// Reserves room for the result of a job, as soon as there is any.
    async fn room(&self, spec: &Spec, until: tokio::time::Instant) -> Result<Room, NoRoom> {
        let mut backoff = Backoff::new();
        loop {
            let room = self.results.reserve(result_bytes(spec.limits.output_bytes));
            if room.is_ok() || tokio::time::Instant::now() >= until {
                return room;
            }
            tracing::debug!("no room for another result");
            let _ = timeout_at(until, backoff.wait()).await;
        }
    }

    /// Waits for the inputs of a lease that is not started. Returns nothing when it is time to
    /// start while they are on their way.
    async fn fetched_before_start(
        &self,
        lease: &Lease,
        gather: &Gather<'_, M>,
        mut fetch: Pin<&mut impl Future<Output = Result<Pins, GatherError>>>,
    ) -> Option<Result<Pins, GatherError>> {
        if !matches!(lease.state, LeaseState::Pending { .. }) {
            return None;
        }
        loop {
            tokio::select! {
                fetched = fetch.as_mut() => return Some(fetched),
                () = sleep(TRANSFER_PATIENCE) => {}
            }
            if !gather.is_waiting() {
                return None;
            }
        }
    }

    /// Gives up a lease that waits for its start and lacks what it needs, for which this machine
    /// is not to blame: what it is to blame for costs it the start.
    async fn turn_down(&self, lease: &Lease, why: String) -> End {
        if !self.may_leave(lease).await
            && let Err(Failure::Over) = self.start(lease).await
        {
            return End::Over;
        }
        self.give_up(lease, why).await
    }

    /// Returns whether the offers stand though a lease is not started, and counts it.
    async fn may_leave(&self, lease: &Lease) -> bool {
        let LeaseState::Pending { start_by } = lease.state else { return false };
        // Held over the question, so that two leases never count on the same answer.
        let mut left = self.left.lock().await;
        let now = api::now();
        left.retain(|_, start_by| start_by.after(COUNTED_AFTER) > now);
        match self.market.no_starts_left().await {
            Ok(most) if left.len() < usize::try_from(most).unwrap_or(usize::MAX) => {
                left.insert(lease.id, start_by);
                true
            }
            Ok(_) => false,
            Err(error) => {
                tracing::debug!(lease = %lease.id, "no-starts are not known: {error}");
                false
            }
        }
    }

    /// Runs the job to its end.
    async fn run(
        &self,
        view: &LeaseView,
        spec: &Spec,
        gather: &Gather<'_, M>,
        pins: Pins,
    ) -> Result<Finished, Failure> {
        let contents = Arc::new(gather.read(&pins).await?);
        drop(pins);
        let mut why = String::new();
        for run in 1..=RUNS_MAX {
            let left = plan::deadline(&view.lease).since(api::now().after(RECEIPT_MARGIN));
            let wall = Duration::from_millis(left.as_ms());
            if wall.is_zero() {
                return Err(Failure::GiveUp(format!("the lease ends; {why}")));
            }
            let (spec, contents) = (spec.clone(), Arc::clone(&contents));
            let (created, engine) = (view.lease.created, EngineKind::Compiler);
            let request = Request { spec, created, wall, engine, bill: None, contents };
            match self.runner.run(request).await {
                Ok(finished) => {
                    if let Some(why) = &finished.unrunnable {
                        tracing::info!(lease = %view.lease.id, "the job could not begin: {why}");
                    }
                    return Ok(finished);
                }
                Err(error @ (JobError::WorkerLost | JobError::TimedOut | JobError::OverBill)) => {
                    return Err(Failure::GiveUp(error.to_string()));
                }
                Err(error @ JobError::Aborted(_)) => why = error.to_string(),
            }
            tracing::warn!(lease = %view.lease.id, run, "no result: {why}");
        }
        Err(Failure::GiveUp(why))
    }

    fn sign(&self, lease: &Lease, started: Started, finished: &Finished) -> Record {
        let usage = Blob::new(finished.usage.to_bytes()).expect("a job's usage is under 64 bytes");
        let receipt = Receipt {
            lease: lease.id,
            sequence: 1,
            from: started.since,
            to: started.now(),
            usage,
            trace: finished.trace(&lease.id),
        };
        let receipt = Box::new(SignedReceipt::sign(receipt, &self.genesis, &self.key));
        let contents = List::new(finished.contents.keys().copied().collect())
            .expect("a result is a manifest and the content that it names");
        let ending = Ending::Finished { receipt, contents };
        Record { lease: lease.id, ends: lease.ends, ending }
    }

    /// Writes a result and its record to disk.
    async fn persist(&self, record: Record, finished: Option<Finished>) -> io::Result<Arc<Record>> {
        let (results, journal) = (Arc::clone(&self.results), Arc::clone(&self.journal));
        let record = Arc::new(record);
        let written = Arc::clone(&record);
        let write = move || {
            let lease = written.lease;
            let contents = finished.map(|finished| finished.contents).unwrap_or_default();
            let kept = results.keep(lease, &contents).and_then(|()| journal.write(&written));
            if kept.is_err() {
                results.forget(lease);
            }
            kept
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
        let results = Arc::clone(&self.results);
        let read = spawn_blocking(move || results.get(&hash)).await;
        let Ok(Some(content)) = read else { return false };
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
