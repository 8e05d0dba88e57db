//! What classes supply, and what they take in.

use api::{ClassSupply, Page, SupplyView};
use axum::{Json, extract::State};
use classes::CLASSES;
use ledger::Ledger;
use types::{ClassId, Tally};

use super::{Failure, Shared, block::settled, request::Parameters};

/// Returns the metrics of all classes.
pub(crate) fn view(ledger: &Ledger) -> SupplyView {
    let (running, past) = (ledger.tallies(), ledger.past_tallies());
    let of = |tallies: &[Tally], class| {
        tallies.iter().copied().find(|tally: &Tally| tally.class == class)
    };
    let class = |class: &&dyn classes::Class| {
        let id = class.id();
        Some(ClassSupply {
            class: id,
            name: class.name().to_owned(),
            unit: class.unit().to_owned(),
            running: of(&running, id)?,
            past: of(&past, id),
            auditor_seats: ledger.seats(id),
        })
    };
    let network = ledger.network();
    SupplyView {
        epoch: network.epoch,
        epoch_began: network.epoch_began,
        classes: CLASSES.iter().filter_map(class).collect(),
    }
}

pub(super) async fn now(
    State(app): Shared,
    parameters: Parameters,
) -> Result<Json<SupplyView>, Failure> {
    parameters.finish()?;
    Ok(Json(view(&app.handle.read().ledger)))
}

pub(super) async fn history(
    State(app): Shared,
    mut parameters: Parameters,
) -> Result<Json<Page<Tally>>, Failure> {
    let class = ClassId(parameters.query("class")?.unwrap_or(1));
    let (before, limit) = (parameters.query("before")?, parameters.limit()?);
    parameters.finish()?;
    settled(&app).await?;
    let tallies = app.index.read(move |reader| reader.tallies(class, before, limit)).await?;
    Ok(Json(Page::new(tallies, limit, |tally| tally.epoch.to_string())))
}
