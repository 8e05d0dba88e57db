//! The state: typed rows over the map, written in attempts.
//!
//! A transaction, or one thing that happens by itself, is an *attempt*. Reads see at once what it
//! writes; the map sees it when the block ends. An attempt that finds the state inconsistent
//! leaves no trace, neither in the rows nor in the block's events and sums.

use std::sync::Arc;

use types::{
    Address, Amount, Decode, Encode, Event, Genesis, Hash, Parameters, PublicKey, Reject, Time,
    codec,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    key::{Key, Prefix},
    map::{Map, VALUE_BYTES_MAX},
    pending::Pending,
};

/// The state contradicts itself: a row that must be there is not, or does not read, or value
/// would leave its range. Nothing that comes from outside leads here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

impl From<Broken> for Reject {
    fn from(Broken: Broken) -> Self {
        Self::Invariant
    }
}

impl From<types::OutOfRange> for Broken {
    fn from(_: types::OutOfRange) -> Self {
        Self
    }
}

impl From<types::DecodeError> for Broken {
    fn from(_: types::DecodeError) -> Self {
        Self
    }
}

/// What the network is and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Network {
    /// The hash of its genesis.
    pub genesis: Hash,
    /// The version of the rules in force.
    pub rules: u16,
    /// Blocks so far.
    pub height: u64,
    /// The last block's time.
    pub time: Time,
    /// The running epoch's number.
    pub epoch: u64,
    /// When the running epoch began.
    pub epoch_began: Time,
    /// The stake of all providers, in micro-WILD.
    pub stake: Amount,
    /// Changes that are being voted on.
    pub proposals: u32,
}
codec!(struct Network { genesis, rules, height, time, epoch, epoch_began, stake, proposals });

/// What the genesis fixes for ever and the rules ask for.
#[derive(Debug)]
pub(crate) struct Charter {
    /// Whether there is a token.
    pub(crate) token: bool,
    /// Who signs blocks, and votes where there is no token.
    pub(crate) validators: Vec<PublicKey>,
}

impl Charter {
    pub(crate) fn of(genesis: &Genesis) -> Self {
        let validators = genesis.validators.iter().map(|validator| validator.key).collect();
        Self { token: genesis.token, validators }
    }
}

/// What belongs to the block that is being executed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    /// What happened so far.
    pub(crate) events: Vec<Event>,
    /// How much of the block's allowance of offers to examine is used.
    pub(crate) examined: usize,
    /// What rows changed by so far, for each asset; zero after each attempt.
    pub(crate) moved: [i128; 2],
    /// What nobody could foresee when the block before was made.
    pub(crate) beacon: Hash,
    /// The place of its leader among the validators.
    pub(crate) leader: u32,
}

/// The state of the ledger and of the block that it executes. A clone is O(1) between blocks.
#[derive(Debug, Clone)]
pub(crate) struct State {
    map: Map,
    pending: Pending,
    charter: Arc<Charter>,
    parameters: Arc<Parameters>,
    /// Written to its row when a block ends.
    pub(crate) network: Network,
    pub(crate) block: Progress,
}

impl State {
    pub(crate) fn new(
        charter: Charter,
        parameters: Parameters,
        network: Network,
        map: Map,
    ) -> Self {
        Self {
            map,
            pending: Pending::default(),
            charter: Arc::new(charter),
            parameters: Arc::new(parameters),
            network,
            block: Progress::default(),
        }
    }

    pub(crate) const fn map(&self) -> &Map {
        &self.map
    }

    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub(crate) fn charter(&self) -> &Charter {
        &self.charter
    }

    /// Returns the time of the block that is being executed, or of the last one.
    pub(crate) const fn now(&self) -> Time {
        self.network.time
    }

