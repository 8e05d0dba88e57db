//! Audits and disputes: those under way from the state, those that were from the history.

use api::{LeaseView, Page};
use axum::{Json, extract::State};
use types::{Address, LeaseId};

use super::{
    Failure, Shared,
    block::settled,
    lease::{from_state, listed},
    request::Parameters,
};
use crate::index::{IndexError, Reader};

pub(super) async fn audits(
    State(app): Shared,
    mut parameters: Parameters,
) -> Result<Json<Page<LeaseView>>, Failure> {
    let auditor = parameters.query::<Address>("auditor")?;
    let (after, limit) = (parameters.query::<LeaseId>("after")?, parameters.limit()?);
    parameters.finish()?;
    let items = match auditor {
        // What an auditor acts on comes from the state itself.
        Some(auditor) => {
            let state = app.handle.read();
            let leases = state.ledger.audits_of(&auditor, after.as_ref(), limit);
            let leases = leases.iter().filter_map(|lease| state.ledger.lease(lease));
            leases.filter_map(|lease| from_state(&state.ledger, lease)).collect()
        }
        None => {
            settled(&app).await?;
            listed(&app, move |reader| records(reader, reader.audited(after, limit)?)).await?
        }
    };
    Ok(Json(Page::new(items, limit, |view: &LeaseView| view.lease.id.to_string())))
}

pub(super) async fn disputes(
    State(app): Shared,
    mut parameters: Parameters,
) -> Result<Json<Page<LeaseView>>, Failure> {
    let open = parameters.query::<bool>("open")?.unwrap_or(false);
    let (after, limit) = (parameters.query::<LeaseId>("after")?, parameters.limit()?);
    parameters.finish()?;
    let items = if open {
        let state = app.handle.read();
        let leases = state.ledger.open_disputes(after.as_ref(), limit);
        let leases = leases.iter().filter_map(|lease| state.ledger.lease(lease));
        leases.filter_map(|lease| from_state(&state.ledger, lease)).collect()
    } else {
        settled(&app).await?;
        listed(&app, move |reader| records(reader, reader.disputed(after, limit)?)).await?
    };
    Ok(Json(Page::new(items, limit, |view: &LeaseView| view.lease.id.to_string())))
}

/// Returns the records of leases, in the same order.
fn records(reader: &Reader<'_>, ids: Vec<LeaseId>) -> Result<Vec<types::Lease>, IndexError> {
    let mut leases = Vec::with_capacity(ids.len());
    for id in ids {
        leases.extend(reader.lease(id)?.map(|indexed| indexed.lease));
    }
    Ok(leases)
}
