//! Rows of the state as what they are.

use ledger::{Key, map::ProofError, verify_proof};
use serde::Serialize;
use thiserror::Error;
use types::{
    Account, Amount, Audit, Decode, DecodeError, Dispute, Hash, Lease, Offer, Order, Provider,
    SignedReceipt, Subject,
};

/// Why a row is not shown to be in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RowError {
    /// The tree's proof shows nothing about the key under the root.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The row is there, but is not one that this program knows.
    #[error("the row cannot be decoded")]
    Malformed(#[from] DecodeError),
}

/// Returns what the state with this root has under a key, or nothing where the proof shows that
/// it has nothing there.
///
/// # Errors
/// [`RowError`] when `tree` shows neither.
pub fn row<T: Decode>(root: &Hash, key: &Key, tree: &[u8]) -> Result<Option<T>, RowError> {
    let found = verify_proof(root, key, tree)?;
    Ok(found.as_deref().map(T::from_bytes).transpose()?)
}

/// A row of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Record {
    /// An account's counters.
    Account(Account),
    /// What a wallet holds.
    Wallet(Amount),
    /// A provider.
    Provider(Box<Provider>),
    /// An offer.
    Offer(Box<Offer>),
    /// An order.
    Order(Box<Order>),
    /// A lease.
    Lease(Box<Lease>),
    /// A receipt.
    Receipt(Box<SignedReceipt>),
    /// An audit.
    Audit(Box<Audit>),
    /// A dispute.
    Dispute(Box<Dispute>),
}

impl Record {
    /// Returns what the state with this root says of a subject.
    pub(crate) fn shown(
        root: &Hash,
        subject: Subject,
        tree: &[u8],
    ) -> Result<Option<Self>, RowError> {
        let key = Key::from(subject);
        Ok(match subject {
            Subject::Account(_) => row(root, &key, tree)?.map(Self::Account),
            Subject::Usd(_) | Subject::Wild(_) => row(root, &key, tree)?.map(Self::Wallet),
            Subject::Provider(_) => row(root, &key, tree)?.map(Self::Provider),
            Subject::Offer(_) => row(root, &key, tree)?.map(Self::Offer),
            Subject::Order(_) => row(root, &key, tree)?.map(Self::Order),
            Subject::Lease(_) => row(root, &key, tree)?.map(Self::Lease),
            Subject::Receipt(..) => row(root, &key, tree)?.map(Self::Receipt),
            Subject::Audit(_) => row(root, &key, tree)?.map(Self::Audit),
            Subject::Dispute(_) => row(root, &key, tree)?.map(Self::Dispute),
        })
    }
}
