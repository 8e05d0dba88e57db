//! The state of the ledger after a block, as the chain sees it.

use std::{any::Any, sync::Arc};

use bytes::Bytes;
use chain::{Built, Chunk, Header as ChainHeader, Refusal, Restore, Setting, State, Trust, Wanted};
use ledger::{Ledger, map::Import};
use types::{
    Decode as _, Event, Genesis, Hash, Reject, SignedTransaction, Time, TransactionId, Verified,
    body,
    limits::{BLOCK_TRANSACTIONS_MAX, TRANSACTION_BYTES_MAX},
};

use super::{mempool::Mempool, verify};

/// What a block did.
#[derive(Debug, Default)]
pub struct Executed {
    /// Its transactions, in order.
    pub transactions: Vec<SignedTransaction>,
    /// Their names.
    pub ids: Vec<TransactionId>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// What all states of a replica share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) genesis: Genesis,
    pub(super) genesis_hash: Hash,
    pub(super) mempool: Mempool,
    /// The version of the rules up to which this program knows them.
    pub(super) rules: u16,
}

impl Common {
    /// Stops a program that the network has moved on from.
    fn check_rules(&self, ledger: &Ledger) -> Result<(), Refusal> {
        let (version, known) = (ledger.network().rules, self.rules);
        if version <= known {
            return Ok(());
        }
        Err(Refusal::Fault(format!(
            "the network's rules are version {version}, this program knows {known}; update it"
        )))
    }
}

/// The state after a block.
#[derive(Debug, Clone)]
pub(super) struct LedgerState {
    pub(super) common: Arc<Common>,
    pub(super) ledger: Ledger,
    /// What the block did; nothing where the state was not reached by executing it.
    pub(super) executed: Arc<Executed>,
    /// What this node refused when it built the block.
    pub(super) refused: Arc<[(TransactionId, Reject)]>,
}

/// Returns the state in which transactions of the next block are executed.
fn begin(ledger: &Ledger, setting: &Setting) -> Result<Ledger, Refusal> {
    let mut next = ledger.clone();
    let (time, beacon) = (Time::from_ms(setting.time_ms), Hash::from_bytes(setting.beacon));
    next.begin(time, beacon, setting.leader)
        .map_err(|error| Refusal::Invalid(error.to_string()))?;
    Ok(next)
}

/// Reads the transactions of a body.
fn read(body: &[u8]) -> Result<Vec<SignedTransaction>, Refusal> {
    let invalid = |error: types::DecodeError| Refusal::Invalid(error.to_string());
    let entries = body::entries(body, BLOCK_TRANSACTIONS_MAX).map_err(invalid)?;
    let read = |entry: &[u8]| {
        if entry.len() > TRANSACTION_BYTES_MAX {
            return Err(Refusal::Invalid("a transaction is too long".to_owned()));
        }
        SignedTransaction::from_bytes(entry).map_err(invalid)
    };
    entries.into_iter().map(read).collect()
}

/// Executes a final block once more, for who missed it.
pub(crate) fn replay(
    ledger: &Ledger,
    header: &ChainHeader,
    body: &[u8],
) -> Result<(Ledger, Executed), Refusal> {
    let transactions = read(body)?.into_iter().map(Verified::trust).collect();
    let mut after = begin(ledger, &header.setting())?;
    let executed = execute(&mut after, transactions)?;
    if after.root().as_bytes() != &header.state {
        return Err(Refusal::Invalid("it leads to another state".to_owned()));
    }
    Ok((after, executed))
}

/// Executes the transactions of a block that was begun, and ends it.
fn execute(next: &mut Ledger, transactions: Vec<Verified>) -> Result<Executed, Refusal> {
    let mut ids = Vec::with_capacity(transactions.len());
    for transaction in &transactions {
        next.apply(transaction).map_err(|reject| {
            Refusal::Invalid(format!("the ledger refuses {}: {reject}", transaction.id()))
        })?;
        ids.push(transaction.id());
    }
    let events = next.end().events;
    let transactions = transactions.into_iter().map(Verified::into_signed).collect();
    Ok(Executed { transactions, ids, events })
}

impl LedgerState {
    pub(super) fn new(common: Arc<Common>, ledger: Ledger) -> Self {
        Self { common, ledger, executed: Arc::default(), refused: Arc::default() }
    }

    /// Returns the state behind what the chain holds.
    pub(super) fn of(state: &Arc<dyn State>) -> &Self {
        let any: &dyn Any = state.as_ref();
        any.downcast_ref().expect("the chain holds this replica's own states")
    }

