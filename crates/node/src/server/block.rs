//! Blocks and transactions, from the history.

use api::{BlockRecord, BlockSummary, Page, TransactionRecord};
use axum::{Json, extract::State};
use types::TransactionId;

use super::{App, Failure, Shared, request::Parameters};
use crate::index::IndexError;

/// Waits until the history holds all that was committed before the request.
pub(super) async fn settled(app: &App) -> Result<(), Failure> {
    Ok(app.index.wait_for(app.handle.read().header.height).await?)
}

pub(super) async fn list(
    State(app): Shared,
    mut parameters: Parameters,
) -> Result<Json<Page<BlockSummary>>, Failure> {
    let (before, limit) = (parameters.query("before")?, parameters.limit()?);
    parameters.finish()?;
    settled(&app).await?;
    let headers = app.index.read(move |reader| reader.headers(before, limit)).await?;
    let summary = |(header, transactions): (types::Header, u32)| BlockSummary {
        hash: header.hash(),
        header,
        transactions,
    };
    let items: Vec<_> = headers.into_iter().map(summary).collect();
    Ok(Json(Page::new(items, limit, |block| block.header.height.to_string())))
}

pub(super) async fn show(
    State(app): Shared,
    parameters: Parameters,
) -> Result<Json<BlockRecord>, Failure> {
    let height = parameters.path("height")?;
    parameters.finish()?;
    settled(&app).await?;
    let block = app.index.read(move |reader| {
        if reader.header(height)?.is_none() {
            return Ok(None);
        }
        let (header, transactions) = (reader.certified(height)?, reader.summaries(height)?);
        Ok(Some(BlockRecord { hash: header.header.hash(), header, transactions }))
    });
    block.await?.map(Json).ok_or_else(|| Failure::unknown("block"))
}

pub(super) async fn transaction(
    State(app): Shared,
    parameters: Parameters,
) -> Result<Json<TransactionRecord>, Failure> {
    let id: TransactionId = parameters.path("id")?;
    parameters.finish()?;
    settled(&app).await?;
    let record = app.index.read(move |reader| {
        let Some(place) = reader.place(id)? else { return Ok(None) };
        let (signed, header) = (reader.transaction(place)?, reader.header(place.height)?);
        let Some((signed, header)) = signed.zip(header) else { return Ok(None) };
        let mut events = reader.events_of_block(place.height)?;
        events.retain(|record| crate::index::is_about(&signed, &record.event));
        Ok::<_, IndexError>(Some(TransactionRecord {
            id,
            height: place.height,
            position: place.position,
            time: header.time,
            transaction: signed.transaction,
            signature: signed.signature,
            events,
        }))
    });
    record.await?.map(Json).ok_or_else(|| Failure::unknown("transaction"))
}
