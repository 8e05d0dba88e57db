//! The API's server: a router made from the table of routes, one file for each resource.

mod account;
mod block;
mod bundle;
mod content;
mod events;
mod failure;
mod lease;
mod listener;
mod market;
mod meta;
mod network;
mod rate;
mod request;
mod submit;
mod supply;

use std::{sync::Arc, time::Duration};

use api::{Operation, Problem, ROUTES, Route};
use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, get, on, post},
};
use tokio::sync::{Semaphore, watch};

use crate::{
    config::Limits, content::ContentStore, faucet::Faucet, handle::NodeHandle, index::Index,
    metrics::Metrics,
};

pub(crate) use failure::Failure;
pub(crate) use listener::{Peer, serve};

/// The longest that a request may take, streams and content aside.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// What the routes share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) handle: NodeHandle,
    pub(crate) index: Index,
    pub(crate) content: ContentStore,
    pub(crate) faucet: Option<Faucet>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) rates: rate::Rates,
    /// Bodies of submissions that are held in memory at a time.
    pub(crate) submissions: Semaphore,
    pub(crate) uploads: Semaphore,
    pub(crate) event_streams: Arc<Semaphore>,
    /// Turns true when the node goes down.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// What an `App` is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) handle: NodeHandle,
    pub(crate) index: Index,
    pub(crate) content: ContentStore,
    pub(crate) faucet: Option<Faucet>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        const SUBMISSIONS_MAX: usize = 64;
        let Parts { handle, index, content, faucet, metrics, limits, stopping } = parts;
        Arc::new(Self {
            handle,
            index,
            content,
            faucet,
            metrics,
            limits,
            rates: rate::Rates::new(limits.requests_a_second),
            submissions: Semaphore::new(SUBMISSIONS_MAX),
            uploads: Semaphore::new(limits.uploads),
            event_streams: Arc::new(Semaphore::new(limits.event_streams)),
            stopping,
        })
    }
}

/// Waits until the node goes down.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // A sender that is gone stops nobody any more, which is as good as having stopped.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// What a handler has at hand.
pub(crate) type Shared = State<Arc<App>>;

/// Answers an operation. The compiler sees to it that each has an answer.
fn handler(operation: Operation) -> MethodRouter<Arc<App>> {
    match operation {
        Operation::Network => get(network::status),
        Operation::Genesis => get(network::genesis),
        Operation::Parameters => get(network::parameters),
        Operation::Submit => post(submit::submit),
        Operation::Transaction => get(block::transaction),
        Operation::Blocks => get(block::list),
        Operation::Block => get(block::show),
        Operation::Account => get(account::show),
        Operation::AccountHistory => get(account::history),
        Operation::Providers => get(account::providers),
        Operation::Provider => get(account::provider),
        Operation::Offers => get(market::offers),
        Operation::Offer => get(market::offer),
        Operation::Quote => post(market::quote),
        Operation::Orders => get(market::orders),
        Operation::Order => get(market::order),
        Operation::Leases => get(lease::list),
        Operation::Lease => get(lease::show),
        Operation::LeaseBundle => get(bundle::show),
        Operation::Receipt => get(lease::receipt),
        Operation::Supply => get(supply::now),
        Operation::SupplyHistory => get(supply::history),
        Operation::Proof => get(network::proof),
        Operation::StoreContent => post(content::store),
        Operation::Content => get(content::fetch),
        Operation::ContentHead => on(MethodFilter::HEAD, content::fetch),
        Operation::Faucet => post(network::faucet),
        Operation::Events => get(events::stream),
        Operation::OpenApi => get(meta::openapi),
        Operation::Health => get(meta::health),
        Operation::Metrics => get(meta::metrics),
        Operation::Page => get(meta::page),
    }
}

/// Returns the router of all routes of the table, and nothing else.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let watch = middleware::from_fn_with_state((Arc::clone(app), route), watch);
        router = router.route(route.path, handler(route.operation).layer(watch));
    }
    router
        .fallback(|| async { Failure::new(Problem::RouteUnknown, "there is no such path") })
        .method_not_allowed_fallback(|| async {
            Failure::new(Problem::MethodUnknown, "the path has no such method")
        })
        .with_state(Arc::clone(app))
}

/// What happens around every route: rate, time, counting, and headers.
async fn watch(
    State((app, route)): State<(Arc<App>, &'static Route)>,
    request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let response = if peer.is_some_and(|peer| !app.rates.allows(peer.0.ip())) {
        Failure::new(Problem::TooMany, "too many requests from this address").into_response()
    } else if matches!(route.operation, Operation::StoreContent) {
        next.run(request).await
    } else {
        match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Failure::new(Problem::Slow, "the request took too long").into_response(),
        }
    };
    app.metrics.count_request(route.path, response.status().as_u16());
    response
}
