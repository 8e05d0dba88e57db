//! Where a node was when it stopped: the newest snapshot that reads, and the blocks behind it.

use std::{fs, io, path::PathBuf};

use ledger::{GenesisError, Ledger};
use thiserror::Error;
use types::{
    Block, Event, Genesis, Hash, Header, SecretKey, SignedHeader, TransactionId, Verified,
};

use super::{
    log::{BlockLog, LogError, LogReader, Past, Span},
    snapshot::{self, Snapshot},
};

/// The files of the sequencer.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    /// The log of blocks.
    pub(crate) log: PathBuf,
    /// The directory of snapshots.
    pub(crate) snapshots: PathBuf,
}

/// Why a node cannot take up the thread.
#[derive(Debug, Error)]
pub enum RecoverError {
    /// The genesis cannot start a network.
    #[error("the genesis cannot start a network")]
    Genesis(#[from] GenesisError),
    /// The log of blocks cannot be used.
    #[error("the log of blocks cannot be used")]
    Log(#[from] LogError),
    /// The directory of snapshots cannot be used.
    #[error("the directory of snapshots cannot be used")]
    Snapshots(#[source] io::Error),
    /// A block does not follow the one before it.
    #[error("block {height} does not follow the one before it: {reason}")]
    Block {
        /// Its height.
        height: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The log ends before a block that was on disk, or holds another one in its place.
    #[error(
        "the log of blocks lacks block {0}, of which there is a snapshot; restore the log, or \
         remove the snapshots to go back to where it ends"
    )]
    Short(u64),
    /// The key is not the genesis' validator.
    #[error("the validator key is not among the genesis' validators")]
    Validator,
    /// The network is governed by newer rules than this program knows.
    #[error("{}", newer_rules(*.0))]
    Rules(u16),
    /// There would be more than one validator.
    #[error("this node orders blocks alone, but the genesis has {0} validators")]
    Validators(usize),
}

/// Says that a network has moved on from this program.
pub(crate) fn newer_rules(version: u16) -> String {
    let known = ledger::RULES;
    format!("the network's rules are version {version}, this program knows {known}; update it")
}

/// A state from which later blocks can be replayed.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    pub(crate) ledger: Ledger,
    pub(crate) header: SignedHeader,
    /// Where the next block's frame begins.
    pub(crate) offset: u64,
}

/// What was found on disk.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) ledger: Ledger,
    pub(crate) header: SignedHeader,
    pub(crate) span: Span,
    pub(crate) log: BlockLog,
    /// The state before any block.
    pub(crate) beginning: Base,
    /// The snapshot that the replay began with, if there was one.
    pub(crate) snapshot: Option<Base>,
    pub(crate) replayed_blocks: u64,
    pub(crate) replayed_transactions: u64,
}

/// Returns what the block after `header` names as its parent.
pub(crate) fn next_parent(header: &SignedHeader, genesis: &Hash) -> Hash {
    if header.header.height == 0 { *genesis } else { header.header.hash() }
}

/// Returns the beacon of the block after `header`.
pub(crate) fn next_beacon(header: &SignedHeader, genesis: &Hash) -> Hash {
    // Nothing is signed before the first block.
    if header.header.height == 0 { *genesis } else { header.next_beacon() }
}

/// What a replayed block did.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) ids: Vec<TransactionId>,
    pub(crate) events: Vec<Event>,
}

/// Executes a block from the log again and checks that it leads where it says.
pub(crate) fn replay(
    ledger: &mut Ledger,
    last: &SignedHeader,
    block: &Block,
    genesis: &Genesis,
    genesis_hash: &Hash,
) -> Result<Replayed, RecoverError> {
    let header = &block.header.header;
    let wrong = |reason| RecoverError::Block { height: header.height, reason };
    let transactions: Vec<Verified> =
        block.transactions.iter().cloned().map(Verified::trust).collect();
    let ids: Vec<TransactionId> = transactions.iter().map(Verified::id).collect();
    if Some(header.height) != last.header.height.checked_add(1) {
        return Err(wrong("its height is another"));
    }
    if header.parent != next_parent(last, genesis_hash) {
        return Err(wrong("its parent is another"));
    }
    if header.transactions != Header::commit(&ids) {
        return Err(wrong("its header names other transactions"));
    }
    if !genesis.validators.contains(&block.header.validator)
        || block.header.verify(genesis_hash).is_err()
    {
        return Err(wrong("no validator signed it"));
    }
    let beacon = next_beacon(last, genesis_hash);
    ledger.begin(header.time, beacon).map_err(|_| wrong("its time is not after the last one's"))?;
    let rules = ledger.network().rules;
    if rules > ledger::RULES {
        return Err(RecoverError::Rules(rules));
    }
    for transaction in &transactions {
        ledger.apply(transaction).map_err(|_| wrong("the ledger refuses a transaction"))?;
    }
    let ended = ledger.end();
    if ended.root != header.state {
        return Err(wrong("it leads to another root"));
    }
    Ok(Replayed { ids, events: ended.events })
}

