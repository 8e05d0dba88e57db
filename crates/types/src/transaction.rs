//! Transactions: what accounts and node keys ask of the ledger.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Address, Amount, Argument, Asset, AuditorTerms, BadSignature, Change, ClassId, Duration,
    Encode, Finding, Hash, LeaseId, OfferId, OfferTerms, OrderId, OrderTerms, PublicKey, SecretKey,
    Signable, Signature, SignedReceipt, Time, TransactionId,
    signature::{self, Statement},
};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Action {
    /// Moves funds to another account.
    Transfer {
        /// Who receives.
        to: Address,
        /// What.
        asset: Asset,
        /// How much.
        amount: Amount,
    },
    /// Mints against a deposit; for issuers.
    Issue {
        /// Who receives.
        to: Address,
        /// What.
        asset: Asset,
        /// How much.
        amount: Amount,
    },
    /// Takes credits of the issuer's own wallet out of circulation; for issuers.
    Redeem {
        /// What.
        asset: Asset,
        /// How much.
        amount: Amount,
    },
    /// Makes the signer a provider.
    Register {
        /// The key that its agent will sign with.
        node_key: PublicKey,
        /// That key's signature under the provider's [`NodeKeyConsent`].
        consent: Signature,
    },
    /// Replaces a provider's node key. Running leases keep theirs.
    RotateNodeKey {
        /// The new key.
        node_key: PublicKey,
        /// That key's signature under the provider's [`NodeKeyConsent`].
        consent: Signature,
    },
    /// Locks token as a provider's stake.
    Stake {
        /// How much, in micro-WILD.
        amount: Amount,
    },
    /// Starts to unlock stake.
    Unstake {
        /// How much, in micro-WILD.
        amount: Amount,
    },
    /// Posts an offer; for node keys and providers.
    PostOffer(Box<OfferTerms>),
    /// Takes an offer down; for node keys and providers.
    RetireOffer {
        /// Which.
        offer: OfferId,
    },
    /// Places an order and locks its budget.
    PlaceOrder(Box<OrderTerms>),
    /// Takes back an order that waits for a match.
    CancelOrder {
        /// Which.
        order: OrderId,
    },
    /// Says that the provider serves the lease from now on; for its node key.
    Start {
        /// Which.
        lease: LeaseId,
    },
    /// Hands in a meter reading; anyone may carry it.
    SubmitReceipt(Box<SignedReceipt>),
    /// Gives notice that the provider takes its hardware back; for node keys and providers.
    Reclaim {
        /// Which lease.
        lease: LeaseId,
        /// How long it still serves, at least the network's notice.
        notice: Duration,
    },
    /// Ends a lease; for its tenant.
    Close {
        /// Which.
        lease: LeaseId,
    },
    /// Votes for a change; by stake, or by validators where there is no token.
    Vote {
        /// The change.
        change: Change,
        /// When it shall take effect; part of what is voted on.
        effective: Time,
    },
    /// Makes a provider an auditor of a class, or changes its terms; for node keys and providers.
    Enlist(Box<AuditorTerms>),
    /// Ends being an auditor of a class; for node keys and providers.
    Delist {
        /// Which class.
        class: ClassId,
    },
    /// Commits to what an auditor found; for node keys and providers that were drawn.
    CommitAudit {
        /// The lease.
        lease: LeaseId,
        /// [`crate::Opening::commit`] of what was found.
        commitment: Hash,
    },
    /// Says what an auditor committed to.
    RevealAudit {
        /// The lease.
        lease: LeaseId,
        /// The salt of the commitment.
        salt: Hash,
        /// What was found.
        finding: Finding,
    },
    /// Says that a receipt is wrong, and locks a bond; for the lease's tenant.
    Dispute {
        /// The lease.
        lease: LeaseId,
    },
    /// Makes a move in a dispute; for validators, or the parties of the dispute.
    Argue {
        /// The lease.
        lease: LeaseId,
        /// When the dispute was opened: what is meant for an earlier one does not count in a later.
        opened: Time,
        /// The move.
        argument: Box<Argument>,
    },
}
codec!(enum Action {
    0 = Transfer { to, asset, amount },
    1 = Issue { to, asset, amount },
    2 = Redeem { asset, amount },
    3 = Register { node_key, consent },
    4 = RotateNodeKey { node_key, consent },
    5 = Stake { amount },
    6 = Unstake { amount },
    7 = PostOffer(terms),
    8 = RetireOffer { offer },
    9 = PlaceOrder(terms),
    10 = CancelOrder { order },
    11 = Start { lease },
    12 = SubmitReceipt(receipt),
    13 = Reclaim { lease, notice },
    14 = Close { lease },
    15 = Vote { change, effective },
    16 = Enlist(terms),
    17 = Delist { class },
    18 = CommitAudit { lease, commitment },
    19 = RevealAudit { lease, salt, finding },
    20 = Dispute { lease },
    21 = Argue { lease, opened, argument },
});

impl Action {
    /// Returns the action's name, such as `place-order`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Transfer { .. } => "transfer",
            Self::Issue { .. } => "issue",
            Self::Redeem { .. } => "redeem",
            Self::Register { .. } => "register",
            Self::RotateNodeKey { .. } => "rotate-node-key",
            Self::Stake { .. } => "stake",
            Self::Unstake { .. } => "unstake",
            Self::PostOffer(_) => "post-offer",
            Self::RetireOffer { .. } => "retire-offer",
            Self::PlaceOrder(_) => "place-order",
            Self::CancelOrder { .. } => "cancel-order",
            Self::Start { .. } => "start",
            Self::SubmitReceipt(_) => "submit-receipt",
            Self::Reclaim { .. } => "reclaim",
            Self::Close { .. } => "close",
            Self::Vote { .. } => "vote",
            Self::Enlist(_) => "enlist",
            Self::Delist { .. } => "delist",
            Self::CommitAudit { .. } => "commit-audit",
            Self::RevealAudit { .. } => "reveal-audit",
            Self::Dispute { .. } => "dispute",
            Self::Argue { .. } => "argue",
        }
    }
}

