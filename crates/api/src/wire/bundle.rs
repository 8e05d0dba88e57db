//! What proves a lease to somebody who trusts nothing but the genesis.
//!
//! Rows of the state come with proofs against the root in a header, and transactions with the way
//! to what the header of their block says of its body. Each header comes with the signatures of the
//! validators that made it final.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use types::{
    CertificateError, CertifiedHeader, Decode, Genesis, LeaseId, SignedTransaction, Verified,
    body::Path,
    limits::TRANSACTION_BYTES_MAX,
    text::{from_hex, to_hex},
};

/// A row of the state with its proof, all in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// The key's encoding.
    pub key: String,
    /// The value's encoding; absent when the proof is one of absence.
    pub value: Option<String>,
    /// The proof against the state's root.
    pub proof: String,
}

impl Row {
    /// Takes the parts as bytes.
    #[must_use]
    pub fn new(key: &[u8], value: Option<&[u8]>, proof: &[u8]) -> Self {
        Self { key: to_hex(key), value: value.map(to_hex), proof: to_hex(proof) }
    }

    /// Returns the parts as bytes, or nothing if they are not hexadecimal.
    #[must_use]
    pub fn parts(&self) -> Option<RowBytes> {
        let value = match &self.value {
            Some(value) => Some(from_hex(value)?),
            None => None,
        };
        Some(RowBytes { key: from_hex(&self.key)?, value, proof: from_hex(&self.proof)? })
    }
}

/// The parts of a row as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowBytes {
    /// The key's encoding.
    pub key: Vec<u8>,
    /// The value's encoding; absent when the proof is one of absence.
    pub value: Option<Vec<u8>>,
    /// The encoded proof.
    pub proof: Vec<u8>,
}

/// A row with the header whose state it is a row of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProofView {
    /// The header, whose `state` is the root of the proof.
    pub header: CertifiedHeader,
    /// The row.
    pub row: Row,
}

/// A transaction with what shows that a block holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Included {
    /// The canonical encoding of the signed transaction in hexadecimal.
    pub transaction: String,
    /// The block's header.
    pub header: CertifiedHeader,
    /// The way from the transaction to what the header says of the body.
    pub path: Path,
}

/// Why a transaction is not shown to be in a block.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BundleError {
    /// The transaction's text is not the encoding of one.
    #[error("the transaction cannot be read")]
    Malformed,
    /// A signature of the transaction does not match.
    #[error("a signature of the transaction does not match")]
    Signature,
    /// The header is not final.
    #[error("the block is not final")]
    Header(#[from] CertificateError),
    /// The header commits to other transactions.
    #[error("the block holds other transactions")]
    Commitment,
}

impl Included {
    /// Checks that a final header commits to the transaction, and its signatures.
    ///
    /// # Errors
    /// [`BundleError`] that names what does not hold.
    pub fn verify(&self, genesis: &Genesis) -> Result<Verified, BundleError> {
        self.header.verify(genesis)?;
        if self.transaction.len() > TRANSACTION_BYTES_MAX.saturating_mul(2) {
            return Err(BundleError::Malformed);
        }
        let bytes = from_hex(&self.transaction).ok_or(BundleError::Malformed)?;
        let signed = SignedTransaction::from_bytes(&bytes).map_err(|_| BundleError::Malformed)?;
        let verified = signed.verify(&genesis.hash()).map_err(|_| BundleError::Signature)?;
        if self.path.lead(&bytes) == Some(self.header.header.body) {
            Ok(verified)
        } else {
            Err(BundleError::Commitment)
        }
    }
}

/// Everything that is needed to check a lease's bill without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bundle {
    /// What the network started from; its hash names it.
    pub genesis: Genesis,
    /// The lease.
    pub id: LeaseId,
    /// The header whose state the rows are of. For a lease that left the state, that of the block
    /// before.
    pub header: CertifiedHeader,
    /// The lease's row.
    pub lease: Row,
    /// Its order's row.
    pub order: Row,
    /// Its receipts' rows, in their sequence.
    pub receipts: Vec<Row>,
    /// Its audit's row, or the absence of one.
    pub audit: Row,
    /// The row of the dispute over it, or the absence of one.
    pub dispute: Row,
    /// The transactions that placed the order, started the lease and handed in receipts.
    pub transactions: Vec<Included>,
    /// For a closed lease, the network's parameters in the state of the block that closed it, and
    /// where that block changed them, also in that of the block before; otherwise none.
    pub parameters: Vec<ProofView>,
}
