//! What happened in a world, for those who judge it.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use commonware_codec::DecodeExt as _;
use commonware_consensus::{
    Viewable as _,
    simplex::{scheme::ed25519::Scheme, types::Vote},
};
use commonware_cryptography::{blake3::Digest, ed25519::PublicKey};
use commonware_p2p::Message;

use crate::lock;

/// The channel of votes.
const VOTES: usize = 0;

/// How a validator voted in a view.
#[derive(Debug, Default)]
struct Voted {
    notarized: Option<Digest>,
    finalized: Option<Digest>,
    nullified: bool,
}

impl Voted {
    /// Takes a vote; returns whether it contradicts those before it.
    fn add(&mut self, vote: &Vote<Scheme, Digest>) -> bool {
        match vote {
            Vote::Notarize(vote) => {
                let payload = vote.proposal.payload;
                *self.notarized.get_or_insert(payload) != payload
            }
            Vote::Finalize(vote) => {
                let payload = vote.proposal.payload;
                *self.finalized.get_or_insert(payload) != payload || self.nullified
            }
            Vote::Nullify(_) => {
                self.nullified = true;
                self.finalized.is_some()
            }
        }
    }
}

/// Counts what happened, over all power losses.
#[derive(Debug, Default)]
pub struct Record {
    twice: AtomicU64,
    late: AtomicU64,
    old: AtomicU64,
    votes: Mutex<BTreeMap<(PublicKey, u64), Voted>>,
    contradictions: Mutex<BTreeMap<PublicKey, u64>>,
}

impl Record {
    /// Returns how many messages came twice, late, and again after long.
    #[must_use]
    pub fn disordered(&self) -> [u64; 3] {
        [&self.twice, &self.late, &self.old].map(|count| count.load(Ordering::Relaxed))
    }

    /// Returns how many votes of a key contradicted others of it.
    #[must_use]
    pub fn contradictions(&self, key: &[u8; 32]) -> u64 {
        let counts = lock(&self.contradictions);
        let of_key = counts.iter().find(|(voter, _)| voter.as_ref() == &key[..]);
        of_key.map_or(0, |(_, count)| *count)
    }

    pub(crate) fn twice(&self) {
        self.twice.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn old(&self) {
        self.old.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes note of a message that arrives for the first time.
    pub(crate) fn hear(&self, channel: usize, (from, bytes): &Message<PublicKey>) {
        if channel != VOTES {
            return;
        }
        let Ok(vote) = Vote::<Scheme, Digest>::decode(bytes.clone()) else { return };
        let mut votes = lock(&self.votes);
        if votes.entry((from.clone(), vote.view().get())).or_default().add(&vote) {
            *lock(&self.contradictions).entry(from.clone()).or_default() += 1;
        }
    }
}
