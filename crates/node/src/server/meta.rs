//! What is about the node itself: description, health, figures, page.

use std::sync::{Arc, OnceLock};

use api::Problem;
use axum::{
    extract::State,
    http::header,
    response::{Html, IntoResponse, Response},
};
use bytes::Bytes;
use types::Tally;

use super::{App, Failure, Shared, block::settled, request::Parameters, supply};
use crate::{
    index::LeaseSide,
    metrics::Readings,
    page::{self, View},
};

/// Rows of each table of the page.
const PAGE_ROWS: usize = 10;

pub(super) async fn openapi(parameters: Parameters) -> Result<Response, Failure> {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    parameters.finish()?;
    let document = DOCUMENT.get_or_init(|| api::openapi().to_string().into());
    Ok(([(header::CONTENT_TYPE, "application/json")], document.clone()).into_response())
}

pub(super) async fn health(State(app): Shared, parameters: Parameters) -> Result<String, Failure> {
    parameters.finish()?;
    if let Some(reason) = app.handle.fault() {
        return Err(Failure::new(Problem::Stopped, reason.to_string()));
    }
    settled(&app).await?;
    Ok(format!("ok {}\n", app.handle.read().header.height))
}

pub(super) async fn metrics(
    State(app): Shared,
    parameters: Parameters,
) -> Result<Response, Failure> {
    parameters.finish()?;
    let text = app.metrics.render(&readings(&app));
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

fn readings(app: &Arc<App>) -> Readings {
    let state = app.handle.read();
    let network = state.ledger.network();
    let figures = |tally: &Tally| {
        let name = classes::find(tally.class)?.name();
        let Tally { supply, income, .. } = tally;
        let units = [supply.claimed, supply.verified, supply.earning].map(types::Units::get);
        let [claimed, verified, earning] = units;
        Some((name, [claimed, verified, earning, income.revenue.get(), income.burn.get()]))
    };
    Readings {
        height: network.height,
        index_height: app.index.height(),
        epoch: network.epoch,
        queued: app.handle.queued(),
        connections: app.gates.connections.taken(),
        event_streams: app.gates.event_streams.taken(),
        faulty: app.handle.fault().is_some(),
        classes: state.ledger.tallies().iter().filter_map(figures).collect(),
    }
}

pub(super) async fn page(State(app): Shared, parameters: Parameters) -> Result<Response, Failure> {
    parameters.finish()?;
    let state = app.handle.read();
    // The page shows the history as far as it is: it is better a moment old than not there.
    let (blocks, leases) = app
        .index
        .read(|reader| {
            let open = Some(api::LeaseFilter::Open);
            let leases = reader.leases(LeaseSide::All, open, None, PAGE_ROWS)?;
            Ok((reader.headers(None, PAGE_ROWS)?, leases))
        })
        .await?;
    let view = View {
        network: app.handle.genesis().network.as_str(),
        height: state.header.height,
        supply: supply::view(&state.ledger),
        blocks,
        leases,
        providers: state.ledger.providers(None, PAGE_ROWS),
    };
    let nonce = page::nonce()
        .ok_or_else(|| Failure::new(Problem::Fault, "the system gives no randomness"))?;
    let headers = [
        (header::CONTENT_SECURITY_POLICY, page::policy(&nonce)),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Html(page::render(&view, &nonce))).into_response())
}
