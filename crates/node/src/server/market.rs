//! Offers, quotes and orders.

use api::{Exclusion, OfferView, OrderView, Page, Quote, QuotedOffer, limits::REQUEST_BYTES_MAX};
use axum::{Extension, Json, body::Body, extract::State, http::HeaderMap};
use ledger::Ledger;
use types::{Address, ClassId, LeaseId, Offer, OfferId, Order, OrderId, OrderTerms};

use super::{
    Failure, Link, Shared,
    block::settled,
    request::{Parameters, read_json},
};

fn offer_view(ledger: &Ledger, offer: Offer) -> OfferView {
    OfferView { leased: ledger.leased(&offer.id), offer }
}

pub(super) async fn offers(
    State(app): Shared,
    mut parameters: Parameters,
) -> Result<Json<Page<OfferView>>, Failure> {
    let class = parameters.query::<u16>("class")?.map(ClassId);
    let provider = parameters.query::<Address>("provider")?;
    let after = parameters.query::<OfferId>("after")?;
    let limit = parameters.limit()?;
    parameters.finish()?;
    let state = app.handle.read();
    let ledger = &state.ledger;
    let offers = match provider {
        Some(provider) => {
            let mut offers = ledger.offers_of(&provider);
            offers.retain(|offer| class.is_none_or(|class| offer.terms.class == class));
            let passed = |offer: &Offer| after.is_some_and(|after| offer.id <= after);
            offers.sort_by_key(|offer| offer.id);
            offers.into_iter().skip_while(passed).take(limit).collect()
        }
        None => ledger.offers(class.unwrap_or(ClassId(1)), after.as_ref(), limit),
    };
    let items = offers.into_iter().map(|offer| offer_view(ledger, offer)).collect();
    Ok(Json(Page::new(items, limit, |view: &OfferView| view.offer.id.to_string())))
}

pub(super) async fn offer(
    State(app): Shared,
    parameters: Parameters,
) -> Result<Json<OfferView>, Failure> {
    let id: OfferId = parameters.path("id")?;
    parameters.finish()?;
    let state = app.handle.read();
    let offer = state.ledger.offer(&id).ok_or_else(|| Failure::unknown("standing offer"))?;
    Ok(Json(offer_view(&state.ledger, offer)))
}

pub(super) async fn quote(
    State(app): Shared,
    Extension(link): Extension<Link>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Quote>, Failure> {
    let terms: OrderTerms = read_json(&headers, body, REQUEST_BYTES_MAX).await?;
    let place = app.gates.quotes.enter(link.peer).await;
    let state = app.handle.read();
    // It may look at every offer there is, which is no work for a task. It goes on when nobody
    // waits for it any more, and keeps its place until it is done.
    let quoted = tokio::task::spawn_blocking(move || {
        let quoted = state.ledger.quote(&terms);
        drop(place);
        quoted
    });
    let quoted = quoted.await.map_err(|_| crate::handle::Stopped)?;
    let quote = quoted.map_err(Failure::refused)?;
    let offers = quote.offers.into_iter().map(|quoted| QuotedOffer {
        offer: quoted.offer,
        provider: quoted.provider,
        rate: quoted.rate,
        price: quoted.price,
        premium: quoted.premium,
    });
    let excluded = quote
        .excluded
        .into_iter()
        .map(|exclusion| Exclusion { reason: exclusion.reason, offers: exclusion.offers });
    Ok(Json(Quote {
        offers: offers.collect(),
        excluded: excluded.collect(),
        examined: quote.examined,
    }))
}

/// Returns an order with what became of it; `leased` says whether a lease of it is known.
fn order_view(ledger: &Ledger, order: Order, leased: bool) -> OrderView {
    let lease = LeaseId::from(order.id);
    let open = ledger.is_open(&order.id);
    let known = !open && (leased || ledger.lease(&lease).is_some());
    OrderView { order, open, lease: known.then_some(lease) }
}

pub(super) async fn orders(
    State(app): Shared,
    mut parameters: Parameters,
) -> Result<Json<Page<OrderView>>, Failure> {
    let tenant: Address = parameters
        .query("tenant")?
        .ok_or_else(|| Failure::malformed("tenant: say whose orders"))?;
    let after = parameters.query::<OrderId>("after")?;
    let limit = parameters.limit()?;
    parameters.finish()?;
    settled(&app).await?;
    let orders = app.index.read(move |reader| {
        let orders = reader.orders(tenant, after, limit)?;
        let leased = |order: Order| {
            let leased = reader.lease(order.id.into())?.is_some();
            Ok((order, leased))
        };
        orders.into_iter().map(leased).collect::<Result<Vec<_>, _>>()
    });
    let orders = orders.await?;
    let state = app.handle.read();
    let items = orders.into_iter().map(|(order, leased)| order_view(&state.ledger, order, leased));
    let cursor = |view: &OrderView| view.order.id.to_string();
    Ok(Json(Page::new(items.collect(), limit, cursor)))
}

pub(super) async fn order(
    State(app): Shared,
    parameters: Parameters,
) -> Result<Json<OrderView>, Failure> {
    let id: OrderId = parameters.path("id")?;
    parameters.finish()?;
    let state = app.handle.read();
    if let Some(order) = state.ledger.order(&id) {
        return Ok(Json(order_view(&state.ledger, order, false)));
    }
    settled(&app).await?;
    let found = app.index.read(move |reader| {
        let Some((order, _)) = reader.order(id)? else { return Ok(None) };
        Ok(Some((order, reader.lease(id.into())?.is_some())))
    });
    let (order, leased) = found.await?.ok_or_else(|| Failure::unknown("order"))?;
    Ok(Json(order_view(&state.ledger, order, leased)))
}
