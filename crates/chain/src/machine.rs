//! What is replicated: a machine that executes blocks.
//!
//! The chain knows nothing of what stands in a block. A [`Machine`] begins with a state; a
//! [`State`] builds the body of the next block or executes one that another built, and gives the
//! state after it. States are immutable and cheap to hold: the chain keeps several, since blocks
//! that compete have different ones.

use std::{any::Any, fmt, sync::Arc};

use bytes::Bytes;
use thiserror::Error;

use crate::{
    beacon::beacon,
    block::{Hash, Header},
    certificate::Certificate,
};

/// What a block is executed in: the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Counts blocks; the first is 1.
    pub height: u64,
    /// Milliseconds since 1970, after the parent's.
    pub time_ms: u64,
    /// The place of the validator that made it, among all.
    pub leader: u32,
    /// Randomness that nobody could choose, known first to the leader.
    pub beacon: Hash,
    /// The digest of the parent's header.
    pub parent: Hash,
}

impl Header {
    /// Returns what the block of this header is executed in.
    #[must_use]
    pub fn setting(&self) -> Setting {
        Setting {
            height: self.height,
            time_ms: self.time_ms,
            leader: self.leader,
            beacon: beacon(self),
            parent: self.parent,
        }
    }
}

/// How much is known of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Anybody may have made it: everything is to be checked.
    Candidate,
    /// More than two thirds of the validators accepted it.
    Finalized,
}

/// When a state wants a block after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// At once: somebody waits.
    Now,
    /// At this time, in milliseconds since 1970.
    At(u64),
    /// Not that it knows.
    No,
}

/// Why a block was not executed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No honest validator makes such a block.
    #[error("the block is invalid: {0}")]
    Invalid(String),
    /// This program cannot go on, whatever the block.
    #[error("{0}")]
    Fault(String),
}

/// The body of a block that was built, and the state after it.
pub struct Built {
    /// What others will execute: entries, each after its length as a little-endian `u32`.
    pub body: Bytes,
    /// The state after it.
    pub after: Arc<dyn State>,
}

impl fmt::Debug for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Built").field("body", &self.body).finish_non_exhaustive()
    }
}

/// The state after a block. Nothing about it changes any more.
pub trait State: Any + Send + Sync {
    /// Returns the root over everything that it holds.
    fn root(&self) -> Hash;

    /// Returns when a block after it is wanted. [`crate::Handle::wake`] makes the chain ask again.
    fn wanted(&self) -> Wanted;

    /// Builds the next block from what waits, with a body of at most so many bytes.
    ///
    /// # Errors
    /// [`Refusal::Fault`] only.
    fn build(&self, setting: &Setting, body_bytes_max: usize) -> Result<Built, Refusal>;

    /// Executes the body of the next block.
    ///
    /// # Errors
    /// [`Refusal`]; for the same block and setting, the same on every machine.
    fn execute(
        &self,
        setting: &Setting,
        body: &Bytes,
        trust: Trust,
    ) -> Result<Arc<dyn State>, Refusal>;

    /// Returns the part of the state that begins with the first key from `from` on, and the key
    /// from which the next part goes on, if there is one; nothing if no key is from there on.
    fn chunk(&self, from: &[u8]) -> Option<Chunk>;
}

/// A part of a state, verifiable against its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// What [`Restore::accept`] takes.
    pub bytes: Vec<u8>,
    /// Where the next one begins.
    pub next: Option<Vec<u8>>,
}

/// A state that is put together from its chunks.
pub trait Restore: Send {
    /// Takes the next chunk; returns the key from which the one after it goes on, if there is one.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], and nothing changes, when the chunk is not the next one of the state
    /// with the right root.
    fn accept(&mut self, chunk: &[u8]) -> Result<Option<Vec<u8>>, Refusal>;

    /// Returns the state that stands after the block with this header.
    ///
    /// # Errors
    /// [`Refusal`] when chunks are missing, or the state is not one that the machine can be in.
    fn finish(self: Box<Self>, header: &Header) -> Result<Arc<dyn State>, Refusal>;
}

/// A block that will never be undone.
#[derive(Clone)]
pub struct Finalized {
    /// Its header.
    pub header: Header,
    /// Its body.
    pub body: Bytes,
    /// The state before it.
    pub before: Arc<dyn State>,
    /// The state after it.
    pub after: Arc<dyn State>,
    /// The signatures of more than two thirds of the validators, where those are of this very
    /// block and not of a later one.
    pub certificate: Option<Certificate>,
}

impl fmt::Debug for Finalized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finalized").field("header", &self.header).finish_non_exhaustive()
    }
}

/// What is replicated.
pub trait Machine: Send + Sync + 'static {
    /// Returns the state before any block.
    fn genesis(&self) -> Arc<dyn State>;

    /// Begins to put together the state with this root.
    fn restore(&self, root: Hash) -> Box<dyn Restore>;

    /// Hears of the state from which the chain goes on, before any block.
    fn resumed(&self, header: &Header, state: &Arc<dyn State>);

    /// Hears of a block that is final and on disk, in order. A block that was told before the
    /// machine stopped may be told again.
    fn finalized(&self, block: &Finalized);

    /// Hears what another peer's machine sent with [`crate::Handle::send`].
    fn heard(&self, message: Bytes);

    /// Hears why the chain cannot go on. It makes no block final after that.
    fn failed(&self, why: String);

    /// Returns what time it is, in milliseconds since 1970, given what this machine's clock says.
    ///
    /// # Errors
    /// Why the clock cannot be trusted.
    fn time(&self, clock_ms: u64) -> Result<u64, String>;
}