/// Reads what is on disk.
pub(crate) fn recover(
    genesis: &Genesis,
    key: &SecretKey,
    paths: &Paths,
) -> Result<Recovered, RecoverError> {
    if genesis.validators.len() > 1 {
        return Err(RecoverError::Validators(genesis.validators.len()));
    }
    if !genesis.validators.contains(&key.public()) {
        return Err(RecoverError::Validator);
    }
    let genesis_hash = genesis.hash();
    fs::create_dir_all(&paths.snapshots).map_err(RecoverError::Snapshots)?;
    BlockLog::create(&paths.log)?;
    let beginning = beginning(genesis, key)?;
    let found = newest_snapshot(genesis, paths)?;
    let snapshot = found.as_ref().map(|snapshot| Base {
        ledger: snapshot.ledger.clone(),
        header: snapshot.header,
        offset: snapshot.span.end,
    });
    let mut span = found.map_or(Span { start: 0, end: 0 }, |snapshot| snapshot.span);
    let Base { mut ledger, mut header, offset } =
        snapshot.clone().unwrap_or_else(|| beginning.clone());
    let mut reader = LogReader::open(&paths.log, offset)?;
    let (mut replayed_blocks, mut replayed_transactions) = (0, 0);
    while let Some(framed) = reader.next()? {
        let replayed = replay(&mut ledger, &header, &framed.block, genesis, &genesis_hash)?;
        header = framed.block.header;
        span = framed.span;
        replayed_blocks += 1;
        replayed_transactions += replayed.ids.len() as u64;
    }
    let past = Past { genesis, genesis_hash: &genesis_hash, height: header.header.height };
    let log = BlockLog::open_after(reader, &past)?;
    Ok(Recovered {
        ledger,
        header,
        span,
        log,
        beginning,
        snapshot,
        replayed_blocks,
        replayed_transactions,
    })
}

/// Returns the state before any block, under a header of height 0.
fn beginning(genesis: &Genesis, key: &SecretKey) -> Result<Base, RecoverError> {
    let ledger = Ledger::new(genesis)?;
    let header = Header {
        height: 0,
        time: genesis.time,
        parent: Hash::ZERO,
        transactions: Header::commit(&[]),
        state: ledger.root(),
    };
    let header = SignedHeader::sign(header, &genesis.hash(), key);
    Ok(Base { ledger, header, offset: 0 })
}

/// Returns the newest snapshot that reads and whose block stands in the log.
fn newest_snapshot(genesis: &Genesis, paths: &Paths) -> Result<Option<Snapshot>, RecoverError> {
    for path in snapshot::list(&paths.snapshots).map_err(RecoverError::Snapshots)? {
        match snapshot::read(&path, genesis) {
            Ok(snapshot) if stands_in_log(&snapshot, paths)? => return Ok(Some(snapshot)),
            Ok(snapshot) => return Err(RecoverError::Short(snapshot.header.header.height)),
            Err(error) => {
                let error = super::chain(&error);
                tracing::warn!(path = %path.display(), "a snapshot does not read: {error}");
            }
        }
    }
    Ok(None)
}

fn stands_in_log(snapshot: &Snapshot, paths: &Paths) -> Result<bool, RecoverError> {
    let framed = LogReader::open(&paths.log, snapshot.span.start)?.next()?;
    Ok(framed.is_some_and(|framed| {
        framed.block.header == snapshot.header && framed.span == snapshot.span
    }))
}
