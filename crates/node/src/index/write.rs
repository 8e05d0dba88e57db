//! Writing a block into the history.

use api::Row;
use ledger::{Key, Ledger};
use rusqlite::Transaction;
use types::{
    Action, Certificate, Encode, Event, Header, LeaseId, Order, OrderId, SignedTransaction,
    TransactionId,
};

use super::{
    IndexError,
    concern::{kind, leases, parties},
};
use crate::replica::Executed;

/// A block with what came of it, as the history needs it.
pub(crate) struct Entry<'a> {
    pub(crate) header: &'a Header,
    /// The signatures of this very block, if they are there.
    pub(crate) certificate: Option<&'a Certificate>,
    pub(crate) executed: &'a Executed,
    /// The state before the block.
    pub(crate) before: &'a Ledger,
    /// The state after the block.
    pub(crate) after: &'a Ledger,
}

/// The rows of a lease with their proofs, kept when it leaves the state.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct LeaseRows {
    pub(crate) lease: Row,
    pub(crate) order: Row,
    pub(crate) receipts: Vec<Row>,
    pub(crate) audit: Row,
    pub(crate) dispute: Row,
}

/// Proves a lease's rows in a state.
pub(crate) fn lease_rows(
    ledger: &Ledger,
    lease: LeaseId,
    order: OrderId,
    receipts: u32,
) -> LeaseRows {
    let row = |key: Key| row(ledger, key);
    LeaseRows {
        lease: row(Key::Lease(lease)),
        order: row(Key::Order(order)),
        receipts: (1..=receipts).map(|sequence| row(Key::Receipt(lease, sequence))).collect(),
        audit: row(Key::Audit(lease)),
        dispute: row(Key::Dispute(lease)),
    }
}

fn row(ledger: &Ledger, key: Key) -> Row {
    let proved = ledger.prove(&key);
    Row::new(key.to_bytes().as_slice(), proved.value.as_deref(), &proved.proof)
}

/// Writes a block.
pub(crate) fn block(store: &Transaction<'_>, entry: &Entry<'_>) -> Result<(), IndexError> {
    let Entry { header, executed, .. } = entry;
    let height = header.height;
    store.prepare_cached("INSERT INTO blocks VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
        height,
        header.to_bytes(),
        entry.certificate.map(Encode::to_bytes),
        header.time.as_ms(),
        executed.ids.len(),
    ))?;
    // Events first: they make the record of a lease that a transaction of this block started.
    for (position, event) in executed.events.iter().enumerate() {
        self::event(store, (height, position), event, entry)?;
    }
    if executed.events.iter().any(|event| matches!(event, Event::LeaseClosed { .. })) {
        parameters(store, entry)?;
    }
    let transactions = executed.transactions.iter().zip(&executed.ids);
    for (position, (signed, id)) in transactions.enumerate() {
        transaction(store, (height, position), signed, *id, header)?;
    }
    store
        .prepare_cached("UPDATE meta SET height = ?1, hash = ?2")?
        .execute((height, header.hash().as_bytes()))?;
    Ok(())
}

/// Keeps the parameters with which the block settled leases. A lease that it settled before it
/// changed them was settled with those of the block before.
fn parameters(store: &Transaction<'_>, entry: &Entry<'_>) -> Result<(), IndexError> {
    let height = entry.header.height;
    let shown = |ledger: &Ledger, height: u64| (height, row(ledger, Key::Parameters));
    let mut all = vec![shown(entry.after, height)];
    if entry.before.parameters() != entry.after.parameters() {
        all.push(shown(entry.before, height - 1));
    }
    let all = serde_json::to_string(&all).expect("rows are text");
    store
        .prepare_cached("INSERT INTO parameters VALUES (?1, ?2)")?
        .execute((entry.header.time.as_ms(), all))?;
    Ok(())
}

