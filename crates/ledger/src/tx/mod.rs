//! Transactions: one file for each action, with what it asks for and what it does.
//!
//! `check` reads the state and answers with a rejection or with a plan that holds everything the
//! action needs; `apply` carries the plan out on the same state. It cannot be refused any more:
//! all that can stop it is a state that contradicts itself, and then nothing of it stays.

mod argue;
pub(crate) mod cancel_order;
mod close;
mod commit_audit;
mod delist;
mod dispute;
mod enlist;
mod issue;
pub(crate) mod place_order;
mod post_offer;
mod reclaim;
mod redeem;
mod register;
pub(crate) mod retire_offer;
mod reveal_audit;
mod rotate_node_key;
mod stake;
mod start;
pub(crate) mod submit_receipt;
mod transfer;
mod unstake;
pub(crate) mod vote;

use types::{
    Account, Action, Address, Amount, Asset, Assignment, Audit, Lease, LeaseId, Provider,
    PublicKey, Reject, Time, Transaction, TransactionId, Verified,
};

use crate::{
    key::{Key, Row},
    state::{Broken, State},
};

/// Who asks, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    /// Who signed.
    pub(crate) signer: Address,
    /// The transaction's name.
    pub(crate) id: TransactionId,
    /// The transaction's nonce.
    pub(crate) nonce: u64,
    /// The time of the block.
    pub(crate) now: Time,
    /// The signer's account, as it was before.
    pub(crate) account: Account,
}

/// What an action asks for and does.
pub(crate) trait Execute {
    /// Everything that `apply` needs.
    type Plan;

    /// Decides whether the action may happen.
    fn check(&self, state: &State, context: &Context) -> Result<Self::Plan, Reject>;

    /// Makes it happen, on the state that `check` saw.
    fn apply(plan: Self::Plan, state: &mut State, context: &Context) -> Result<(), Broken>;
}

/// Executes a transaction; a refused one changes nothing.
pub(crate) fn execute(state: &mut State, verified: &Verified) -> Result<(), Reject> {
    let transaction = verified.transaction();
    let context = &admit(state, transaction, verified.id())?;
    match &transaction.action {
        &Action::Transfer { to, asset, amount } => {
            run(state, context, &transfer::Transfer { to, asset, amount })
        }
        &Action::Issue { to, asset, amount } => {
            run(state, context, &issue::Issue { to, asset, amount })
        }
        &Action::Redeem { asset, amount } => run(state, context, &redeem::Redeem { asset, amount }),
        &Action::Register { node_key, .. } => run(state, context, &register::Register { node_key }),
        &Action::RotateNodeKey { node_key, .. } => {
            run(state, context, &rotate_node_key::RotateNodeKey { node_key })
        }
        &Action::Stake { amount } => run(state, context, &stake::Stake { amount }),
        &Action::Unstake { amount } => run(state, context, &unstake::Unstake { amount }),
        Action::PostOffer(terms) => run(state, context, &post_offer::PostOffer { terms }),
        &Action::RetireOffer { offer } => run(state, context, &retire_offer::RetireOffer { offer }),
        Action::PlaceOrder(terms) => run(state, context, &place_order::PlaceOrder { terms }),
        &Action::CancelOrder { order } => run(state, context, &cancel_order::CancelOrder { order }),
        &Action::Start { lease } => run(state, context, &start::Start { lease }),
        Action::SubmitReceipt(signed) => {
            run(state, context, &submit_receipt::SubmitReceipt { signed })
        }
        &Action::Reclaim { lease, notice } => {
            run(state, context, &reclaim::Reclaim { lease, notice })
        }
        &Action::Close { lease } => run(state, context, &close::Close { lease }),
        &Action::Vote { ref change, effective } => {
            run(state, context, &vote::Vote { change, effective })
        }
        Action::Enlist(terms) => run(state, context, &enlist::Enlist { terms }),
        &Action::Delist { class } => run(state, context, &delist::Delist { class }),
        &Action::CommitAudit { lease, commitment } => {
            run(state, context, &commit_audit::CommitAudit { lease, commitment })
        }
        &Action::RevealAudit { lease, salt, finding } => {
            run(state, context, &reveal_audit::RevealAudit { lease, salt, finding })
        }
        &Action::Dispute { lease } => run(state, context, &dispute::Dispute { lease }),
        &Action::Argue { lease, opened, ref argument } => {
            run(state, context, &argue::Argue { lease, opened, argument })
        }
    }
}

