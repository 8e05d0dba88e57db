//! Accounts and providers.

use api::{AccountView, ClassReputation, EventRecord, Funds, Page};
use axum::{Json, extract::State};
use ledger::key::Row;
use types::{Address, Asset, Provider};

use super::{Failure, Shared, block::settled, request::Parameters};

pub(super) async fn show(
    State(app): Shared,
    parameters: Parameters,
) -> Result<Json<AccountView>, Failure> {
    let address: Address = parameters.path("address")?;
    parameters.finish()?;
    let state = app.handle.read();
    let ledger = &state.ledger;
    let wallet = |asset| ledger.balance(Row::Wallet(address), asset);
    let provider_of = ledger.provider_of(&address);
    Ok(Json(AccountView {
        address,
        account: ledger.account(&address),
        balances: Funds { usd: wallet(Asset::Usd), wild: wallet(Asset::Wild) },
        stake: ledger.balance(Row::Stake(address), Asset::Wild),
        unbondings: ledger.unbondings(&address),
        provider: ledger.provider(&address),
        auditor: classes::CLASSES
            .iter()
            .filter_map(|class| ledger.auditor(class.id(), &address))
            .collect(),
        reputation: ledger
            .reputations(&address)
            .into_iter()
            .map(|(class, reputation)| ClassReputation { class, reputation })
            .collect(),
        node_key_of: provider_of.filter(|provider| *provider != address),
        issuer: Asset::ALL.iter().filter_map(|asset| ledger.issuer(&address, *asset)).collect(),
    }))
}

pub(super) async fn history(
    State(app): Shared,
    mut parameters: Parameters,
) -> Result<Json<Page<EventRecord>>, Failure> {
    let address: Address = parameters.path("address")?;
    let (before, limit) = (parameters.query("before")?, parameters.limit()?);
    parameters.finish()?;
    settled(&app).await?;
    let events = app.index.read(move |reader| reader.events_before(address, before, limit)).await?;
    Ok(Json(Page::new(events, limit, |event| event.id.to_string())))
}

pub(super) async fn providers(
    State(app): Shared,
    mut parameters: Parameters,
) -> Result<Json<Page<Provider>>, Failure> {
    let (after, limit) = (parameters.query::<Address>("after")?, parameters.limit()?);
    parameters.finish()?;
    let providers = app.handle.read().ledger.providers(after.as_ref(), limit);
    Ok(Json(Page::new(providers, limit, |provider| provider.address.to_string())))
}

pub(super) async fn provider(
    State(app): Shared,
    parameters: Parameters,
) -> Result<Json<Provider>, Failure> {
    let address: Address = parameters.path("address")?;
    parameters.finish()?;
    let provider = app.handle.read().ledger.provider(&address);
    provider.map(Json).ok_or_else(|| Failure::unknown("provider"))
}
