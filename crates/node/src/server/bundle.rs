//! What proves a lease's bill.

use api::{Bundle, Included, ProofView, Row};
use axum::{Json, extract::State};
use types::{
    Decode, Encode, Lease, LeaseId, LeaseState, OrderId, SignedHeader,
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
                Some((state.header, rows))
            }
            None => reader.archived(id)?,
        };
        let Some((header, rows)) = rows else { return Ok(None) };
        let LeaseRows { lease, order: order_row, receipts, audit, dispute } = rows;
        Ok(Some(Bundle {
            genesis,
            id,
            header,
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
        let (signed, header) = (reader.transaction(place)?, reader.header(place.height)?);
        let Some((signed, header)) = signed.zip(header) else { continue };
        included.push(include(reader, place, &signed.to_bytes(), header)?);
    }
    Ok(included)
}

fn include(
    reader: &Reader<'_>,
    place: Place,
    transaction: &[u8],
    header: SignedHeader,
) -> Result<Included, IndexError> {
    let block = reader.summaries(place.height)?;
    let block = block.into_iter().map(|summary| summary.id).collect();
    Ok(Included { transaction: to_hex(transaction), header, block })
}