    /// Executes `act`; keeps what it wrote if it ends well, otherwise leaves no trace of it.
    pub(crate) fn attempt<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, Broken>,
    ) -> Result<T, Broken> {
        let network = self.network;
        let parameters = Arc::clone(&self.parameters);
        let Progress { examined, moved, ref events, .. } = self.block;
        let events = events.len();
        let result = act(self).and_then(|done| {
            // Each attempt on its own moves value without making or losing any.
            if self.block.moved == moved { Ok(done) } else { Err(Broken) }
        });
        if result.is_ok() {
            self.pending.keep(&mut self.map);
        } else {
            self.pending.undo();
            self.network = network;
            self.parameters = parameters;
            self.block.examined = examined;
            self.block.moved = moved;
            self.block.events.truncate(events);
        }
        result
    }

    /// Writes what the network is and where it stands to its row, and returns the root.
    pub(crate) fn settle(&mut self) -> Hash {
        let network = self.network;
        let kept = self.attempt(|state| state.put(Key::Network, &network));
        kept.expect("the row is within the map's bounds");
        self.pending.flush(&mut self.map);
        Hash::from_bytes(self.map.root())
    }

    /// Returns the encoding of a row.
    pub(crate) fn get_bytes(&self, key: Key) -> Option<&[u8]> {
        let key = key.to_bytes();
        match self.pending.get(&key) {
            Some(pending) => pending,
            None => self.map.get(key.as_slice()),
        }
    }

    /// Returns whether a row is there.
    pub(crate) fn has(&self, key: Key) -> bool {
        self.get_bytes(key).is_some()
    }

    /// Returns whether the block has taken away a row that the map has, of a kind that is not
    /// written to the map before the block ends.
    pub(crate) fn is_removed(&self, key: Key) -> bool {
        self.pending.get(&key.to_bytes()) == Some(None)
    }

    /// Returns a row if it is there.
    pub(crate) fn get<T: Decode>(&self, key: Key) -> Result<Option<T>, Broken> {
        Ok(self.get_bytes(key).map(T::from_bytes).transpose()?)
    }

    /// Returns a row that must be there.
    pub(crate) fn need<T: Decode>(&self, key: Key) -> Result<T, Broken> {
        self.get(key)?.ok_or(Broken)
    }

    /// Sets a row.
    pub(crate) fn put(&mut self, key: Key, value: &impl Encode) -> Result<(), Broken> {
        self.put_with(key, |out| value.encode(out))
    }

    /// Sets a row to what `encode` appends.
    pub(crate) fn put_with(
        &mut self,
        key: Key,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Broken> {
        let bytes = self.pending.put(key.to_bytes(), encode);
        if bytes > VALUE_BYTES_MAX { Err(Broken) } else { Ok(()) }
    }

    /// Sets a row that is not there.
    pub(crate) fn add(&mut self, key: Key, value: &impl Encode) -> Result<(), Broken> {
        debug_assert!(!self.has(key), "{key:?} is there already");
        let bytes = self.pending.add(key.to_bytes(), |out| value.encode(out));
        if bytes > VALUE_BYTES_MAX { Err(Broken) } else { Ok(()) }
    }

    /// Sets a row that is not there and whose key says everything.
    pub(crate) fn mark(&mut self, key: Key) {
        debug_assert!(!self.has(key), "{key:?} is there already");
        self.pending.add(key.to_bytes(), |_| {});
    }

    /// Takes a row away.
    pub(crate) fn remove(&mut self, key: Key) {
        self.pending.remove(key.to_bytes());
    }

    /// Returns the keys under a prefix that come after `after`, with their values, in order.
    ///
    /// Of kinds that are walked within a block ([`crate::key::KeyBytes::is_walked`]) it sees what
    /// attempts before this one have written, of others what the map held when the block began.
    pub(crate) fn after(
        &self,
        prefix: Prefix,
        after: Option<Key>,
    ) -> impl Iterator<Item = Result<(Key, &[u8]), Broken>> {
        let prefix = prefix.to_bytes();
        let after = after.map(Key::to_bytes);
        let range = self.map.range(after.as_ref().unwrap_or(&prefix).as_slice());
        range
            .skip_while(move |(key, _)| after.is_some_and(|after| *key == after.as_slice()))
            .take_while(move |(key, _)| key.starts_with(prefix.as_slice()))
            .map(|(key, value)| Key::from_bytes(key).map(|key| (key, value)).ok_or(Broken))
    }

    /// Returns all keys under a prefix with their values, in order.
    pub(crate) fn all(&self, prefix: Prefix) -> impl Iterator<Item = Result<(Key, &[u8]), Broken>> {
        self.after(prefix, None)
    }

    /// Opens an account if there is none.
    pub(crate) fn open_account(&mut self, address: Address) -> Result<(), Broken> {
        if self.has(Key::Account(address)) {
            return Ok(());
        }
        self.put(Key::Account(address), &types::Account::default())
    }

    /// Sets the parameters in force.
    pub(crate) fn set_parameters(&mut self, parameters: Parameters) -> Result<(), Broken> {
        self.put(Key::Parameters, &parameters)?;
        self.parameters = Arc::new(parameters);
        Ok(())
    }

    /// Notes what happened.
    pub(crate) fn emit(&mut self, event: Event) {
        self.block.events.push(event);
    }
}
