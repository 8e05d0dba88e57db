//! What proves a lease's bill.

use api::{Bundle, Included, ProofView, Row};
use axum::{Json, extract::State};
use types::{
    Decode, Encode, Lease, LeaseId, LeaseState, OrderId,
    body::Path,
    text::{from_hex, to_hex},
};

use super::{Failure, Shared, block::settled, request::Parameters};
use crate::index::{IndexError, LeaseRows, Place, Reader, lease_rows};

pub(super) async fn show(
    State(app): Shared,
    parameters: Parameters,
) -> Result<Json<Bundle>, Failure> {
    let id: LeaseId = parameters.path("lease")?;
    parameters.finish()?;
    let state = app.handle.read();
    settled(&app).await?;
    let genesis = app.handle.genesis().clone();
    let bundle = app.index.read(move |reader| {
        let Some(order) = order_of(reader, id)? else { return Ok(None) };
        let rows = match state.ledger.lease(&id) {
            Some(lease) => {
                let rows = lease_rows(&state.ledger, id, lease.order, lease.receipts);
                Some((state.header.height, rows))
            }
            None => reader.archived(id)?,
        };
        let Some((height, rows)) = rows else { return Ok(None) };
        let LeaseRows { lease, order: order_row, receipts, audit, dispute } = rows;
        Ok(Some(Bundle {
            genesis,
            id,
            header: reader.certified(height)?,
            transactions: transactions(reader, id, order)?,
            parameters: parameters_of(reader, &lease)?,
            lease,
            order: order_row,
            receipts,
            audit,
            dispute,
        }))
    });
    bundle.await?.map(Json).ok_or_else(|| Failure::unknown("lease"))
}

fn order_of(reader: &Reader<'_>, id: LeaseId) -> Result<Option<OrderId>, IndexError> {
    Ok(reader.lease(id)?.map(|indexed| indexed.lease.order))
}

/// Returns the parameters with which the lease of this row was settled, if it was.
fn parameters_of(reader: &Reader<'_>, lease: &Row) -> Result<Vec<ProofView>, IndexError> {
    let row = lease.value.as_deref().and_then(from_hex).unwrap_or_default();
    match Lease::from_bytes(&row)?.state {
        LeaseState::Closed { at, .. } => reader.parameters_at(at),
        _ => Ok(Vec::new()),
    }
}

/// Returns the transactions that placed the order, started the lease and handed in receipts.
fn transactions(
    reader: &Reader<'_>,
    lease: LeaseId,
    order: OrderId,
) -> Result<Vec<Included>, IndexError> {
    let placed = reader.order(order)?.map(|(_, place)| place);
    let started = reader.lease(lease)?.and_then(|indexed| indexed.start);
    let handed_in = reader.receipts(lease)?.into_iter().map(|(_, place)| place);
    let places: Vec<Place> = placed.into_iter().chain(started).chain(handed_in).collect();
    let mut included = Vec::new();
    for place in places {
        let Some(signed) = reader.transaction(place)? else { continue };
        let path = Path::of(&reader.leaves(place.height)?, place.position);
        let Some(path) = path else { continue };
        let (transaction, header) = (to_hex(&signed.to_bytes()), reader.certified(place.height)?);
        included.push(Included { transaction, header, path });
    }
    Ok(included)
}
