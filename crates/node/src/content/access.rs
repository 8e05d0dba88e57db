//! Who may read content: its owners, the parties of a lease that names it, and those who check
//! that lease's work.
//!
//! A lease names its inputs for its tenant and its results for its provider; a manifest among
//! them names its files too. What is named counts only as far as who names it owns it: otherwise
//! an account could read another's content by naming its hash in a lease with itself. Who asks in
//! the name of a lease is shown only what that lease shows, even of its own.

use ledger::Ledger;
use types::{Address, CheckState, ContentHash, Genesis, Lease, Order, SignedReceipt};

use super::{ContentError, ContentStore};

/// Who asks, as the ledger knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    /// The address that signed the request.
    pub(crate) signer: Address,
    /// The account that it acts for: its provider's, or its own.
    pub(crate) account: Address,
}

impl Asker {
    /// Returns whether who asks is a party of the lease.
    fn is_party(&self, lease: &Lease) -> bool {
        self.account == lease.tenant
            || self.account == lease.provider
            // The key that the lease pins, though the provider has another by now.
            || *self.signer.key() == lease.node_key
    }

    /// Returns whether the lease lets who asks read what it names: its parties always, auditors as
    /// long as they have its audit to do, validators as long as a dispute over it is open.
    pub(crate) fn may_read(&self, ledger: &Ledger, lease: &Lease, genesis: &Genesis) -> bool {
        if self.is_party(lease) {
            return true;
        }
        match lease.check {
            CheckState::Committing { .. } | CheckState::Revealing { .. } => {
                let audit = ledger.audit(&lease.id);
                audit.is_some_and(|audit| {
                    audit.current().any(|assigned| assigned.auditor == self.account)
                })
            }
            CheckState::Disputed { .. } => genesis.place_of(self.signer.key()).is_some(),
            _ => false,
        }
    }
}

/// What a lease names.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    tenant: Address,
    provider: Address,
    inputs: Vec<ContentHash>,
    results: Vec<ContentHash>,
}

/// Returns what a lease names, as its class reads order and receipts.
pub(crate) fn names(lease: &Lease, order: &Order, receipts: &[SignedReceipt]) -> Named {
    let (mut inputs, mut results) = (Vec::new(), Vec::new());
    if let Some(class) = classes::find(lease.class) {
        // What was accepted into the ledger is well formed for its class.
        inputs = class.inputs(order.terms.spec.as_slice()).unwrap_or_default();
        for signed in receipts {
            let usage = signed.receipt.usage.as_slice();
            results.extend(class.results(usage).unwrap_or_default());
        }
    }
    Named { tenant: lease.tenant, provider: lease.provider, inputs, results }
}

impl Named {
    /// Returns whether the lease makes this content readable to its parties.
    pub(crate) fn shows(
        &self,
        store: &ContentStore,
        hash: ContentHash,
    ) -> Result<bool, ContentError> {
        Ok(side_shows(store, self.tenant, &self.inputs, hash)?
            || side_shows(store, self.provider, &self.results, hash)?)
    }
}

fn side_shows(
    store: &ContentStore,
    owner: Address,
    named: &[ContentHash],
    hash: ContentHash,
) -> Result<bool, ContentError> {
    if !store.owns(owner, hash)? {
        return Ok(false);
    }
    if named.contains(&hash) {
        return Ok(true);
    }
    for name in named {
        let contents = store.manifest(*name)?;
        if contents.is_some_and(|contents| contents.contains(&hash)) {
            return Ok(true);
        }
    }
    Ok(false)
}
