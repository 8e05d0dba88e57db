//! Leases and receipts: from the state while they are in it, then from the history.

use api::{LeaseFilter, LeaseView, Page};
use axum::{Json, extract::State};
use ledger::Ledger;
use types::{Address, Lease, LeaseId, SignedReceipt};

use super::{App, Failure, Shared, block::settled, request::Parameters};
use crate::index::{IndexError, LeaseSide, Reader};

/// Returns a lease from the state.
pub(super) fn from_state(ledger: &Ledger, lease: Lease) -> Option<LeaseView> {
    let order = ledger.order(&lease.order)?;
    let receipts = ledger.receipts(&lease.id);
    let (audit, dispute) = (ledger.audit(&lease.id), ledger.dispute(&lease.id));
    Some(LeaseView { lease, order, receipts, audit, dispute, archived: false })
}

/// Returns a lease from the history.
fn from_index(reader: &Reader<'_>, lease: Lease) -> Result<Option<LeaseView>, IndexError> {
    let Some((order, _)) = reader.order(lease.order)? else { return Ok(None) };
    let receipts = reader.receipts(lease.id)?;
    let receipts = receipts.into_iter().map(|(receipt, _)| receipt).collect();
    let (audit, dispute) = (reader.audit(lease.id)?, reader.dispute(lease.id)?);
    Ok(Some(LeaseView { lease, order, receipts, audit, dispute, archived: true }))
}

/// Returns a lease, wherever it is.
pub(super) async fn find(app: &App, id: LeaseId) -> Result<Option<LeaseView>, Failure> {
    let state = app.handle.read();
    if let Some(lease) = state.ledger.lease(&id) {
        return Ok(from_state(&state.ledger, lease));
    }
    settled(app).await?;
    let found = app.index.read(move |reader| match reader.lease(id)? {
        Some(indexed) => from_index(reader, indexed.lease),
        None => Ok(None),
    });
    Ok(found.await?)
}

pub(super) async fn show(
    State(app): Shared,
    parameters: Parameters,
) -> Result<Json<LeaseView>, Failure> {
    let id = parameters.path("lease")?;
    parameters.finish()?;
    find(&app, id).await?.map(Json).ok_or_else(|| Failure::unknown("lease"))
}

pub(super) async fn receipt(
    State(app): Shared,
    parameters: Parameters,
) -> Result<Json<SignedReceipt>, Failure> {
    let id = parameters.path("lease")?;
    let sequence: u32 = parameters.path("sequence")?;
    parameters.finish()?;
    let lease = find(&app, id).await?.ok_or_else(|| Failure::unknown("lease"))?;
    let receipt = lease.receipts.into_iter().find(|signed| signed.receipt.sequence == sequence);
    receipt.map(Json).ok_or_else(|| Failure::unknown("receipt"))
}

pub(super) async fn list(
    State(app): Shared,
    mut parameters: Parameters,
) -> Result<Json<Page<LeaseView>>, Failure> {
    let tenant = parameters.query::<Address>("tenant")?;
    let provider = parameters.query::<Address>("provider")?;
    let filter = match parameters.query::<String>("state")? {
        Some(text) => Some(filter(&text)?),
        None => None,
    };
    let after = parameters.query::<LeaseId>("after")?;
    let limit = parameters.limit()?;
    parameters.finish()?;
    let side = match (tenant, provider) {
        (None, None) => LeaseSide::All,
        (Some(tenant), None) => LeaseSide::Tenant(tenant),
        (None, Some(provider)) => LeaseSide::Provider(provider),
        (Some(_), Some(_)) => {
            return Err(Failure::malformed("give a tenant or a provider, not both"));
        }
    };
    let items = match (side, filter) {
        // What an agent acts on comes from the state itself.
        (LeaseSide::Provider(provider), Some(LeaseFilter::Open)) => {
            let state = app.handle.read();
            let leases = state.ledger.leases_of_provider(&provider, after.as_ref(), limit);
            leases.into_iter().filter_map(|lease| from_state(&state.ledger, lease)).collect()
        }
        _ => from_history(&app, side, filter, after, limit).await?,
    };
    Ok(Json(Page::new(items, limit, |view: &LeaseView| view.lease.id.to_string())))
}

fn filter(text: &str) -> Result<LeaseFilter, Failure> {
    use LeaseFilter::{Active, Closed, Closing, Open, Pending, Reclaiming};
    let filters = [Open, Pending, Active, Reclaiming, Closing, Closed];
    let found = filters.into_iter().find(|filter| filter.name() == text);
    found.ok_or_else(|| {
        Failure::malformed("state: open, pending, active, reclaiming, closing or closed")
    })
}

async fn from_history(
    app: &App,
    side: LeaseSide,
    filter: Option<LeaseFilter>,
    after: Option<LeaseId>,
    limit: usize,
) -> Result<Vec<LeaseView>, Failure> {
    settled(app).await?;
    listed(app, move |reader| reader.leases(side, filter, after, limit)).await
}

/// Returns leases that the history lists, each as it is now.
pub(super) async fn listed(
    app: &App,
    list: impl FnOnce(&Reader<'_>) -> Result<Vec<Lease>, IndexError> + Send + 'static,
) -> Result<Vec<LeaseView>, Failure> {
    let state = app.handle.read();
    let listed = app.index.read(move |reader| {
        let mut views = Vec::new();
        for lease in list(reader)? {
            // The state knows better than the history how a lease is now.
            let in_state = state.ledger.lease(&lease.id);
            let view = match in_state.and_then(|lease| from_state(&state.ledger, lease)) {
                Some(view) => Some(view),
                None => from_index(reader, lease)?,
            };
            views.extend(view);
        }
        Ok(views)
    });
    Ok(listed.await?)
}
