//! The API's server: a router made from the table of routes, one file for each resource.

mod account;
mod audit;
mod block;
mod bundle;
mod content;
mod events;
mod failure;
mod gate;
mod lease;
mod link;
mod listener;
mod market;
mod meta;
mod network;
mod rate;
mod relay;
mod request;
mod submit;
mod supply;

use std::{sync::Arc, time::Duration};

use api::{Operation, Problem, ROUTES, Route, limits::PATH_BYTES_MAX};
use axum::{
    Router,
    extract::{Request, State},
    http::header::HOST,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, get, on, post},
};
use tokio::sync::watch;

use crate::{
    config::Limits, content::ContentStore, faucet::Faucet, handle::NodeHandle, index::Index,
    metrics::Metrics,
};

pub(crate) use failure::Failure;
use gate::Gates;
pub(crate) use link::{Link, machine_names};
pub(crate) use listener::serve;
pub(crate) use relay::Relay;

/// The longest that a request may take, streams and content aside.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// What the routes share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) handle: NodeHandle,
    pub(crate) index: Index,
    pub(crate) content: ContentStore,
    pub(crate) relay: Relay,
    pub(crate) faucet: Option<Faucet>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rates: rate::Rates,
    pub(crate) gates: Gates,
    /// The names that the node goes by, besides its addresses.
    pub(crate) names: Vec<String>,
    /// Turns true when the node goes down.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// What an `App` is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) handle: NodeHandle,
    pub(crate) index: Index,
    pub(crate) content: ContentStore,
    pub(crate) relay: Relay,
    pub(crate) faucet: Option<Faucet>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    pub(crate) names: Vec<String>,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts { handle, index, content, relay, faucet, metrics, limits, names, stopping } =
            parts;
        Arc::new(Self {
            handle,
            index,
            content,
            relay,
            faucet,
            metrics,
            rates: rate::Rates::new(limits.requests_a_second),
            gates: Gates::new(&limits),
            names,
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
        Operation::Audits => get(audit::audits),
        Operation::Disputes => get(audit::disputes),
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
        .layer(middleware::from_fn_with_state(Arc::clone(app), guard))
        .with_state(Arc::clone(app))
}

/// What stands before everything, also before paths that do not exist.
async fn guard(State(app): Shared, request: Request, next: Next) -> Response {
    match admit(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(failure) => {
            let response = failure.into_response();
            app.metrics.count_request("*", response.status().as_u16());
            response
        }
    }
}

fn admit(app: &App, request: &Request) -> Result<(), Failure> {
    let link = request.extensions().get::<Link>();
    let link = link.expect("the listener puts the link into every request");
    if !app.rates.allows(link.peer) {
        return Err(Failure::new(Problem::TooMany, "too many requests from this address"));
    }
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    if path.len() > PATH_BYTES_MAX {
        let message = format!("the path is longer than {PATH_BYTES_MAX} bytes");
        return Err(Failure::new(Problem::TooLarge, message));
    }
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if link.is_named(host, &app.names) {
        Ok(())
    } else {
        Err(Failure::new(Problem::Misdirected, "this node does not go by the name of the request"))
    }
}

/// What happens around every route: time and counting.
async fn watch(
    State((app, route)): State<(Arc<App>, &'static Route)>,
    request: Request,
    next: Next,
) -> Response {
    let response = if matches!(route.operation, Operation::StoreContent) {
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
