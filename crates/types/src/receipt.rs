//! Receipts: cumulative signed meter readings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Address, BadSignature, Blob, Hash, LeaseId, PublicKey, SecretKey, Signable, Signature, Time,
    limits::USAGE_BYTES_MAX, signature::Statement,
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
    /// Commits to how that came about, without showing it: [`Receipt::commit`].
    pub trace: Hash,
}
codec!(struct Receipt { lease, sequence, from, to, usage, trace });

impl Receipt {
    /// Seals what only doing the work yields to one lease, so that what is shown of one lease's
    /// work says nothing of another's, though it be the same work.
    #[must_use]
    pub fn seal(lease: &LeaseId, trace_root: &Hash) -> Hash {
        Hash::of("idlewild trace", &[lease.as_bytes(), trace_root.as_bytes()])
    }

    /// Returns what a receipt says of a trace root that is sealed to its lease.
    #[must_use]
    pub fn commit(sealed: &Hash) -> Hash {
        Hash::of("idlewild trace commitment", &[sealed.as_bytes()])
    }

    /// Returns the root over what the meter reading names as the result, and over how it came
    /// about: what is checked is all that is paid for.
    #[must_use]
    pub fn work_root(result_root: &Hash, trace: &Hash) -> Hash {
        Hash::of("idlewild work", &[result_root.as_bytes(), trace.as_bytes()])
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
        self.statements(genesis)
            .all(|statement| statement.holds())
            .then_some(())
            .ok_or(BadSignature)
    }

    /// Returns what its signatures state.
    pub(crate) fn statements(&self, genesis: &Hash) -> impl Iterator<Item = Statement> {
        let provider = self.node_key.statement(genesis, &self.receipt, &self.signature);
        let tenant = self.countersignature.as_ref().map(|counter| {
            counter.tenant.key().statement(genesis, &self.receipt, &counter.signature)
        });
        std::iter::once(provider).chain(tenant)
    }
}