    fn after(&self, ledger: Ledger, executed: Executed, refused: Arc<[Refused]>) -> Arc<Self> {
        let common = Arc::clone(&self.common);
        Arc::new(Self { common, ledger, executed: Arc::new(executed), refused })
    }

    /// Checks what another validator put into a block; what waits here was checked before.
    fn check(&self, transactions: Vec<SignedTransaction>) -> Result<Vec<Verified>, Refusal> {
        let Common { genesis_hash, mempool, .. } = &*self.common;
        let known = |signed: &SignedTransaction| {
            let waiting = mempool.get(&signed.transaction.id())?;
            (waiting.verified.signed() == signed).then(|| waiting.verified.clone())
        };
        let mut checked: Vec<Option<Verified>> = transactions.iter().map(known).collect();
        let unknown = transactions.into_iter().zip(&checked).filter(|(_, known)| known.is_none());
        let unknown: Vec<_> = unknown.map(|(signed, _)| signed).collect();
        let mut verified = verify::all(unknown, genesis_hash).into_iter();
        for place in checked.iter_mut().filter(|known| known.is_none()) {
            *place = verified.next().flatten();
        }
        let checked: Option<Vec<Verified>> = checked.into_iter().collect();
        checked.ok_or_else(|| Refusal::Invalid("a signature does not match".to_owned()))
    }
}

type Refused = (TransactionId, Reject);

impl State for LedgerState {
    fn root(&self) -> chain::Hash {
        *self.ledger.root().as_bytes()
    }

    fn wanted(&self) -> Wanted {
        if self.common.mempool.is_ready() {
            return Wanted::Now;
        }
        self.ledger.next_due().map_or(Wanted::No, |due| Wanted::At(due.as_ms()))
    }

    fn build(&self, setting: &Setting, body_bytes_max: usize) -> Result<Built, Refusal> {
        let mut next = begin(&self.ledger, setting)?;
        self.common.check_rules(&next)?;
        let (mut body, mut executed, mut refused) = (Vec::new(), Executed::default(), Vec::new());
        for waiting in self.common.mempool.pick(setting.height, body_bytes_max) {
            let id = waiting.verified.id();
            match next.apply(&waiting.verified) {
                Ok(()) => {
                    body::push_entry(&mut body, &waiting.bytes);
                    executed.transactions.push(waiting.verified.signed().clone());
                    executed.ids.push(id);
                }
                Err(reject) => {
                    if reject == Reject::Invariant {
                        tracing::error!(%id, "the ledger found itself inconsistent");
                    }
                    refused.push((id, reject));
                }
            }
        }
        executed.events = next.end().events;
        Ok(Built { body: body.into(), after: self.after(next, executed, refused.into()) })
    }

    fn execute(
        &self,
        setting: &Setting,
        body: &Bytes,
        trust: Trust,
    ) -> Result<Arc<dyn State>, Refusal> {
        let transactions = read(body)?;
        let transactions = match trust {
            Trust::Candidate => self.check(transactions)?,
            Trust::Finalized => transactions.into_iter().map(Verified::trust).collect(),
        };
        let mut next = begin(&self.ledger, setting)?;
        self.common.check_rules(&next)?;
        let executed = execute(&mut next, transactions)?;
        self.common.mempool.mark(setting.height, &executed.ids);
        Ok(self.after(next, executed, Arc::default()))
    }

    fn chunk(&self, from: &[u8]) -> Option<Chunk> {
        let (bytes, next) = self.ledger.chunk(from)?;
        Some(Chunk { bytes, next })
    }
}

/// A state that is put together from its chunks.
pub(super) struct Restored {
    common: Arc<Common>,
    import: Import,
}

impl Restored {
    pub(super) fn new(common: Arc<Common>, root: chain::Hash) -> Self {
        Self { common, import: Import::new(root) }
    }
}

impl Restore for Restored {
    fn accept(&mut self, chunk: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        self.import.accept(chunk).map_err(|error| Refusal::Invalid(error.to_string()))?;
        Ok(self.import.wants().map(<[u8]>::to_vec))
    }

    fn finish(self: Box<Self>, header: &ChainHeader) -> Result<Arc<dyn State>, Refusal> {
        let Self { common, import } = *self;
        let invalid = |error: &dyn std::error::Error| Refusal::Invalid(error.to_string());
        let map = import.finish().map_err(|error| invalid(&error))?;
        let ledger = Ledger::restore(&common.genesis, map).map_err(|error| invalid(&error))?;
        if ledger.network().height != header.height {
            return Err(Refusal::Invalid("the state is of another height".to_owned()));
        }
        common.check_rules(&ledger)?;
        Ok(Arc::new(LedgerState::new(common, ledger)))
    }
}
