//! The network as a whole: status, genesis, parameters, proofs, faucet.

use api::{
    FaucetGrant, FaucetRequest, NetworkStatus, Problem, ProofView, Row, limits::REQUEST_BYTES_MAX,
};
use axum::{Json, body::Body, extract::State, http::HeaderMap};
use ledger::Key;
use types::{Genesis, Subject};

use super::{
    Failure, Shared,
    request::{Parameters, read_json},
};
use crate::index::IndexError;

pub(super) async fn status(
    State(app): Shared,
    parameters: Parameters,
) -> Result<Json<NetworkStatus>, Failure> {
    parameters.finish()?;
    let state = app.handle.read();
    let network = state.ledger.network();
    let genesis = app.handle.genesis();
    Ok(Json(NetworkStatus {
        network: genesis.network.clone(),
        genesis: network.genesis,
        height: network.height,
        time: network.time,
        root: state.header.state,
        epoch: network.epoch,
        epoch_began: network.epoch_began,
        epoch_ms: state.ledger.parameters().epoch_ms,
        rules: network.rules,
        token: genesis.token,
        faucet: app.faucet.is_some(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }))
}

pub(super) async fn genesis(
    State(app): Shared,
    parameters: Parameters,
) -> Result<Json<Genesis>, Failure> {
    parameters.finish()?;
    Ok(Json(app.handle.genesis().clone()))
}

pub(super) async fn parameters(
    State(app): Shared,
    parameters: Parameters,
) -> Result<Json<types::Parameters>, Failure> {
    parameters.finish()?;
    Ok(Json(app.handle.read().ledger.parameters()))
}

pub(super) async fn proof(
    State(app): Shared,
    parameters: Parameters,
) -> Result<Json<ProofView>, Failure> {
    let name: String = parameters.path("id")?;
    let subject = Subject::new(parameters.path("kind")?, &name);
    let key = Key::from(subject.map_err(|error| Failure::malformed(format!("id: {error}")))?);
    parameters.finish()?;
    let proved = app.handle.prove(&key);
    let uncertified = || IndexError::Uncertified(app.handle.read().header.height);
    let (proved, header) = proved.ok_or_else(uncertified)?;
    let row = Row::new(key.to_bytes().as_slice(), proved.value.as_deref(), &proved.proof);
    Ok(Json(ProofView { header, row }))
}

pub(super) async fn faucet(
    State(app): Shared,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<FaucetGrant>, Failure> {
    let request: FaucetRequest = read_json(&headers, body, REQUEST_BYTES_MAX).await?;
    let faucet = app.faucet.as_ref();
    let faucet = faucet
        .ok_or_else(|| Failure::new(Problem::FaucetAbsent, "this node gives no funds away"))?;
    Ok(Json(faucet.give(&app.handle, &app.index, request.address).await?))
}
