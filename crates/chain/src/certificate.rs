//! The certificate of a block: signatures of more than two thirds of the validators.

use commonware_consensus::simplex::{scheme::ed25519::Scheme, types::Finalization};
use commonware_cryptography::blake3::Digest;

use crate::block::Hash;

/// Signatures by which a block is final. What is signed stands in `docs/finality.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The epoch of validators.
    pub epoch: u64,
    /// The view in which they agreed.
    pub view: u64,
    /// The view of the block's parent.
    pub parent_view: u64,
    /// The digest of the block's header.
    pub block: Hash,
    /// The signers' places among the validators, ascending, with their signatures.
    pub signatures: Vec<(u32, [u8; 64])>,
}

impl Certificate {
    /// Takes over what the engine holds.
    pub(crate) fn of(finalization: &Finalization<Scheme, Digest>) -> Self {
        let (proposal, certificate) = (&finalization.proposal, &finalization.certificate);
        let signers = certificate.signers.iter().map(|signer| signer.get());
        let signatures = certificate.signatures.iter().map(|signature| {
            let bytes = commonware_codec::Encode::encode(signature);
            <[u8; 64]>::try_from(&bytes[..]).expect("an ed25519 signature has 64 bytes")
        });
        Self {
            epoch: proposal.round.epoch().get(),
            view: proposal.round.view().get(),
            parent_view: proposal.parent.get(),
            block: proposal.payload.0,
            signatures: signers.zip(signatures).collect(),
        }
    }
}
