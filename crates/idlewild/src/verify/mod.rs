//! Checks a lease's bundle without asking anybody.
//!
//! What is trusted is the genesis alone, which names the validators. From it follows, step by
//! step, everything that a bill says:
//!
//! ```text
//! genesis ─▶ validator's signature ─▶ header ─▶ state root ─▶ rows: lease, order, receipts
//!                    │                                          │
//!                    ├─▶ headers ─▶ transactions, signed by tenant and provider ◀─ must agree
//!                    └─▶ header of the block that closed it ─▶ row of the parameters
//! ```
//!
//! What is said of the work's check must follow from the audit's and the dispute's rows.
//!
//! Then the money is computed anew from the receipt, the rate and the parameters that were in
//! force when the lease was closed, and must be what the lease's row says. Who has the program and
//! its inputs can also run the job again: [`rerun`].

mod audit;
mod money;
mod parameters;
pub(crate) mod rerun;
pub(crate) mod state;

use api::{Bundle, BundleError, Included, Row};
use classes::Class;
use ledger::Key;
use light::RowError;
use serde::Serialize;
use thiserror::Error;
use types::{
    Action, Audit, CertificateError, Decode, Dispute, Encode, Hash, Lease, LeaseId, LeaseState,
    Order, OrderId, SignedReceipt, Units, Verified,
};

pub(crate) use money::MoneyError;

