//! What comes from other nodes, for fuzzers and for tests of its form.
//!
//! Nodes read blocks, votes, certificates of the engine, and messages about states. Each has its
//! bound, and one encoding: what reads is written as it was.

use bytes::Bytes;
use commonware_codec::{Decode as _, Encode as _};
use commonware_consensus::{
    simplex::{
        scheme::ed25519::Scheme,
        types::{Certificate, Finalize, Notarization, Notarize, Nullify, Proposal, Vote},
    },
    types::{Epoch, Round, View},
};
use commonware_cryptography::{Signer as _, blake3::Digest, certificate::Verifier as _};
use commonware_parallel::Sequential;
use commonware_utils::{non_empty, ordered::Set};

use crate::{
    block::{Block, HEADER_BYTES, Header, SHARE_BYTES, body_hash},
    engine::private_key,
    snapshot::Final,
    sync::Message,
};

/// A kind of what nodes send each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// A block.
    Block,
    /// A validator's vote.
    Vote,
    /// What enough votes show.
    Certificate,
    /// What nodes that join ask and are told.
    States,
}

/// Validators of the network whose messages these are.
const VALIDATORS: u8 = 4;
/// Most bytes of a body there.
const BODY_BYTES_MAX: usize = 64 * 1024;

impl Wire {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Block, Self::Vote, Self::Certificate, Self::States];

    /// Reads bytes as a message, and writes what was read; nothing when they are none.
    #[must_use]
    pub fn rewrite(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let input = Bytes::copy_from_slice(bytes);
        let scheme = &schemes()[0];
        let places = scheme.certificate_codec_config();
        Some(match self {
            Self::Block => Block::decode_cfg(input, &BODY_BYTES_MAX).ok()?.encode().into(),
            Self::Vote => Vote::<Scheme, Digest>::decode_cfg(input, &()).ok()?.encode().into(),
            Self::Certificate => {
                Certificate::<Scheme, Digest>::decode_cfg(input, &places).ok()?.encode().into()
            }
            Self::States => Message::from_bytes(bytes, scheme)?.to_bytes(),
        })
    }

    /// Returns messages that read.
    #[must_use]
    pub fn examples(self) -> Vec<Vec<u8>> {
        let body = b"\x03\0\0\0one\x01\0\0\0x";
        let header = Header {
            height: 3,
            time_ms: 1_000,
            parent: [1; 32],
            leader: 2,
            share: [3; SHARE_BYTES],
            body: body_hash(body).expect("it has two entries"),
            state: [4; 32],
        };
        let schemes = schemes();
        let round = Round::new(Epoch::zero(), View::new(7));
        let proposal = Proposal::new(round, View::new(6), Digest(header.digest()));
        match self {
            Self::Block => {
                let block = Block { header, body: Bytes::from_static(body) };
                vec![block.encode().into()]
            }
            Self::Vote => {
                let notarize = Notarize::sign(&schemes[0], proposal.clone());
                let finalize = Finalize::sign(&schemes[1], proposal);
                let votes: [Option<Vote<Scheme, Digest>>; 3] = [
                    notarize.map(Vote::Notarize),
                    Nullify::sign::<Digest>(&schemes[2], round).map(Vote::Nullify),
                    finalize.map(Vote::Finalize),
                ];
                votes.into_iter().flatten().map(|vote| vote.encode().into()).collect()
            }
            Self::Certificate => {
                let votes =
                    schemes.iter().filter_map(|scheme| Notarize::sign(scheme, proposal.clone()));
                let votes: Vec<_> = votes.collect();
                let notarized =
                    Notarization::from_notarizes(&schemes[0], non_empty![@&votes], &Sequential)
                        .ok();
                let finalized = finalization(&schemes, &proposal);
                let all = [
                    notarized.map(Certificate::<Scheme, Digest>::Notarization),
                    finalized.map(Certificate::Finalization),
                ];
                all.into_iter().flatten().map(|one| one.encode().into()).collect()
            }
            Self::States => {
                let tip = finalization(&schemes, &proposal);
                let states = tip.iter().map(|tip| (header, tip.clone())).collect();
                let messages = [
                    Message::Ask,
                    Message::Tip(tip, states),
                    Message::Get(3, vec![1, 2]),
                    Message::Part(3, vec![1, 2], vec![5; HEADER_BYTES]),
                    Message::Gone(3),
                ];
                messages.iter().map(Message::to_bytes).collect()
            }
        }
    }
}

fn finalization(schemes: &[Scheme], proposal: &Proposal<Digest>) -> Option<Final> {
    let votes = schemes.iter().filter_map(|scheme| Finalize::sign(scheme, proposal.clone()));
    let votes: Vec<_> = votes.take(3).collect();
    Final::from_finalizes(&schemes[0], non_empty![@&votes], &Sequential).ok()
}

/// Returns what each validator signs with.
fn schemes() -> Vec<Scheme> {
    let keys: Vec<_> = (1..=VALIDATORS).map(|byte| private_key(&[byte; 32])).collect();
    let all = Set::from_iter_dedup(keys.iter().map(|key| key.public_key()));
    let scheme = |key| Scheme::signer(b"idlewild chain", all.clone(), key);
    keys.into_iter().filter_map(scheme).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_messages_is_pinned() {
        let pinned = [
            (Wire::Block, 1, "1df6e15f2ad1e692"),
            (Wire::Vote, 3, "655ae89966e37ed5"),
            (Wire::Certificate, 2, "40a25a296875cf1d"),
            (Wire::States, 5, "72fe9e3aa83d9f58"),
        ];
        for (kind, count, hash) in pinned {
            let examples = kind.examples();
            assert_eq!(examples.len(), count, "{kind:?}");
            for example in &examples {
                assert_eq!(kind.rewrite(example).as_ref(), Some(example), "{kind:?}");
            }
            let all = blake3::hash(&examples.concat()).to_hex();
            assert_eq!(&all[..16], hash, "{kind:?}: {all}");
        }
    }
}
