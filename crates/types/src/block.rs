//! Blocks: transactions in order, and what the state became.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    BadSignature, Encode, Hash, List, PublicKey, SecretKey, Signable, Signature, SignedTransaction,
    Time, TransactionId, limits::BLOCK_TRANSACTIONS_MAX,
};

/// What a block says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// Counts blocks; the genesis is 0, the first block 1.
    pub height: u64,
    /// The block's time, after its parent's.
    pub time: Time,
    /// The hash of the header before; of the genesis, for the first block.
    pub parent: Hash,
    /// Commits to the transactions and their order.
    pub transactions: Hash,
    /// The root of the state after the block.
    pub state: Hash,
}
codec!(struct Header { height, time, parent, transactions, state });

impl Signable for Header {
    const KIND: &'static str = "header/1";
}

impl Header {
    /// Returns the hash that the next block names as its parent.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of("idlewild header", &[&self.to_bytes()])
    }

    /// Returns what a header commits to for the transactions with these names, in order.
    #[must_use]
    pub fn commit(transactions: &[TransactionId]) -> Hash {
        let names: Vec<u8> = transactions.iter().flat_map(|id| *id.as_bytes()).collect();
        Hash::of("idlewild transactions", &[&names])
    }
}

/// A header with a validator's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedHeader {
    /// The header.
    pub header: Header,
    /// Who signed.
    pub validator: PublicKey,
    /// The signature.
    pub signature: Signature,
}
codec!(struct SignedHeader { header, validator, signature });

impl SignedHeader {
    /// Signs `header` for the network of `genesis`.
    #[must_use]
    pub fn sign(header: Header, genesis: &Hash, key: &SecretKey) -> Self {
        Self { header, validator: key.public(), signature: key.sign(genesis, &header) }
    }

    /// Checks the signature against the key it carries.
    ///
    /// # Errors
    /// [`BadSignature`] when it does not match.
    pub fn verify(&self, genesis: &Hash) -> Result<(), BadSignature> {
        self.validator.verify(genesis, &self.header, &self.signature)
    }

    /// Returns the beacon of the next block: what nobody but the validator knew before it signed.
    ///
    /// The signature covers the chain up to here. Who sends transactions cannot foresee it; the
    /// validator can, and choose among blocks.
    #[must_use]
    pub fn next_beacon(&self) -> Hash {
        Hash::of("idlewild beacon", &[self.signature.as_bytes()])
    }
}

/// A block, as it is stored and sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Block {
    /// The signed header.
    pub header: SignedHeader,
    /// The transactions, in order.
    pub transactions: List<SignedTransaction, BLOCK_TRANSACTIONS_MAX>,
}
codec!(struct Block { header, transactions });