/// Why a bundle does not prove what it says.
#[derive(Debug, Error)]
pub(crate) enum Refuted {
    /// The header is not final.
    #[error("the header of the state is not final")]
    Header(#[source] CertificateError),
    /// A row is not part of the state.
    #[error("the row of the {row} is not shown to be in the state")]
    Shown {
        /// Which row.
        row: &'static str,
        /// What does not hold.
        source: RowError,
    },
    /// A row is not what it should be.
    #[error("the row of the {row} is not one: {what}")]
    Row {
        /// Which row.
        row: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// Two records contradict each other.
    #[error("{0}")]
    Contradiction(&'static str),
    /// A transaction is not shown to have happened.
    #[error("a transaction does not hold")]
    Transaction(#[source] BundleError),
    /// A transaction that there must be is not in the bundle.
    #[error("the transaction that {0} is missing")]
    Missing(&'static str),
    /// The money is not what follows from the receipt.
    #[error("the bill is wrong")]
    Money(#[source] MoneyError),
}

/// What a bundle proves.
#[derive(Debug, Clone)]
pub(crate) struct Proven {
    /// The network, by its genesis' hash.
    pub(crate) genesis: Hash,
    /// The lease.
    pub(crate) lease: Lease,
    /// The order that it serves.
    pub(crate) order: Order,
    /// Its receipts.
    pub(crate) receipts: Vec<SignedReceipt>,
    /// Its audit, if a beacon drew one.
    pub(crate) audit: Option<Audit>,
    /// The dispute over it, if there was one.
    pub(crate) dispute: Option<Dispute>,
    /// Whether one validator alone drew and judged.
    pub(crate) is_alone: bool,
    /// What was checked, in order.
    pub(crate) checks: Vec<Check>,
}

/// One thing that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// Its name.
    pub(crate) name: &'static str,
    /// What was found.
    pub(crate) found: String,
}

/// Checks everything in a bundle.
///
/// # Errors
/// The first thing that does not hold, as [`Refuted`].
pub(crate) fn check(bundle: &Bundle) -> Result<Proven, Refuted> {
    let genesis = bundle.genesis.hash();
    let mut checks = Vec::new();
    let mut note = |name, found: String| checks.push(Check { name, found });

    bundle.header.verify(&bundle.genesis).map_err(Refuted::Header)?;
    let header = &bundle.header.header;
    let votes = bundle.header.certificate.votes.len();
    let of = bundle.genesis.validators.len();
    let signed = format!("block {} is signed by {votes} of {of} validators", header.height);
    note("header", format!("{signed} of {genesis}"));

    let rows = Rows::read(bundle)?;
    note("inclusion", format!("{} rows are in the state {}", rows.count(), header.state));
    let Rows { lease, order, receipts, audit, dispute } = rows;

    let class = classes::find(lease.class)
        .ok_or(Refuted::Contradiction("the lease is of a class that this program does not know"))?;
    agree(class, &lease, &order)?;
    note("lease", format!("it serves order {} within its terms", order.id));

    let billed = follow(class, &genesis, &lease, &order, &receipts)?;
    note(
        "receipts",
        match receipts.len() {
            0 => "none, and none is counted".to_owned(),
            count => format!("{count} signed by the node key {}", lease.node_key),
        },
    );

    let transactions = happened(bundle, &lease, &order, &receipts)?;
    note("transactions", format!("{transactions} signed by those they commit, in final blocks"));

    let parameters = parameters::shown_for(bundle, &lease.state)?;
    let split = money::check(&lease, billed, &parameters).map_err(Refuted::Money)?;
    note("money", split);

    let work = audit::check(&lease, receipts.last(), audit.as_ref(), dispute.as_ref())?;
    note("work", work);
    let is_alone = bundle.genesis.validators.len() == 1;
    Ok(Proven { genesis, lease, order, receipts, audit, dispute, is_alone, checks })
}

/// The rows of the state that a bundle shows.
struct Rows {
    lease: Lease,
    order: Order,
    receipts: Vec<SignedReceipt>,
    audit: Option<Audit>,
    dispute: Option<Dispute>,
}

impl Rows {
    fn read(bundle: &Bundle) -> Result<Self, Refuted> {
        let root = &bundle.header.header.state;
        let lease: Lease = shown(root, "lease", &Key::Lease(bundle.id), &bundle.lease)?;
        if lease.id != bundle.id {
            return Err(Refuted::Contradiction("the row of the lease is another lease's"));
        }
        let order: Order = shown(root, "order", &Key::Order(lease.order), &bundle.order)?;
        if usize::try_from(lease.receipts) != Ok(bundle.receipts.len()) {
            return Err(Refuted::Contradiction("the lease counts another number of receipts"));
        }
        let receipts = (1..=lease.receipts)
            .zip(&bundle.receipts)
            .map(|(sequence, row)| shown(root, "receipt", &Key::Receipt(lease.id, sequence), row))
            .collect::<Result<_, _>>()?;
        let audit = shown_if_there(root, "audit", &Key::Audit(lease.id), &bundle.audit)?;
        let dispute = shown_if_there(root, "dispute", &Key::Dispute(lease.id), &bundle.dispute)?;
        Ok(Self { lease, order, receipts, audit, dispute })
    }

    /// Returns how many rows there are.
    fn count(&self) -> usize {
        2 + self.receipts.len()
            + usize::from(self.audit.is_some())
            + usize::from(self.dispute.is_some())
    }
}

/// Returns what a row holds, once the proof shows that the state has it under `key`.
fn shown<T: Decode + Encode>(
    root: &Hash,
    name: &'static str,
    key: &Key,
    row: &Row,
) -> Result<T, Refuted> {
    let found = shown_if_there(root, name, key, row)?;
    let what = "the proof shows that it does not exist";
    found.ok_or(Refuted::Row { row: name, what })
}

/// Returns what a row holds, or nothing where the proof shows that the state does not have it.
fn shown_if_there<T: Decode + Encode>(
    root: &Hash,
    name: &'static str,
    key: &Key,
    row: &Row,
) -> Result<Option<T>, Refuted> {
    let wrong = |what| Refuted::Row { row: name, what };
    let bytes = row.parts().ok_or_else(|| wrong("it is not written in hexadecimal"))?;
    if bytes.key != key.to_bytes().as_slice() {
        return Err(wrong("it stands under another key"));
    }
    let found: Option<T> = light::row(root, key, &bytes.proof)
        .map_err(|source| Refuted::Shown { row: name, source })?;
    if bytes.value != found.as_ref().map(Encode::to_bytes) {
        return Err(wrong("the proof shows another value"));
    }
    Ok(found)
}

/// Checks that a lease is one that its order can have led to.
fn agree(class: &dyn Class, lease: &Lease, order: &Order) -> Result<(), Refuted> {
    let units_max = class.units_max(order.terms.spec.as_slice()).ok();
    let agreements = [
        (order.id == lease.order, "the row of the order is another order's"),
        (LeaseId::from(order.id) == lease.id, "the lease is not the one that the order leads to"),
        (order.tenant == lease.tenant, "lease and order have different tenants"),
        (order.terms.class == lease.class, "lease and order are of different classes"),
        (order.terms.audit == lease.audit, "lease and order have different audit terms"),
        (units_max == Some(lease.units_max), "the lease's most units are not the order's"),
        (lease.escrow <= order.terms.budget, "the escrow is above the order's budget"),
    ];
    all(&agreements)
}

/// Checks the receipts' signatures, their order, and that the lease counts what the last says;
/// returns the units of that, if there is one.
fn follow(
    class: &dyn Class,
    genesis: &Hash,
    lease: &Lease,
    order: &Order,
    receipts: &[SignedReceipt],
) -> Result<Option<Units>, Refuted> {
    let mut last_end = None;
    for (sequence, signed) in (1_u32..).zip(receipts) {
        let receipt = &signed.receipt;
        let agreements = [
            (signed.node_key == lease.node_key, "a receipt has another key than the lease"),
            (signed.verify(genesis).is_ok(), "a receipt's signature does not match"),
            (receipt.lease == lease.id, "a receipt is another lease's"),
            (receipt.sequence == sequence, "a receipt is out of its sequence"),
            (receipt.from <= receipt.to, "a receipt's range is turned around"),
            (last_end.is_none_or(|end| end == receipt.from), "a receipt's range does not follow"),
        ];
        all(&agreements)?;
        last_end = Some(receipt.to);
    }
    let Some(last) = receipts.last() else { return Ok(None) };
    let billed = class.units(order.terms.spec.as_slice(), last.receipt.usage.as_slice());
    let billed = billed.map_err(|_| Refuted::Contradiction("a receipt has no units"))?;
    // What was given back was not paid.
    let paid = if lease.check.is_refunded() { Units::ZERO } else { billed };
    if paid != lease.settlement.units {
        return Err(Refuted::Contradiction("the lease counts other units than its last receipt"));
    }
    Ok(Some(billed))
}

/// Checks that the parties asked for what the rows say, and returns how many transactions that
/// took.
fn happened(
    bundle: &Bundle,
    lease: &Lease,
    order: &Order,
    receipts: &[SignedReceipt],
) -> Result<usize, Refuted> {
    let verify = |included: &Included| included.verify(&bundle.genesis);
    let transactions: Vec<Verified> = bundle
        .transactions
        .iter()
        .map(verify)
        .collect::<Result<_, _>>()
        .map_err(Refuted::Transaction)?;
    let any = |wanted: &dyn Fn(&Verified) -> bool| transactions.iter().any(wanted);

    let placed = any(&|verified| {
        let transaction = verified.transaction();
        OrderId::from(verified.id()) == order.id
            && transaction.signer == order.tenant
            && matches!(&transaction.action, Action::PlaceOrder(terms) if **terms == order.terms)
    });
    if !placed {
        return Err(Refuted::Missing("placed the order"));
    }
    let by_provider = |verified: &Verified| {
        let signer = verified.transaction().signer;
        signer == lease.provider || *signer.key() == lease.node_key
    };
    let began = any(&|verified| {
        let action = &verified.transaction().action;
        by_provider(verified) && *action == Action::Start { lease: lease.id }
    });
    let must_have_begun = !receipts.is_empty()
        || matches!(
            lease.state,
            LeaseState::Active { .. } | LeaseState::Reclaiming { .. } | LeaseState::Closing { .. }
        );
    if must_have_begun && !began {
        return Err(Refuted::Missing("started the lease"));
    }
    for receipt in receipts {
        let handed_in = any(&|verified| {
            matches!(&verified.transaction().action,
                Action::SubmitReceipt(found) if **found == *receipt)
        });
        if !handed_in {
            return Err(Refuted::Missing("handed in a receipt"));
        }
    }
    Ok(transactions.len())
}

fn all(agreements: &[(bool, &'static str)]) -> Result<(), Refuted> {
    match agreements.iter().find(|(holds, _)| !holds) {
        Some((_, otherwise)) => Err(Refuted::Contradiction(otherwise)),
        None => Ok(()),
    }
}