/// What a key signs to become a provider's node key, so that nobody can take another's key for
/// theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeKeyConsent {
    /// The provider's account.
    pub provider: Address,
}
codec!(struct NodeKeyConsent { provider });

impl Signable for NodeKeyConsent {
    const KIND: &'static str = "node-key/1";
}

/// An action, who asks for it, and when it may happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Transaction {
    /// The account or node key that signs.
    pub signer: Address,
    /// Counts the signer's transactions, from 0, without gaps.
    pub nonce: u64,
    /// The transaction has no effect in a block of this time or later.
    pub expires: Time,
    /// What is asked.
    pub action: Action,
}
codec!(struct Transaction { signer, nonce, expires, action });

impl Signable for Transaction {
    const KIND: &'static str = "transaction/1";
}

impl Transaction {
    /// Returns the transaction's name.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        let hash = Hash::of("idlewild transaction", &[&self.to_bytes()]);
        TransactionId::from_bytes(*hash.as_bytes())
    }

    /// Signs it for the network of `genesis`.
    #[must_use]
    pub fn sign(self, genesis: &Hash, key: &SecretKey) -> SignedTransaction {
        let signature = key.sign(genesis, &self);
        SignedTransaction { transaction: self, signature }
    }
}

/// A transaction with its signer's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedTransaction {
    /// The transaction.
    pub transaction: Transaction,
    /// The signer's signature.
    pub signature: Signature,
}
codec!(struct SignedTransaction { transaction, signature });

impl SignedTransaction {
    /// Checks every signature in it: the signer's, a node key's consent, and those of a receipt.
    ///
    /// # Errors
    /// [`BadSignature`] when one does not match.
    pub fn verify(self, genesis: &Hash) -> Result<Verified, BadSignature> {
        let mut statements = Vec::new();
        self.state(genesis, &mut statements);
        if statements.iter().all(Statement::holds) {
            Ok(Verified::trust(self))
        } else {
            Err(BadSignature)
        }
    }

    /// Checks many at once, each as [`Self::verify`] would, and returns those that match in their
    /// places. It takes a third of the time.
    #[must_use]
    pub fn verify_all(transactions: Vec<Self>, genesis: &Hash) -> Vec<Option<Verified>> {
        let mut statements = Vec::with_capacity(transactions.len());
        let counts = transactions.iter().map(|transaction| {
            let before = statements.len();
            transaction.state(genesis, &mut statements);
            statements.len().saturating_sub(before)
        });
        let counts: Vec<usize> = counts.collect();
        let mut held = signature::which_hold(&statements).into_iter();
        let verified = transactions.into_iter().zip(counts).map(|(transaction, count)| {
            let good = held.by_ref().take(count).filter(|held| *held).count();
            (good == count).then(|| Verified::trust(transaction))
        });
        verified.collect()
    }

    /// Adds what each signature in it states.
    fn state(&self, genesis: &Hash, statements: &mut Vec<Statement>) {
        let Self { transaction, signature } = self;
        statements.push(transaction.signer.key().statement(genesis, transaction, signature));
        match &transaction.action {
            Action::SubmitReceipt(receipt) => statements.extend(receipt.statements(genesis)),
            Action::Register { node_key, consent }
            | Action::RotateNodeKey { node_key, consent } => {
                let consented = NodeKeyConsent { provider: transaction.signer };
                statements.push(node_key.statement(genesis, &consented, consent));
            }
            _ => {}
        }
    }
}

/// A transaction whose signatures were checked; the only kind that a ledger executes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    id: TransactionId,
    signed: SignedTransaction,
}

impl Verified {
    /// Takes a transaction whose signatures the caller has checked already, such as one read back
    /// from a final block, or vouches for, such as a test's.
    #[must_use]
    pub fn trust(signed: SignedTransaction) -> Self {
        Self { id: signed.transaction.id(), signed }
    }

    /// Returns the transaction's name.
    #[must_use]
    pub const fn id(&self) -> TransactionId {
        self.id
    }

    /// Returns the transaction.
    #[must_use]
    pub const fn transaction(&self) -> &Transaction {
        &self.signed.transaction
    }

    /// Returns the transaction with its signature.
    #[must_use]
    pub const fn signed(&self) -> &SignedTransaction {
        &self.signed
    }

    /// Returns the transaction with its signature.
    #[must_use]
    pub fn into_signed(self) -> SignedTransaction {
        self.signed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_registers_a_key_that_did_not_consent() {
        let genesis = Hash::from_bytes([9; 32]);
        let (provider, node) = (SecretKey::from_bytes([1; 32]), SecretKey::from_bytes([2; 32]));
        let register = |consent| {
            let action = Action::Register { node_key: node.public(), consent };
            let signer = provider.address();
            let transaction = Transaction { signer, nonce: 0, expires: Time::MAX, action };
            transaction.sign(&genesis, &provider).verify(&genesis).map(drop)
        };
        let own = NodeKeyConsent { provider: provider.address() };
        let other = NodeKeyConsent { provider: node.address() };
        assert_eq!(register(node.sign(&genesis, &own)), Ok(()));
        assert_eq!(register(node.sign(&genesis, &other)), Err(BadSignature));
        assert_eq!(register(provider.sign(&genesis, &own)), Err(BadSignature));
        assert_eq!(register(node.sign(&Hash::ZERO, &own)), Err(BadSignature));
    }
}
