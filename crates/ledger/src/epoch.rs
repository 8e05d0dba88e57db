//! Epochs: when they close, and what each class supplied and took in meanwhile.

use types::{ClassId, Event, Income, Supply, Tally, Time, Units};

use crate::{
    key::Key,
    matching,
    state::{Broken, State},
};

/// Returns the running tally of a class.
pub(crate) fn tally(state: &State, class: ClassId) -> Result<Tally, Broken> {
    let stored = state.get(Key::Tally(class))?;
    Ok(stored.unwrap_or_else(|| fresh(state.network.epoch, class, Units::ZERO)))
}

/// Returns a tally that starts.
pub(crate) fn fresh(epoch: u64, class: ClassId, claimed: Units) -> Tally {
    let supply = Supply { claimed, ..Supply::default() };
    Tally { epoch, class, supply, income: Income::default() }
}

/// Adds to what a class claims.
pub(crate) fn claim(state: &mut State, class: ClassId, capacity: Units) -> Result<(), Broken> {
    let mut tally = tally(state, class)?;
    tally.supply.claimed = tally.supply.claimed.plus(capacity)?;
    state.put(Key::Tally(class), &tally)
}

/// Takes from what a class claims.
pub(crate) fn disclaim(state: &mut State, class: ClassId, capacity: Units) -> Result<(), Broken> {
    let mut tally = tally(state, class)?;
    tally.supply.claimed = tally.supply.claimed.minus(capacity)?;
    state.put(Key::Tally(class), &tally)
}

/// Returns when the running epoch closes.
pub(crate) fn closes(state: &State) -> Time {
    state.network.epoch_began.after(state.parameters().epoch_ms)
}

/// Closes the running epoch if its time has passed; empty epochs in between are skipped.
pub(crate) fn advance(state: &mut State) -> Result<(), Broken> {
    let elapsed = state.now().since(state.network.epoch_began).as_ms();
    let length = state.parameters().epoch_ms.as_ms();
    let epochs = elapsed.checked_div(length).ok_or(Broken)?;
    if epochs == 0 {
        return Ok(());
    }
    state.network.epoch = state.network.epoch.checked_add(epochs).ok_or(Broken)?;
    let passed = types::Duration::from_ms(epochs.checked_mul(length).ok_or(Broken)?);
    state.network.epoch_began = state.network.epoch_began.after(passed);
    for class in classes::CLASSES {
        let closed = tally(state, class.id())?;
        state.put(Key::TallyPast(class.id()), &closed)?;
        let running = fresh(state.network.epoch, class.id(), closed.supply.claimed);
        state.put(Key::Tally(class.id()), &running)?;
        state.emit(Event::EpochClosed { tally: closed });
        matching::grant_passes(state, class.id())?;
    }
    Ok(())
}