/// Checks what every transaction must satisfy.
fn admit(state: &State, transaction: &Transaction, id: TransactionId) -> Result<Context, Reject> {
    let &Transaction { signer, nonce, expires, .. } = transaction;
    let now = state.now();
    let account: Account = state.get(Key::Account(signer))?.ok_or(Reject::AccountUnknown)?;
    if expires <= now {
        return Err(Reject::TransactionExpired);
    }
    if expires > now.after(state.parameters().transaction_lifetime_ms) {
        return Err(Reject::TransactionLifetime);
    }
    if nonce < account.nonce {
        return Err(Reject::NonceStale);
    }
    if nonce > account.nonce {
        return Err(Reject::NonceAhead);
    }
    Ok(Context { signer, id, nonce, now, account })
}

fn run<A: Execute>(state: &mut State, context: &Context, action: &A) -> Result<(), Reject> {
    let plan = action.check(state, context)?;
    let done = state.attempt(|state| {
        let nonce = context.nonce.checked_add(1).ok_or(Broken)?;
        state.put(Key::Account(context.signer), &Account { nonce, ..context.account })?;
        A::apply(plan, state, context)
    });
    Ok(done?)
}

fn positive(amount: Amount) -> Result<(), Reject> {
    if amount.is_zero() { Err(Reject::AmountZero) } else { Ok(()) }
}

fn known(state: &State, asset: Asset) -> Result<(), Reject> {
    match asset {
        Asset::Wild if !state.charter().token => Err(Reject::AssetAbsent),
        Asset::Wild | Asset::Usd => Ok(()),
    }
}

fn covers(state: &State, row: Row, asset: Asset, amount: Amount) -> Result<(), Reject> {
    if state.balance(row, asset)? < amount { Err(Reject::FundsShort) } else { Ok(()) }
}

/// Checks that a row can hold as much more.
fn fits(state: &State, row: Row, asset: Asset, amount: Amount) -> Result<(), Reject> {
    let sum = state.balance(row, asset)?.plus(amount);
    sum.map(drop).map_err(|_| Reject::AmountRange)
}

/// Returns the provider that the signer is.
fn own_provider(state: &State, context: &Context) -> Result<Provider, Reject> {
    state.get(Key::Provider(context.signer))?.ok_or(Reject::NotProvider)
}

/// Returns the provider that the signer is, or whose node key it is.
fn acting_provider(state: &State, context: &Context) -> Result<Provider, Reject> {
    let address = provider_of(state, &context.signer)?.ok_or(Reject::NotProvider)?;
    Ok(state.need(Key::Provider(address))?)
}

/// Returns the address of the provider that `signer` is, or whose node key it is.
pub(crate) fn provider_of(state: &State, signer: &Address) -> Result<Option<Address>, Broken> {
    if state.has(Key::Provider(*signer)) {
        return Ok(Some(*signer));
    }
    state.get(Key::NodeKey(*signer.key()))
}

/// Checks that a key can become a provider's node key.
fn free_node_key(state: &State, context: &Context, key: PublicKey) -> Result<(), Reject> {
    let address = Address::new(key);
    let taken = address == context.signer
        || state.has(Key::NodeKey(key))
        || state.has(Key::Provider(address));
    if taken { Err(Reject::NodeKeyTaken) } else { Ok(()) }
}

/// An auditor's part in the current round of a lease's audit.
struct Assigned {
    audit: Audit,
    /// Which of the assignments it is.
    index: usize,
    assignment: Assignment,
}

/// Returns why an auditor cannot do now what its audit does not wait for.
fn not_now(state: &State, context: &Context) -> Reject {
    acting_provider(state, context).map_or_else(|reject| reject, |_| Reject::AuditState)
}

/// Returns the signer's part in the current round of a lease's audit, which is under way.
fn assigned(state: &State, context: &Context, lease: &Lease) -> Result<Assigned, Reject> {
    let auditor = acting_provider(state, context)?.address;
    let audit: Audit = state.need(Key::Audit(lease.id))?;
    let index = audit
        .assignments
        .iter()
        .position(|assigned| assigned.round == audit.round && assigned.auditor == auditor);
    let index = index.ok_or(Reject::AuditNotYours)?;
    let assignment = *audit.assignments.get(index).ok_or(Broken)?;
    Ok(Assigned { audit, index, assignment })
}

fn known_lease(state: &State, lease: LeaseId) -> Result<Lease, Reject> {
    state.get(Key::Lease(lease))?.ok_or(Reject::LeaseUnknown)
}
