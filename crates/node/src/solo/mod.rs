//! The sequencer of a network with one validator: it groups transactions into blocks.
//!
//! One thread owns the state. It takes what waits, executes it on a fork, writes the block to the
//! log, waits until that is on disk, and only then publishes the new state and answers. So one
//! wait for the disk serves all transactions of a block, and the next block is cut as soon as the
//! last is on disk. Without work there are no blocks, except when the ledger has something to do
//! by itself; such blocks keep a distance, so that orders which nobody can serve do not keep the
//! disk busy.

mod clock;
mod log;
mod recover;
mod snapshot;

use std::{
    path::PathBuf,
    sync::{Arc, mpsc::RecvTimeoutError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use ledger::Ledger;
use types::{
    Block, Event, Header, List, Reject, SecretKey, SignedHeader, SignedTransaction, Time,
    TransactionId,
    limits::{BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX},
};

use crate::{
    fault::Fault,
    handle::{Backend, Batch, Committed, CommittedBlock, Inbox},
    metrics::Metrics,
};

use clock::Clock;
pub use log::LogError;
pub(crate) use log::LogReader;
pub use recover::RecoverError;
pub(crate) use recover::{
    Base, Paths, Recovered, newer_rules, next_beacon, next_parent, recover, replay,
};
pub(crate) use snapshot::Snapshot;

/// Transactions after which a snapshot is due; they are replayed in well under two seconds.
const SNAPSHOT_TRANSACTIONS: u64 = 20_000;
/// Blocks after which a snapshot is due.
const SNAPSHOT_BLOCKS: u64 = 2_000;
/// The shortest time between snapshots.
const SNAPSHOT_PAUSE: Duration = Duration::from_secs(30);
/// The least time between a block and the next one that nobody's transaction asks for.
const PACE: types::Duration = types::Duration::from_ms(100);
/// The longest that the sequencer sleeps at a time.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// The state of the sequencer.
pub(crate) struct Solo {
    ledger: Ledger,
    header: SignedHeader,
    span: log::Span,
    log: log::BlockLog,
    key: SecretKey,
    clock: Clock,
    genesis: types::Hash,
    snapshots: PathBuf,
    backend: Backend,
    fault: Fault,
    metrics: Arc<Metrics>,
    /// A batch for which the last block had no room.
    held: Option<Batch>,
    stopping: bool,
    transactions_since_snapshot: u64,
    blocks_since_snapshot: u64,
    /// When this process took its last one; a node that never lives long takes some all the same.
    last_snapshot: Option<Instant>,
    writing: Option<JoinHandle<()>>,
}

/// A block that was executed but is not on disk yet.
struct Cut {
    fork: Ledger,
    block: Block,
    ids: Vec<TransactionId>,
    events: Vec<Event>,
    answers: Vec<Vec<Result<u64, Reject>>>,
}

impl Solo {
    /// Takes up the thread where the log ends.
    pub(crate) fn new(
        recovered: Recovered,
        key: SecretKey,
        backend: Backend,
        fault: Fault,
        metrics: Arc<Metrics>,
        paths: &Paths,
    ) -> Self {
        let Recovered { ledger, header, span, log, replayed_blocks, replayed_transactions, .. } =
            recovered;
        Self {
            genesis: ledger.network().genesis,
            ledger,
            header,
            span,
            log,
            key,
            clock: Clock::new(),
            snapshots: paths.snapshots.clone(),
            backend,
            fault,
            metrics,
            held: None,
            stopping: false,
            transactions_since_snapshot: replayed_transactions,
            blocks_since_snapshot: replayed_blocks,
            last_snapshot: None,
            writing: None,
        }
    }

    /// Works until it is told to stop, everybody who could submit is gone, or the node faults.
    pub(crate) fn run(mut self) {
        self.recount();
        while !self.stopping {
            let work = self.wait();
            // After a fault nothing more is put on disk.
            if self.fault.get().is_some() {
                return;
            }
            match work {
                Work::Batch(batch) => self.cut_and_commit(batch),
                Work::Due => self.cut_and_commit(None),
                Work::Nothing => {}
                Work::Stop => self.stopping = true,
                Work::Abandoned => return,
            }
            if self.fault.get().is_some() {
                return;
            }
            self.snapshot_if_due();
        }
        // What waits is answered before the end, so that nobody has to guess.
        while let Some(batch) = self.next_queued() {
            self.cut_and_commit(Some(batch));
        }
        self.finish_writing();
        if self.blocks_since_snapshot > 0 && self.fault.get().is_none() {
            write_snapshot(&self.snapshots, &self.snapshot());
        }
    }

    fn next_queued(&mut self) -> Option<Batch> {
        if self.fault.get().is_some() {
            return None;
        }
        let from_inbox = || match self.backend.inbox.try_recv() {
            Ok(Inbox::Batch(batch)) => Some(batch),
            Ok(Inbox::Stop) | Err(_) => None,
        };
        self.held.take().or_else(from_inbox)
    }

    /// Sleeps until there is work.
    fn wait(&mut self) -> Work {
        if let Some(batch) = self.held.take() {
            return Work::Batch(Some(batch));
        }
        let Some(now) = self.now() else { return Work::Nothing };
        let (pause, then) = match self.due() {
            Some(due) if due <= now => (Duration::ZERO, Work::Due),
            Some(due) => {
                let left = Duration::from_millis(due.since(now).as_ms());
                (left.min(SLEEP_MAX), Work::Nothing)
            }
            None => (SLEEP_MAX, Work::Nothing),
        };
        match self.backend.inbox.recv_timeout(pause) {
            Ok(Inbox::Batch(batch)) => Work::Batch(Some(batch)),
            Ok(Inbox::Stop) => Work::Stop,
            Err(RecvTimeoutError::Disconnected) => Work::Abandoned,
            Err(RecvTimeoutError::Timeout) => then,
        }
    }

    /// Returns this machine's time, unless it cannot be trusted.
    fn now(&mut self) -> Option<Time> {
        self.clock.now().inspect_err(|jumped| self.fault.set(jumped.to_string())).ok()
    }

    /// Returns when a block is due though nobody asks for one.
    fn due(&self) -> Option<Time> {
        let earliest = self.header.header.time.after(PACE);
        self.ledger.next_due().map(|due| due.max(earliest))
    }

    /// Takes what waits, as much as a block holds.
    fn gather(&mut self, first: Option<Batch>) -> Vec<Batch> {
        let mut batches: Vec<Batch> = first.into_iter().collect();
        let mut count: usize = batches.iter().map(|batch| batch.transactions.len()).sum();
        let mut bytes: usize = batches.iter().map(|batch| batch.places.bytes()).sum();
        loop {
            match self.backend.inbox.try_recv() {
                Ok(Inbox::Batch(batch)) => {
                    count += batch.transactions.len();
                    bytes += batch.places.bytes();
                    if count > BLOCK_TRANSACTIONS_MAX || bytes > BLOCK_BYTES_MAX {
                        self.held = Some(batch);
                        return batches;
                    }
                    batches.push(batch);
                }
                Ok(Inbox::Stop) => {
                    self.stopping = true;
                    return batches;
                }
                Err(_) => return batches,
            }
        }
    }

    fn cut_and_commit(&mut self, first: Option<Batch>) {
        let batches = self.gather(first);
        let Some(now) = self.now() else { return };
        let time = now.max(self.header.header.time.after(types::Duration::from_ms(1)));
        let mut fork = self.ledger.clone();
        let beacon = next_beacon(&self.header, &self.genesis);
        fork.begin(time, beacon).expect("the time was chosen after the last block's");
        let rules = fork.network().rules;
        if rules > ledger::RULES {
            self.fault.set(newer_rules(rules));
            return;
        }
        let cut = self.execute(fork, time, &batches);
        let empty = cut.ids.is_empty() && self.due().is_none_or(|due| due > time);
        let answers = if empty { Some(cut.answers) } else { self.commit(cut) };
        // What may be on disk or not is not answered: it shows at the next start.
        let Some(answers) = answers else { return };
        for (batch, answer) in batches.into_iter().zip(answers) {
            drop(batch.places);
            // Who went away meanwhile needs no answer.
            let _ = batch.answer.send(answer);
        }
    }

    /// Executes on a fork that was begun; the state is as before.
    fn execute(&self, mut fork: Ledger, time: Time, batches: &[Batch]) -> Cut {
        let height = self.header.header.height + 1;
        let mut accepted: Vec<SignedTransaction> = Vec::new();
        let mut ids = Vec::new();
        let mut answers = Vec::with_capacity(batches.len());
        for batch in batches {
            let mut results = Vec::with_capacity(batch.transactions.len());
            for transaction in &batch.transactions {
                let result = fork.apply(transaction).map(|()| height);
                if result == Err(Reject::Invariant) {
                    tracing::error!(id = %transaction.id(), "the ledger found itself inconsistent");
                }
                if result.is_ok() {
                    accepted.push(transaction.signed().clone());
                    ids.push(transaction.id());
                }
                results.push(result);
            }
            answers.push(results);
        }
        let ended = fork.end();
        let header = Header {
            height,
            time,
            parent: next_parent(&self.header, &self.genesis),
            transactions: Header::commit(&ids),
            state: ended.root,
        };
        let header = SignedHeader::sign(header, &self.genesis, &self.key);
        let transactions = List::new(accepted).expect("gathered within the bound of a block");
        let block = Block { header, transactions };
        Cut { fork, block, ids, events: ended.events, answers }
    }

    /// Puts a block on disk, then publishes it; returns the answers if it is there.
    fn commit(&mut self, cut: Cut) -> Option<Vec<Vec<Result<u64, Reject>>>> {
        let Cut { fork, block, ids, events, answers } = cut;
        let began = Instant::now();
        match self.log.append(&block) {
            Ok(span) => self.span = span,
            Err(error) => {
                self.fault.set(format!("a block could not be written: {}", chain(&error)));
                return None;
            }
        }
        self.metrics.observe_commit(began.elapsed(), ids.len());
        let epoch_before = self.ledger.network().epoch;
        self.ledger = fork;
        self.header = block.header;
        self.blocks_since_snapshot += 1;
        self.transactions_since_snapshot += ids.len() as u64;
        let after = Arc::new(Committed { ledger: self.ledger.clone(), header: self.header });
        self.backend.committed.send_replace(Arc::clone(&after));
        // Nobody may be listening.
        let _ = self.backend.blocks.send(Arc::new(CommittedBlock { block, ids, events, after }));
        if self.ledger.network().epoch != epoch_before {
            self.recount();
        }
        Some(answers)
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot { ledger: self.ledger.clone(), header: self.header, span: self.span }
    }

    fn snapshot_if_due(&mut self) {
        let much = self.transactions_since_snapshot >= SNAPSHOT_TRANSACTIONS
            || self.blocks_since_snapshot >= SNAPSHOT_BLOCKS;
        let busy = self.writing.as_ref().is_some_and(|writing| !writing.is_finished());
        let paused = self.last_snapshot.is_some_and(|last| last.elapsed() < SNAPSHOT_PAUSE);
        if !much || busy || paused {
            return;
        }
        self.finish_writing();
        let (directory, snapshot) = (self.snapshots.clone(), self.snapshot());
        self.transactions_since_snapshot = 0;
        self.blocks_since_snapshot = 0;
        self.last_snapshot = Some(Instant::now());
        self.writing = spawn("snapshot", move || write_snapshot(&directory, &snapshot));
    }

    fn finish_writing(&mut self) {
        if let Some(writing) = self.writing.take() {
            // A panic in it was logged; the log of blocks holds everything.
            let _ = writing.join();
        }
    }

    /// Counts all value on a fork, beside the work.
    fn recount(&self) {
        let (fork, fault) = (self.ledger.clone(), self.fault.clone());
        spawn("recount", move || {
            let _guard = fault.guard("the recount");
            if let Err(imbalance) = fork.recount() {
                fault.set(format!("value was made or lost: {}", chain(&imbalance)));
            }
        });
    }
}

/// What the sequencer woke up for.
enum Work {
    Batch(Option<Batch>),
    Due,
    Nothing,
    Stop,
    Abandoned,
}

fn write_snapshot(directory: &std::path::Path, snapshot: &Snapshot) {
    let began = Instant::now();
    match snapshot::write(directory, snapshot) {
        Ok(_) => tracing::info!(
            height = snapshot.header.header.height,
            took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "wrote a snapshot"
        ),
        // The next start replays more; nothing is lost.
        Err(error) => tracing::warn!("a snapshot could not be written: {}", chain(&error)),
    }
}

/// Starts a named thread; a system without threads left is only noted.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Option<JoinHandle<()>> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.inspect_err(|error| tracing::warn!("no thread for {name}: {error}")).ok()
}

/// Returns an error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