fn transaction(
    store: &Transaction<'_>,
    (height, position): (u64, usize),
    signed: &SignedTransaction,
    id: TransactionId,
    header: &Header,
) -> Result<(), IndexError> {
    let transaction = &signed.transaction;
    store.prepare_cached("INSERT INTO transactions VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute((
        height,
        position,
        id.as_bytes(),
        transaction.signer.as_bytes(),
        transaction.action.name(),
        signed.to_bytes(),
    ))?;
    match &transaction.action {
        Action::PlaceOrder(terms) => {
            let (id, tenant) = (OrderId::from(id), transaction.signer);
            let order = Order { id, tenant, placed: header.time, terms: (**terms).clone() };
            let insert = "INSERT INTO orders (id, tenant, record, height, position)
                VALUES (?1, ?2, ?3, ?4, ?5)";
            let (id, tenant) = (id.as_bytes(), tenant.as_bytes());
            store.prepare_cached(insert)?.execute((
                id,
                tenant,
                order.to_bytes(),
                height,
                position,
            ))?;
        }
        Action::SubmitReceipt(signed) => {
            let (lease, sequence) = (signed.receipt.lease, signed.receipt.sequence);
            store.prepare_cached("INSERT INTO receipts VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
                lease.as_bytes(),
                sequence,
                signed.to_bytes(),
                height,
                position,
            ))?;
        }
        // A lease starts once at most, so the transaction that did stands here.
        Action::Start { lease } => {
            let update = "UPDATE leases SET start_height = ?2, start_position = ?3 WHERE id = ?1";
            store.prepare_cached(update)?.execute((lease.as_bytes(), height, position))?;
        }
        _ => {}
    }
    Ok(())
}

fn event(
    store: &Transaction<'_>,
    (height, position): (u64, usize),
    event: &Event,
    entry: &Entry<'_>,
) -> Result<(), IndexError> {
    store.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4)")?.execute((
        height,
        position,
        kind(event),
        event.to_bytes(),
    ))?;
    for account in parties(event) {
        store.prepare_cached("INSERT INTO event_accounts VALUES (?1, ?2, ?3)")?.execute((
            account.as_bytes(),
            height,
            position,
        ))?;
    }
    if let Some(lease) = leases(event) {
        store.prepare_cached("INSERT INTO event_leases VALUES (?1, ?2, ?3)")?.execute((
            lease.as_bytes(),
            height,
            position,
        ))?;
        lease_changed(store, lease, event, entry)?;
    }
    if let Event::EpochClosed { tally } = event {
        store.prepare_cached("INSERT INTO tallies VALUES (?1, ?2, ?3)")?.execute((
            tally.class.0,
            tally.epoch,
            tally.to_bytes(),
        ))?;
    }
    Ok(())
}

/// Keeps the lease's record as it is after the block, or as it was before it left the state.
fn lease_changed(
    store: &Transaction<'_>,
    id: LeaseId,
    event: &Event,
    entry: &Entry<'_>,
) -> Result<(), IndexError> {
    let before = entry.before;
    if matches!(event, Event::LeaseArchived { .. }) {
        if let Some(lease) = before.lease(&id) {
            let rows = lease_rows(before, id, lease.order, lease.receipts);
            let rows = serde_json::to_string(&rows).expect("rows are text");
            store
                .prepare_cached("INSERT OR REPLACE INTO archive VALUES (?1, ?2, ?3)")?
                .execute((id.as_bytes(), before.network().height, rows))?;
        }
        return Ok(());
    }
    let Some(lease) = entry.after.lease(&id).or_else(|| before.lease(&id)) else { return Ok(()) };
    let upsert = "INSERT INTO leases (id, tenant, provider, state, record)
        VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (id) DO UPDATE SET state = excluded.state, record = excluded.record";
    store.prepare_cached(upsert)?.execute((
        id.as_bytes(),
        lease.tenant.as_bytes(),
        lease.provider.as_bytes(),
        lease.state.name(),
        lease.to_bytes(),
    ))?;
    let audit = entry.after.audit(&id).map(|audit| audit.to_bytes());
    let dispute = entry.after.dispute(&id).map(|dispute| dispute.to_bytes());
    for (table, record) in [("audits", audit), ("disputes", dispute)] {
        let Some(record) = record else { continue };
        let upsert = format!(
            "INSERT INTO {table} (lease, record) VALUES (?1, ?2)
            ON CONFLICT (lease) DO UPDATE SET record = excluded.record"
        );
        store.prepare_cached(&upsert)?.execute((id.as_bytes(), record))?;
    }
    Ok(())
}
