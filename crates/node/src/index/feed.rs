//! The thread that follows the chain and writes the history.
//!
//! It takes blocks as they are published. Those that it missed, because it is building the
//! history or fell behind, it reads from the log and executes again, beside the sequencer and
//! without ever holding it up.

use std::{path::PathBuf, sync::Arc};

use ledger::Ledger;
use rusqlite::Connection;
use tokio::sync::{broadcast, watch};
use types::{Genesis, Hash, SignedHeader};

use super::{
    IndexError,
    schema::{Reached, open_writer},
    write::{self, Entry},
};
use crate::{
    fault::Fault,
    handle::{Committed, CommittedBlock},
    solo::{Base, LogReader, RecoverError, replay},
};

/// Blocks that are written at once.
const BATCH_BLOCKS: usize = 64;
/// Transactions after which a batch is written, whatever its blocks.
const BATCH_TRANSACTIONS: usize = 5_000;

/// Where the history comes from.
pub(crate) struct Source {
    pub(crate) genesis: Genesis,
    pub(crate) log: PathBuf,
    /// The state before any block.
    pub(crate) beginning: Base,
    /// States from which blocks can be replayed too, the latest first.
    pub(crate) bases: Vec<Base>,
}

impl Source {
    /// Returns the latest known state that is not after a height.
    fn base_of(&self, height: u64) -> &Base {
        let fits = |base: &&Base| base.header.header.height <= height;
        self.bases.iter().find(fits).unwrap_or(&self.beginning)
    }

    /// Returns whether a history that reaches so far tells of this log's blocks. One that knows
    /// blocks that the log lost, or others in their place, tells of another past.
    fn contains(&self, reached: Reached) -> Result<bool, RecoverError> {
        let newest = self.bases.first().unwrap_or(&self.beginning).header.header.height;
        if reached.height > newest {
            return Ok(false);
        }
        let base = self.base_of(reached.height);
        let mut header = base.header;
        let mut log = LogReader::open(&self.log, base.offset)?;
        while header.header.height < reached.height {
            header = log.skip()?;
        }
        Ok(header.header.hash() == reached.hash)
    }
}

/// The writer of the history.
pub(crate) struct Feed {
    store: Connection,
    genesis: Genesis,
    genesis_hash: Hash,
    log: LogReader,
    ledger: Ledger,
    header: SignedHeader,
    /// How far the store reaches; the ledger may still be before it.
    reached: u64,
    published: watch::Sender<u64>,
}

impl Feed {
    /// Opens the store and finds the state from which it goes on.
    pub(crate) fn open(
        path: &std::path::Path,
        source: Source,
    ) -> Result<(Self, watch::Receiver<u64>), IndexError> {
        let genesis_hash = source.genesis.hash();
        let start = Reached { height: 0, hash: source.beginning.header.header.hash() };
        let (mut store, mut reached) = open_writer(path, &genesis_hash, start)?;
        if !source.contains(reached)? {
            tracing::warn!("the history is not of this log; building it anew");
            drop(store);
            store = super::schema::create(path, &genesis_hash, start)?;
            reached = start;
        }
        let base = source.base_of(reached.height).clone();
        let log = LogReader::open(&source.log, base.offset).map_err(RecoverError::Log)?;
        let (published, height) = watch::channel(reached.height);
        let feed = Self {
            store,
            genesis: source.genesis,
            genesis_hash,
            log,
            ledger: base.ledger,
            header: base.header,
            reached: reached.height,
            published,
        };
        Ok((feed, height))
    }

    /// Follows the chain until it ends.
    pub(crate) fn run(
        mut self,
        mut blocks: broadcast::Receiver<Arc<CommittedBlock>>,
        committed: watch::Receiver<Arc<Committed>>,
        fault: &Fault,
    ) {
        loop {
            let up_to = committed.borrow().header.header.height;
            let followed = self.catch_up(up_to).and_then(|()| self.follow(&mut blocks));
            match followed {
                Ok(true) => {}
                Ok(false) => return,
                // Without its history a node answers half of what it is asked, for ever.
                Err(error) => {
                    let error = crate::solo::chain(&error);
                    fault.set(format!("the history cannot be written: {error}"));
                    return;
                }
            }
        }
    }

    /// Brings the history up to a height from the log.
    pub(crate) fn catch_up(&mut self, up_to: u64) -> Result<(), IndexError> {
        while self.header.header.height < up_to {
            let mut transactions = 0;
            let store = self.store.transaction()?;
            for _ in 0..BATCH_BLOCKS {
                if self.header.header.height >= up_to || transactions >= BATCH_TRANSACTIONS {
                    break;
                }
                let framed = self.log.next().map_err(RecoverError::Log)?;
                let framed = framed.ok_or(RecoverError::Block {
                    height: self.header.header.height + 1,
                    reason: "the log ends before it",
                })?;
                let before = self.ledger.clone();
                let (genesis, hash) = (&self.genesis, &self.genesis_hash);
                let replayed =
                    replay(&mut self.ledger, &self.header, &framed.block, genesis, hash)?;
                transactions += replayed.ids.len();
                let entry = Entry {
                    block: &framed.block,
                    ids: &replayed.ids,
                    events: &replayed.events,
                    before: (&before, &self.header),
                    after: &self.ledger,
                };
                if framed.block.header.header.height > self.reached {
                    write::block(&store, &entry)?;
                }
                self.header = framed.block.header;
            }
            store.commit()?;
            self.publish();
        }
        Ok(())
    }

    /// Writes blocks as they are published; returns whether there will be more.
    fn follow(
        &mut self,
        blocks: &mut broadcast::Receiver<Arc<CommittedBlock>>,
    ) -> Result<bool, IndexError> {
        use broadcast::error::{RecvError, TryRecvError};
        let mut next = match blocks.blocking_recv() {
            Ok(block) => Some(block),
            Err(RecvError::Lagged(_)) => return Ok(true),
            Err(RecvError::Closed) => return Ok(false),
        };
        let store = self.store.transaction()?;
        let mut written = 0;
        let mut open = true;
        while let Some(committed) = next.take() {
            let height = committed.block.header.header.height;
            if height > self.header.header.height + 1 {
                break;
            }
            if height == self.header.header.height + 1 {
                let entry = Entry {
                    block: &committed.block,
                    ids: &committed.ids,
                    events: &committed.events,
                    before: (&self.ledger, &self.header),
                    after: &committed.after.ledger,
                };
                if height > self.reached {
                    write::block(&store, &entry)?;
                }
                self.ledger = committed.after.ledger.clone();
                self.header = committed.after.header;
                self.log.skip().map_err(RecoverError::Log)?;
                written += 1;
            }
            if written < BATCH_BLOCKS {
                match blocks.try_recv() {
                    Ok(block) => next = Some(block),
                    Err(TryRecvError::Closed) => open = false,
                    Err(TryRecvError::Empty | TryRecvError::Lagged(_)) => {}
                }
            }
        }
        store.commit()?;
        self.publish();
        Ok(open)
    }

    fn publish(&mut self) {
        self.reached = self.reached.max(self.header.header.height);
        self.published.send_replace(self.reached);
    }
}
