//! Replicates a deterministic machine: every honest node executes the same blocks in the same
//! order, and no single node decides which.
//!
//! The chain knows nothing of what stands in a block. It takes a [`Machine`], gives it the blocks
//! that others built, asks it to build some when its turn comes, and tells it those that will never
//! be undone. Underneath are libraries of commonware: consensus (simplex with ed25519 votes),
//! dissemination and archives of blocks, encrypted connections. Ours are the parts around them:
//!
//! - [`Header`] and the block's encoding, which is what validators sign;
//! - the [`beacon()`]: randomness in every block that nobody can choose;
//! - the tree of states that compete until one is final;
//! - pacing: a block at once when somebody waits, hardly any when nobody does;
//! - snapshots on disk, and taking the state from peers, verified chunk by chunk.
//!
//! One validator is a chain as well, with the very same code. [`launch`] runs it on a real machine;
//! [`start`] runs it on any runtime and network that the engine's libraries have, such as a
//! simulation. No type of theirs is in what the rest of a program sees: it holds a [`Handle`].
#![forbid(unsafe_code)]

mod alone;
mod application;
mod beacon;
mod block;
mod certificate;
mod engine;
mod finality;
mod handle;
mod machine;
mod network;
mod snapshot;
mod sync;
mod tree;
mod wire;

pub use application::Pace;
pub use beacon::{BEACON_KEY_BYTES, BeaconKey, beacon};
pub use block::{HEADER_BYTES, Hash, Header, SHARE_BYTES, body_hash};
pub use certificate::Certificate;
pub use engine::{
    CHANNELS, Channels, MACHINE_MESSAGE_BYTES_MAX, Settings, StartError, Timing, Validator,
    public_key, start,
};
pub use handle::{Handle, StoredBlock, To};
pub use machine::{
    Built, Chunk, Finalized, Machine, Refusal, Restore, Setting, State, Trust, Wanted,
};
pub use network::{Connections, NotAnAddress, Peer, PeerAddress, Running, launch};
pub use wire::Wire;

/// The height at whose multiples nodes offer their state, unless a test wants another.
pub const OFFER_EVERY: u64 = 1_024;
