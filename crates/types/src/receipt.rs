//! Receipts: cumulative signed meter readings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Address, BadSignature, Blob, Hash, LeaseId, PublicKey, SecretKey, Signable, Signature, Time,
    limits::USAGE_BYTES_MAX,
};

/// What a provider did for a lease so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// The lease.
    pub lease: LeaseId,
    /// Counts the lease's receipts, from 1; a later one extends an earlier.
    pub sequence: u32,
    /// Where the range that this receipt adds begins: the end of the one before, or the start.
    pub from: Time,
    /// Where the range ends.
    pub to: Time,
    /// The meter reading since the start of the lease, encoded as its class says.
    pub usage: Blob<USAGE_BYTES_MAX>,
    /// Commits to the result and to how it came about: [`Receipt::commit`].
    pub work_root: Hash,
}
codec!(struct Receipt { lease, sequence, from, to, usage, work_root });

impl Receipt {
    /// Returns the root that commits to a result and to how it came about.
    #[must_use]
    pub fn commit(result_root: &Hash, trace_root: &Hash) -> Hash {
        Hash::of("idlewild work", &[result_root.as_bytes(), trace_root.as_bytes()])
    }
}

impl Signable for Receipt {
    const KIND: &'static str = "receipt/1";
}

/// A receipt with the provider's signature and, where the class asks for it, the tenant's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedReceipt {
    /// The receipt.
    pub receipt: Receipt,
    /// The provider's key; the ledger checks that it is the lease's.
    pub node_key: PublicKey,
    /// The provider's signature.
    pub signature: Signature,
    /// The tenant's address and signature; the ledger checks that the tenant is the lease's.
    pub countersignature: Option<Countersignature>,
}
codec!(struct SignedReceipt { receipt, node_key, signature, countersignature });

/// A tenant's signature under a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Countersignature {
    /// Who signs.
    pub tenant: Address,
    /// The signature.
    pub signature: Signature,
}
codec!(struct Countersignature { tenant, signature });

impl SignedReceipt {
    /// Signs `receipt` as a provider, for the network of `genesis`.
    #[must_use]
    pub fn sign(receipt: Receipt, genesis: &Hash, key: &SecretKey) -> Self {
        let signature = key.sign(genesis, &receipt);
        Self { receipt, node_key: key.public(), signature, countersignature: None }
    }

    /// Checks the signatures against the keys it carries.
    ///
    /// # Errors
    /// [`BadSignature`] when one does not match.
    pub fn verify(&self, genesis: &Hash) -> Result<(), BadSignature> {
        self.node_key.verify(genesis, &self.receipt, &self.signature)?;
        self.countersignature.as_ref().map_or(Ok(()), |counter| {
            counter.tenant.key().verify(genesis, &self.receipt, &counter.signature)
        })
    }
}
