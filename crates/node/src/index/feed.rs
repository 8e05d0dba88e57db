//! The thread that follows the chain and writes the history.
//!
//! It takes blocks as they become final. Those that it missed, because it is building the history
//! or fell behind, it asks the chain for and executes again, without ever holding it up.

use std::sync::Arc;

use ledger::Ledger;
use rusqlite::Connection;
use tokio::{
    runtime,
    sync::{broadcast, watch},
};
use types::Header;

use super::{
    IndexError,
    schema::{Reached, create, open_writer},
    write::{self, Entry},
};
use crate::{
    fault::{Fault, causes},
    replica::{self, Base, CommittedBlock, Replica, replay},
};

/// Blocks that are written at once.
const BATCH_BLOCKS: usize = 64;
/// Transactions after which a batch is written, whatever its blocks.
const BATCH_TRANSACTIONS: usize = 5_000;

/// Where the history comes from.
pub(crate) struct Source {
    pub(crate) replica: Replica,
    pub(crate) chain: chain::Handle,
    /// What waits for the chain's answers.
    pub(crate) runtime: runtime::Handle,
}

impl Source {
    fn block(&self, height: u64) -> Option<chain::StoredBlock> {
        self.runtime.block_on(self.chain.block(height))
    }

    /// Returns whether a history that reaches so far tells of this chain's blocks. One that knows
    /// others tells of another past.
    fn contains(&self, reached: Reached) -> bool {
        let known = [self.replica.beginning(), self.replica.base()];
        match known.into_iter().find(|base| base.header.height == reached.height) {
            Some(base) => base.header.hash() == reached.hash,
            None => self
                .block(reached.height)
                .is_some_and(|block| replica::header(&block.header).hash() == reached.hash),
        }
    }

    /// Returns the state from which a history that reaches so far goes on; nothing when blocks
    /// are gone that it lacks.
    fn base_of(&self, reached: u64) -> Option<&Base> {
        let (beginning, base) = (self.replica.beginning(), self.replica.base());
        if base.header.height <= reached {
            return Some(base);
        }
        self.block(1).map(|_| beginning)
    }
}

/// The writer of the history.
pub(crate) struct Feed {
    store: Connection,
    source: Source,
    ledger: Ledger,
    header: Header,
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
        let genesis_hash = source.replica.genesis_hash();
        let at = |base: &Base| Reached { height: base.header.height, hash: base.header.hash() };
        let start = at(source.replica.beginning());
        let (mut store, mut reached) = open_writer(path, &genesis_hash, start)?;
        if !source.contains(reached) {
            tracing::warn!("the history is not of this chain; building it anew");
            drop(store);
            store = create(path, &genesis_hash, start)?;
            reached = start;
        }
        let base = match source.base_of(reached.height) {
            Some(base) => base.clone(),
            None => {
                let base = source.replica.base().clone();
                let height = base.header.height;
                tracing::warn!(height, "older blocks are gone: the history begins anew");
                drop(store);
                reached = at(&base);
                store = create(path, &genesis_hash, reached)?;
                base
            }
        };
        let (published, height) = watch::channel(reached.height);
        let Base { header, ledger } = base;
        let reached = reached.height;
        Ok((Self { store, source, ledger, header, reached, published }, height))
    }

    /// Follows the chain until it ends.
    pub(crate) fn run(
        mut self,
        mut blocks: broadcast::Receiver<Arc<CommittedBlock>>,
        fault: &Fault,
    ) {
        loop {
            let up_to = self.source.replica.committed().header.height;
            let followed = self.catch_up(up_to).and_then(|()| self.follow(&mut blocks));
            match followed {
                Ok(true) => {}
                Ok(false) => return,
                // Without its history a node answers half of what it is asked, for ever.
                Err(error) => {
                    let error = causes(&error);
                    fault.set(format!("the history cannot be written: {error}"));
                    return;
                }
            }
        }
    }

    /// Brings the history up to a height with stored blocks.
    pub(crate) fn catch_up(&mut self, up_to: u64) -> Result<(), IndexError> {
        while self.header.height < up_to {
            let mut transactions = 0;
            let store = self.store.transaction()?;
            for _ in 0..BATCH_BLOCKS {
                if self.header.height >= up_to || transactions >= BATCH_TRANSACTIONS {
                    break;
                }
                let height = self.header.height + 1;
                let block = self.source.block(height).ok_or(IndexError::Stopped)?;
                let before = self.ledger.clone();
                let (after, executed) = replay(&before, &block.header, &block.body)
                    .map_err(|refusal| IndexError::Replay(height, refusal.to_string()))?;
                let header = replica::header(&block.header);
                transactions += executed.ids.len();
                let certificate = block.certificate.as_ref().map(replica::certificate);
                let entry = Entry {
                    header: &header,
                    certificate: certificate.as_ref(),
                    executed: &executed,
                    before: &before,
                    after: &after,
                };
                if height > self.reached {
                    write::block(&store, &entry)?;
                }
                self.ledger = after;
                self.header = header;
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
            let CommittedBlock { executed, after } = &*committed;
            let height = after.header.height;
            if height > self.header.height + 1 {
                break;
            }
            if height == self.header.height + 1 {
                let entry = Entry {
                    header: &after.header,
                    certificate: after.certificate.as_ref(),
                    executed,
                    before: &self.ledger,
                    after: &after.ledger,
                };
                if height > self.reached {
                    write::block(&store, &entry)?;
                }
                self.ledger = after.ledger.clone();
                self.header = after.header;
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
        self.reached = self.reached.max(self.header.height);
        self.published.send_replace(self.reached);
    }
}
